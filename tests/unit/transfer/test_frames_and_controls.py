"""Frames of moving pictures with masks, several styles, normalized gradients and little memory."""

import numpy as np
import pytest
import tensorflow as tf

from nst_core.images.levels import from_levels, to_levels
from nst_core.images.resize import resize
from nst_core.motion.warping import warped
from nst_core.transfer.memory import peak_memory
from nst_core.transfer.optimization.checkpoint import Checkpoint
from nst_core.transfer.optimization.gradient_scales import SHARES, STEP, size_of
from nst_core.transfer.optimization.optimization import OctaveTask
from nst_core.transfer.pictures.frames import Followed, FrameBefore, follow
from nst_core.transfer.settings import Settings
from nst_core.transfer.styles.blending import targets_of
from nst_core.transfer.styles.guidance import Guidance
from nst_core.transfer.styles.statistics import style_targets
from nst_core.transfer.styles.styles import Blend
from nst_core.transfer.stylize import Iterate, Outcome, finish, iterates
from nst_core.transfer.tiles.grid import Tiles
from tests.encoders import TINY, random_pixels, tiny_encoder

ENCODER = tiny_encoder()
SHAPE = (36, 48)
NOW, RESULT = random_pixels(*SHAPE, 1), random_pixels(*SHAPE, 2)
STYLES = Blend([random_pixels(40, 40, 3), random_pixels(30, 44, 4)])
ALONG = np.broadcast_to(np.float32([-2, 1]), (*SHAPE, 2))
BEFORE = FrameBefore(warped(NOW, -ALONG), RESULT, ALONG)
EDGE = 24
"""The column at which the mask turns from white to black, over a few columns of gray."""

MASK = np.clip((EDGE + 2 - np.arange(SHAPE[1], dtype=np.float32)) / 4, 0, 1)
MASK = np.broadcast_to(MASK, SHAPE)
"""What is stylized: the left half."""


def settings_of(**choices: object) -> Settings:
    small = {"size": 48, "octaves": 1, "steps": 10, "tolerance": 0, "mask_feather": 0}
    layers = {"content_layers": "relu2_1", "style_layers": "relu1_1 relu2_1"}
    return Settings.model_validate({**layers, **small, **choices})


def made(
    settings: Settings, checkpoint: Checkpoint | None = None, **options: object
) -> tuple[list[Iterate], Outcome]:
    """Return the iterates of a frame with a mask and two styles, unless options say otherwise."""
    given = {"before": BEFORE, "content_mask": MASK, **options}
    targets = targets_of(ENCODER, STYLES, settings)
    seen: list[Iterate] = []
    steps = iterates(
        *(ENCODER, NOW, targets, settings), seed=0, style=STYLES, checkpoint=checkpoint, **given
    )
    return seen, finish(steps, seen.append)


def coverage() -> np.ndarray:
    """Return how much of each pixel is stylized, as masks are read (`Regions.of`)."""
    return np.clip((MASK - 4 / 255) / (1 - 8 / 255), 0, 1)


def test_where_nothing_is_stylized_a_frame_is_its_photograph_and_has_no_temporal_loss() -> None:
    seen, outcome = made(settings_of(color="style"))
    black = coverage() == 0
    assert 0.4 < black.mean() < 0.6
    np.testing.assert_array_equal(outcome.pixels[black], to_levels(NOW)[black])
    np.testing.assert_array_equal(seen[0].pixels[black], NOW[black])
    assert np.abs(from_levels(outcome.pixels) - NOW)[coverage() == 1].mean() > 0.1
    picture, mask = follow(BEFORE, NOW, NOW, settings_of(), SHAPE)
    for pixels, losses in ((seen[0].pixels, seen[0].losses), (outcome.pixels, outcome.losses)):
        exact = from_levels(pixels) if pixels.dtype == np.uint8 else pixels
        squares = (exact.astype(np.float64) - picture) ** 2
        expected = np.mean((mask * coverage())[..., np.newaxis] * squares)
        assert losses.terms["temporal"] == pytest.approx(expected, rel=1e-4, abs=1e-9)


