"""What a frame takes over from the frame before, and the temporal loss."""

from collections.abc import Mapping

import numpy as np
import pytest
import tensorflow as tf

from nst_core.images.levels import from_levels
from nst_core.motion.warping import warped
from nst_core.samples.moving import moving_picture
from nst_core.samples.paintings import PAINTINGS
from nst_core.transfer.losses.loss_weights import loss_weights
from nst_core.transfer.losses.losses import Targets, loss_terms
from nst_core.transfer.memory import peak_memory
from nst_core.transfer.optimization.checkpoint import Checkpoint
from nst_core.transfer.pictures.frames import FrameBefore, follow
from nst_core.transfer.presets import resolve
from nst_core.transfer.settings import Settings
from nst_core.transfer.styles.statistics import content_targets, style_targets
from nst_core.transfer.stylize import Outcome, finish, iterates, stylize
from tests.encoders import TINY, random_pixels, tiny_encoder

ENCODER = tiny_encoder()
SHAPE = (36, 48)
NOW, RESULT, STYLE = (random_pixels(*SHAPE, seed) for seed in (1, 2, 3))
LAYERS = {"content_layers": "relu2_1", "style_layers": "relu1_1 relu2_1"}
ALONG = np.broadcast_to(np.float32([-2, 1]), (*SHAPE, 2))
"""The flow to the frame before: all has moved 2 pixels to the right, and 1 up."""

EARLIER = warped(NOW, -ALONG)
BEFORE = FrameBefore(EARLIER, RESULT, ALONG)


def settings_of(**choices: object) -> Settings:
    return Settings.model_validate({"size": 48, "steps": 10, "octaves": 1, **LAYERS, **choices})


def frame_targets(mask: np.ndarray, picture: np.ndarray) -> Mapping[str, tf.Tensor]:
    return {"picture": tf.constant(picture), "mask": tf.constant(mask[..., np.newaxis])}


def terms_at(pixels: np.ndarray, frame: Mapping[str, tf.Tensor]) -> tuple[dict, float, np.ndarray]:
    """Return the terms of a picture, their total and its gradient."""
    settings = settings_of(color="style", temporal_weight=7)
    style = style_targets(ENCODER, STYLE, settings)
    targets = Targets(
        content_targets(ENCODER, NOW, ("relu2_1",)),
        *(
            {name: tf.constant(a) for name, a in of[0].items()}
            for of in (style.grams, style.centers)
        ),
        frame=frame,
    )
    point = tf.constant(pixels)
    with tf.GradientTape() as tape:
        tape.watch(point)
        weights = loss_weights(settings, is_frame=bool(frame))
        terms = loss_terms(ENCODER, "relative", point, targets, weights)
    losses = {name: float(loss) for name, loss in terms.terms.items()}
    return losses, float(terms.total), tape.gradient(terms.total, point).numpy()


def test_the_temporal_loss_and_its_gradient_are_those_of_the_formula() -> None:
    mask = (np.random.default_rng(5).uniform(0, 1, SHAPE) > 0.3).astype(np.float32)
    pixels = random_pixels(*SHAPE, 4)
    losses, total, gradient = terms_at(pixels, frame_targets(mask, RESULT))
    without, total_without, gradient_without = terms_at(pixels, {})

    def formula(x: np.ndarray) -> float:
        squares = (x - RESULT.astype(np.float64)) ** 2
        return float(np.mean(mask[..., np.newaxis] * squares))

    exact = pixels.astype(np.float64)
    assert losses["temporal"] == pytest.approx(formula(exact), rel=1e-5)
    assert total - total_without == pytest.approx(7 * formula(exact), rel=1e-4)
    assert "temporal" not in without
    assert {**without, "temporal": losses["temporal"]} == losses
    own = gradient - gradient_without
    for place in ((0, 0, 0), (7, 31, 1), (35, 47, 2), (20, 20, 0)):
        change = np.zeros_like(exact)
        change[place] = 1e-4
        slope = 7 * (formula(exact + change) - formula(exact - change)) / 2e-4
        assert own[place] == pytest.approx(slope, abs=2e-7)
    assert np.abs(own[mask == 0]).max() < 1e-7


def test_a_frame_starts_from_the_result_before_and_from_the_content_where_that_is_new() -> None:
    found = follow(BEFORE, NOW, NOW, settings_of(), SHAPE)
    same = found.mask > 0
    assert not same[:, :2].any(), "that part was left of the frame before"
    assert same.mean() > 0.5
    np.testing.assert_array_equal(found.picture[same], warped(RESULT, ALONG)[same])
    np.testing.assert_array_equal(found.picture[~same], NOW[~same])


def test_below_full_strength_what_the_result_was_blended_from_is_taken_over() -> None:
    settings = settings_of(strength=0.5)
    picture = random_pixels(*SHAPE, 9)
    blended = NOW + np.float32(0.75) * (picture - NOW)
    still = FrameBefore(NOW, blended, np.zeros((*SHAPE, 2), np.float32))
    found = follow(still, NOW, NOW, settings, SHAPE)
    same = found.mask > 0
    assert same.mean() > 0.9
    np.testing.assert_allclose(found.picture[same], picture[same], atol=1e-5)