def test_a_frame_starts_from_the_result_before_as_far_as_it_is_stylized() -> None:
    seen, _ = made(settings_of(color="style"))
    picture = follow(BEFORE, NOW, NOW, settings_of(), SHAPE).picture
    covered = coverage()[..., np.newaxis]
    np.testing.assert_allclose(seen[0].pixels, NOW + covered * (picture - NOW), atol=1e-5)


def test_a_mask_is_taken_over_at_each_octave() -> None:
    found = follow(BEFORE, NOW, NOW, settings_of(), SHAPE)
    half = found.within(MASK[..., np.newaxis]).at(18, 24)
    np.testing.assert_allclose(half.mask, resize(found.mask * MASK, 18, 24), atol=1e-6)
    np.testing.assert_array_equal(half.picture, found.at(18, 24).picture)


def test_what_was_not_stylized_in_the_frame_before_has_no_temporal_loss() -> None:
    """With a mask that moves with the picture, only what it covers is compared with."""
    plain, masked = (
        follow(before, NOW, NOW, settings_of(), SHAPE)
        for before in (BEFORE, BEFORE._replace(mask=MASK))
    )
    moved = warped(coverage()[..., np.newaxis].astype(np.float32), ALONG)[..., 0]
    np.testing.assert_allclose(masked.mask, plain.mask * moved, atol=1e-6)
    assert (plain.mask[:, EDGE + 6 :] > 0).any()
    assert not masked.mask[:, EDGE + 6 :].any()
    np.testing.assert_array_equal(masked.picture[:, EDGE + 6 :], NOW[:, EDGE + 6 :])
    np.testing.assert_array_equal(masked.picture[moved == 1], plain.picture[moved == 1])
    transparent = np.concatenate([np.asarray(BEFORE.content), MASK[..., np.newaxis]], axis=2)
    by_alpha = BEFORE._replace(content=transparent)
    found = follow(by_alpha, NOW, NOW, settings_of(alpha_mask=True), SHAPE).mask
    unused = follow(by_alpha, NOW, NOW, settings_of(), SHAPE).mask
    # Transparent pixels are white, so that not the same ones are reliable.
    np.testing.assert_allclose(found, unused * moved, atol=1e-6)
    assert (unused != found).any()
    assert found.any()


def test_a_soft_mask_of_the_frame_before_is_as_soft_as_the_masks_of_the_frame() -> None:
    settings = settings_of(mask_feather=0.2)
    before = BEFORE._replace(mask=MASK, flow=np.zeros((*SHAPE, 2), np.float32), content=NOW)
    found = follow(before, NOW, NOW, settings, SHAPE).mask
    targets = targets_of(ENCODER, STYLES, settings)
    guidance = Guidance.of(NOW, MASK, targets, settings, SHAPE)
    assert guidance is not None
    same = follow(before._replace(mask=None), NOW, NOW, settings, SHAPE).mask
    np.testing.assert_allclose(found, same * guidance.coverage[..., 0], atol=1e-6)


@pytest.mark.parametrize("optimizer", ["lbfgs", pytest.param("adam", marks=pytest.mark.nights)])
def test_such_a_frame_continues_from_its_checkpoint_to_the_same_bits(optimizer: str) -> None:
    choices = {"optimizer": optimizer, "normalize_gradients": True, "style_blend": "1; 2"}
    settings = settings_of(octaves=2, size=96, enlarge=True, steps=15, **choices)
    seen, whole = made(settings)
    middle = next(one for one in seen if one.octave == 2 and one.step_of_octave > 0)
    targets = targets_of(ENCODER, STYLES, settings)
    steps = iterates(*(ENCODER, NOW, targets, settings), seed=0, before=BEFORE, content_mask=MASK)
    stopped = next(one for one in steps if one.step == middle.step)
    saved = Checkpoint.from_bytes(stopped.checkpoint().to_bytes())[0]
    _, again = made(settings, checkpoint=saved)
    np.testing.assert_array_equal(again.pixels, whole.pixels)
    assert again.losses == whole.losses
    assert whole.losses.total < whole.start_losses.total


def test_a_frame_has_the_blend_of_its_styles() -> None:
    """With all of the weight on one style, a frame is that of this style alone."""

    def result(blend: str) -> np.ndarray:
        settings = settings_of(style_blend=blend)
        return made(settings, content_mask=None)[1].pixels.astype(int)

    alone = []
    for style in STYLES.styles:
        targets = style_targets(ENCODER, style, settings_of())
        steps = iterates(ENCODER, NOW, targets, settings_of(), seed=0, before=BEFORE)
        alone.append(finish(steps).pixels.astype(int))
    for blend, expected, other in (("1; 0", *alone), ("0; 1", *alone[::-1])):
        assert np.abs(result(blend) - expected).max() <= 2
        assert np.abs(result(blend) - other).mean() > 1
        assert np.abs(result("1; 1") - expected).mean() > 0.5


def task_of(frame: Followed | None, **choices: object) -> OctaveTask:
    settings = settings_of(color="style", normalize_gradients=True, **choices)
    targets = targets_of(ENCODER, STYLES, settings)
    return OctaveTask.prepare(ENCODER, NOW, targets, settings, 0, SHAPE, frame=frame)


def test_the_temporal_loss_is_scaled_by_its_gradient_one_step_from_the_content() -> None:
    frame = follow(BEFORE, NOW, NOW, settings_of(), SHAPE)
    task = task_of(frame)
    assert [*task.weights.scales] == ["content", "style", "tv", "temporal"]
    gradient = task.compiled.gradient

    def style(pixels: np.ndarray) -> np.ndarray:
        weights = task.weights.alone("style")
        return np.asarray(gradient(tf.constant(pixels), task.targets, weights))

    slope = style(NOW)
    moved = (NOW - np.float32(STEP / size_of(slope)) * slope).astype(np.float64)
    squares = frame.mask[..., np.newaxis] * (moved - frame.picture)
    expected = 2 * squares / squares.size
    unit = size_of(style(moved.astype(np.float32)))
    scale = float(task.weights.scales["temporal"])
    assert scale == pytest.approx(SHARES["temporal"] * unit / size_of(expected), rel=1e-4)
    found = task.losses_of(NOW)
    weights = {term: float(weight) for term, weight in task.weights.terms.items()}
    assert found.total == pytest.approx(sum(weights[t] * x for t, x in found.terms.items()))
    before = task_of(frame).compiled
    plain = before.measure(tf.constant(NOW), task.targets, task.weights._replace(scales={}))
    assert found.terms["temporal"] == pytest.approx(scale * float(plain.terms["temporal"]))


def test_a_frame_of_which_nothing_was_seen_before_keeps_the_scale_1() -> None:
    nothing = Followed(NOW, np.zeros(SHAPE, np.float32))
    task = task_of(nothing)
    assert float(task.weights.scales["temporal"]) == 1
    assert task.losses_of(RESULT).terms["temporal"] == 0
    assert float(task.weights.scales["content"]) != 1


def test_other_pictures_have_no_scale_of_the_temporal_loss() -> None:
    assert [*task_of(None).weights.scales] == ["content", "style", "tv"]


def test_tiles_are_refused_for_a_frame_and_for_a_mask() -> None:
    for options in ({"content_mask": None}, {"before": None}):
        with pytest.raises(ValueError, match="mask or a frame before cannot be computed in tiles"):
            made(settings_of(), tiles=Tiles(16), **options)


def test_the_memory_of_regions_and_of_a_frame_adds_up() -> None:
    def peak(**options: object) -> int:
        settings = settings_of(style_measure="gram")
        return peak_memory(TINY, settings, (100, 200), **options)  # type: ignore[arg-type]

    for regions in (0, 3):
        frame = peak(regions=regions, is_frame=True) - peak(regions=regions)
        assert frame == 4 * 4 * 100 * 200 * 3