def test_a_result_and_a_flow_of_other_sizes_are_scaled() -> None:
    coarse = FrameBefore(EARLIER, RESULT[::2, ::2], ALONG[::2, ::2] / 2)
    found, expected = (follow(one, NOW, NOW, settings_of(), SHAPE) for one in (coarse, BEFORE))
    assert found.picture.shape == expected.picture.shape
    np.testing.assert_array_equal(found.mask, expected.mask)


def test_a_flow_of_another_form_is_refused() -> None:
    wrong = BEFORE._replace(flow=np.zeros((4, 5, 3), np.float32))
    with pytest.raises(ValueError, match=r"flow: found an array of shape \(4, 5, 3\)"):
        follow(wrong, NOW, NOW, settings_of(), SHAPE)


def made(
    settings: Settings,
    before: FrameBefore | None = BEFORE,
    checkpoint: Checkpoint | None = None,
    **more: object,
) -> Outcome:
    targets = style_targets(ENCODER, STYLE, settings)
    return finish(
        iterates(
            *(ENCODER, NOW, targets, settings),
            **{"seed": 0, "before": before, "checkpoint": checkpoint, **more},
        )
    )


def test_a_heavier_temporal_loss_keeps_the_result_nearer_to_the_frame_before() -> None:
    mask = follow(BEFORE, NOW, NOW, settings_of(), SHAPE).mask > 0
    target = warped(RESULT, ALONG)
    distances = []
    for weight in (0, 1, 100):
        outcome = made(settings_of(temporal_weight=weight, steps=30))
        distances.append(np.abs(from_levels(outcome.pixels) - target)[mask].mean())
        assert ("temporal" in outcome.losses.terms) == (weight > 0)
    assert distances == sorted(distances, reverse=True)
    assert distances[2] < 0.3 * distances[0]


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_a_frame_continues_from_its_checkpoint_to_the_same_bits(optimizer: str) -> None:
    settings = settings_of(octaves=2, size=96, enlarge=True, optimizer=optimizer, steps=15)
    targets = style_targets(ENCODER, STYLE, settings)
    steps = iterates(ENCODER, NOW, targets, settings, seed=0, before=BEFORE)
    saved = [Checkpoint.from_bytes(next(steps).checkpoint().to_bytes())[0] for _ in range(5)]
    whole = finish(steps)
    assert {one.octave for one in saved} == {0, 1}
    for one in saved:
        again = made(settings, checkpoint=one)
        np.testing.assert_array_equal(again.pixels, whole.pixels)
        assert again.losses == whole.losses


def test_rematerialization_gives_a_frame_the_same_picture() -> None:
    settings = settings_of()
    plain, again = made(settings), made(settings, rematerialize=True)
    assert np.abs(plain.pixels.astype(int) - again.pixels).max() <= 1


def test_at_no_strength_a_frame_is_its_content() -> None:
    outcome = made(settings_of(strength=0))
    assert np.abs(from_levels(outcome.pixels) - NOW).max() < 0.01


def test_a_frame_has_no_other_picture_to_start_from() -> None:
    with pytest.raises(ValueError, match="both init and a frame before"):
        made(settings_of(), init=RESULT)


def test_pictures_that_follow_no_frame_are_what_they_were_whatever_the_weight() -> None:
    plain, weighted = (made(settings_of(temporal_weight=w), before=None) for w in (0, 100))
    np.testing.assert_array_equal(plain.pixels, weighted.pixels)
    assert plain.losses == weighted.losses
    assert set(plain.losses.terms) == {"content", "style", "tv"}


def test_a_frame_needs_more_memory_in_proportion_to_its_size() -> None:
    settings = settings_of()
    plain, frame = (
        peak_memory(TINY, settings, (100, 200), is_frame=is_frame) for is_frame in (False, True)
    )
    assert frame - plain == 4 * 4 * 100 * 200 * 3


FLICKER = {"preset": "draft", "size": 96, "seed": 1}


@pytest.mark.nights
def test_a_sequence_flickers_at_most_half_as_much_as_its_frames_one_by_one() -> None:
    """The motion is synthetic, that of a real photograph; the flow is computed from the frames."""
    frames = moving_picture(8, 64, 96)
    settings, style = resolve(FLICKER), PAINTINGS["swirls"](96, 1)
    flicker = {}
    for follow_each in (False, True):
        results: list[np.ndarray] = []
        for number, frame in enumerate(frames):
            is_next = follow_each and number > 0
            before = FrameBefore(frames[number - 1].picture, results[-1]) if is_next else None
            results.append(stylize(frame.picture, style, settings, before=before).pixels)
        differences = [
            np.abs(from_levels(now) - warped(from_levels(earlier), frame.flow))[
                frame.is_seen
            ].mean()
            for frame, now, earlier in zip(frames[1:], results[1:], results, strict=False)
        ]
        flicker[follow_each] = np.mean(differences)
    assert flicker[True] < 0.5 * flicker[False]
