"""Masks: regions as weights, guided statistics against NumPy, and masked stylizations."""

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from nst_core.images.levels import to_levels
from nst_core.images.read import Picture
from nst_core.images.resize import resize
from nst_core.networks import CATALOGUE
from nst_core.transfer.colors.colors import color_statistics, match_colors
from nst_core.transfer.losses.losses import LossTerms, Targets
from nst_core.transfer.masks.mask_checks import fits
from nst_core.transfer.masks.masks import WHITE, MaskError, Regions, scaled
from nst_core.transfer.memory import peak_memory
from nst_core.transfer.settings import Settings
from nst_core.transfer.style_losses.losses import STYLE_LOSSES
from nst_core.transfer.style_losses.weighted import guided_gram_matrix
from nst_core.transfer.styles.guidance import Guidance
from nst_core.transfer.styles.statistics import content_targets, style_targets
from nst_core.transfer.styles.targets import StyleTargets
from nst_core.transfer.stylize import iterates, stylize
from tests import reference
from tests.encoders import TINY, random_pixels, tiny_encoder
from tests.gradients import check_slopes, loss_and_gradient
from tests.style_references import REFERENCES
from tests.unit.transfer.test_style_losses import draw_features

Array = np.ndarray
SHAPE = (26, 33)
LAYERS = {"content_layers": "relu2_1", "style_layers": "relu1_1:1 relu2_1:3"}
CONTENT, STYLE, PIXELS = (random_pixels(*SHAPE, 2), random_pixels(30, 32, 1), random_pixels(*SHAPE))


def settings_of(**choices: object) -> Settings:
    small = {"size": 33, "octaves": 1, "steps": 10, "tolerance": 0, "mask_feather": 0}
    return Settings.model_validate({**LAYERS, **small, **choices})


def half(height: int, width: int) -> Array:
    """Return a mask whose left half is white."""
    mask = np.zeros((height, width), np.float32)
    mask[:, : width // 2] = 1
    return mask


def area_mean(weights: Array, height: int, width: int) -> Array:
    """Return the means over equal areas of a plane, by repeating each value often enough."""
    tall, wide = weights.shape
    fine = weights.astype(np.float64).repeat(height, axis=0).repeat(width, axis=1)
    return fine.reshape(height, tall, width, wide).mean(axis=(1, 3))


def guided_gram(features: Array, center: Array, weights: Array) -> Array:
    """Return the guided Gram matrix, one position after the other."""
    gram = np.zeros((features.shape[2],) * 2)
    for row, column in np.ndindex(*weights.shape):
        away = features[row, column] - center
        gram += weights[row, column] * np.outer(away, away)
    return gram / weights.sum()


def test_a_gray_mask_is_one_region_whose_weights_are_its_levels() -> None:
    levels = np.array([[0, 3, 64], [128, 252, 255]], np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    regions = Regions.of(levels)
    assert regions.colors == (WHITE,)
    expected = np.clip((levels / 255 - 4 / 255) / (1 - 8 / 255), 0, 1)
    np.testing.assert_allclose(regions.weights[..., 0], expected, atol=1e-6)
    np.testing.assert_array_equal(regions.weights[0, [0, 8]], 0)
    np.testing.assert_array_equal(regions.weights[-1, [8, 16]], 1)
    assert regions.shares == pytest.approx([expected.mean()], abs=1e-6)
    assert not regions.is_whole
    assert Regions.of(np.full((9, 7), 252, np.uint8)).is_whole


def test_transparent_parts_of_a_mask_are_black() -> None:
    white = np.full((8, 6, 4), 255, np.uint8)
    white[:4, :, 3] = 0
    np.testing.assert_array_equal(
        Regions.of(white).weights[..., 0], np.eye(2)[[0, 1]].repeat(4, 0)[:, 1:].repeat(6, 1)
    )
    picture = Picture(np.ones((8, 6, 3), np.float32), white[..., 3] / np.float32(255), "")
    np.testing.assert_array_equal(Regions.of(picture).weights, Regions.of(white).weights)


@pytest.mark.parametrize("mask", [np.zeros((9, 9)), np.full((9, 9), 0.01)])
def test_a_black_mask_is_refused(mask: Array) -> None:
    with pytest.raises(MaskError, match="content_mask: found no region"):
        stylize(CONTENT[:9, :9], STYLE, settings_of(), content_mask=mask)


def test_a_region_that_is_too_small_is_refused() -> None:
    mask = np.zeros((100, 100))
    mask[:3, :6] = 1
    with pytest.raises(MaskError, match=r"#ffffff \(white\) that covers 0.18% of it"):
        Regions.of(mask)
    mask[3, :2] = 1
    assert Regions.of(mask).shares == pytest.approx((0.002,))


def test_a_mask_has_the_aspect_of_its_picture_except_for_rounding() -> None:
    assert fits((384, 512), (3000, 4000))
    assert fits((3000, 4001), (384, 512))
    assert fits((33, 50), (66, 100))
    assert fits((1, 100), (2, 300))
    assert not fits((10, 100), (20, 300))
    assert not fits((384, 512), (384, 515))
    assert not fits((512, 384), (384, 512))
    with pytest.raises(MaskError, match=r"found a mask of 20 x 26 pixels, expected .* 33 x 26"):
        stylize(CONTENT, STYLE, settings_of(), content_mask=half(26, 20))
    with pytest.raises(MaskError, match="style_mask: found a mask"):
        stylize(CONTENT, STYLE, settings_of(), style_mask=half(26, 20))


@pytest.mark.parametrize("shape", [(13, 16), (7, 11), (26, 1), (26, 33)])
def test_smaller_weights_are_means_over_areas(shape: tuple[int, int]) -> None:
    weights = random_pixels(*SHAPE)[..., :2] / 2
    for index in range(2):
        expected = area_mean(weights[..., index], *shape)
        np.testing.assert_allclose(scaled(weights, *shape)[..., index], expected, atol=1e-6)


def test_larger_weights_stay_between_0_and_1_in_sum() -> None:
    sharp = np.stack([half(6, 8), 1 - half(6, 8)], axis=-1)
    larger = scaled(sharp, 60, 81)
    assert larger.shape == (60, 81, 2)
    assert larger.min() >= 0
    assert larger.sum(axis=-1).max() <= 1 + 1e-6
    assert larger[30, 0] == pytest.approx([1, 0])
    assert larger[30, -1] == pytest.approx([0, 1])


def test_a_border_fades_to_each_side_by_the_feather() -> None:
    regions = Regions((WHITE,), half(100, 200)[..., None])
    soft = regions.feathered(0.05).weights[50, :, 0]
    assert soft[99:101].mean() == pytest.approx(0.5, abs=1e-3)
    # Ten pixels are two standard deviations of a Gaussian.
    assert soft[[89, 90]].mean() == pytest.approx(0.977, abs=2e-3)
    assert soft[[109, 110]].mean() == pytest.approx(0.023, abs=2e-3)
    assert soft[70] == pytest.approx(1, abs=1e-4)
    assert soft[130] == pytest.approx(0, abs=1e-4)
    assert regions.feathered(0) is regions


def test_a_guided_gram_matrix_and_its_gradient_equal_the_reference() -> None:
    draw = np.random.default_rng(0)
    features, center = draw.normal(size=(5, 7, 4)), draw.normal(size=4)
    weights, upstream = draw.uniform(size=(5, 7)), draw.normal(size=(4, 4))
    point = tf.constant(features, tf.float32)
    arguments = [tf.constant(each, tf.float32) for each in (center, weights[..., None])]
    with tf.GradientTape() as tape:
        tape.watch(point)
        gram = guided_gram_matrix(point, *arguments)
        value = tf.reduce_sum(gram * tf.constant(upstream, tf.float32))
    np.testing.assert_allclose(gram, guided_gram(features, center, weights), rtol=1e-4, atol=1e-5)
    gradient = tape.gradient(value, point).numpy().astype(np.float64)

    def expected(of: Array) -> float:
        return float((guided_gram(of, center, weights) * upstream).sum())

    check_slopes(expected, features, gradient, rel=1e-3)


def guided_terms(
    settings: Settings, mask: Array, style: StyleTargets, *, rematerialize: bool = False
) -> tuple[LossTerms, Array]:
    """Return the losses of a picture with a mask, and the gradient of their total."""
    encoder = tiny_encoder()
    guidance = Guidance.of(CONTENT, mask, style, settings, SHAPE)
    assert guidance is not None
    targets = Targets(
        *(content_targets(encoder, CONTENT, ("relu2_1",)), {}, {}),
        regions=guidance.regions(TINY, settings, 0, SHAPE),
    )

    return loss_and_gradient(encoder, PIXELS, targets, settings, rematerialize=rematerialize)


FORMULAS: dict[str, Callable[[Array, Array], float]] = {
    "relative": lambda gram, target: ((gram - target) ** 2).sum() / (target**2).sum(),
    "mean": lambda gram, target: ((gram - target) ** 2).mean(),
    "article": lambda gram, target: ((gram - target) ** 2).mean(),
    "gatys": lambda gram, target: ((gram - target) ** 2).mean() / 4,
    "neural-style": lambda gram, target: ((gram - target) ** 2).mean() / len(gram) ** 2,
}
"""The style loss of each normalization, of Gram matrices that are divided by positions."""


@pytest.mark.parametrize(
    ("normalization", "gram"), [("relative", "centered"), *((name, "raw") for name in FORMULAS)]
)
def test_the_style_loss_is_that_of_the_region_times_its_share(
    normalization: str, gram: str
) -> None:
    settings = settings_of(gram=gram, normalization=normalization)
    mask = random_pixels(*SHAPE, 7)[..., 0]
    style = style_targets(tiny_encoder(), STYLE, settings)
    terms, _ = guided_terms(settings, mask, style)
    weights = np.clip((mask - 4 / 255) / (1 - 8 / 255), 0, 1)
    seen = reference.activations(tiny_encoder(), PIXELS.astype(np.float64))
    expected, shown = 0.0, {}
    for layer, weight in settings.style_layer_weights.items():
        center = style.centers[0][layer].astype(np.float64)
        at_layer = area_mean(weights, *seen[layer].shape[:2])
        found, wanted = guided_gram(seen[layer], center, at_layer), style.grams[0][layer]
        loss = FORMULAS[normalization](found, wanted.astype(np.float64))
        expected += weight * weights.mean() * loss
        shown[layer] = reference.layer_loss(found, wanted.astype(np.float64), "relative")
    assert float(terms.terms["style"]) == pytest.approx(expected, rel=1e-3)
    for layer, loss in shown.items():
        assert float(terms.style_layers[layer]) == pytest.approx(loss, rel=1e-3)


@pytest.mark.parametrize("measure", ["gram", "gram moments wasserstein"])
def test_rematerialization_gives_the_same_loss_and_gradient(measure: str) -> None:
    settings = settings_of(style_measure=measure)
    style = style_targets(tiny_encoder(), STYLE, settings)
    (plain, gradient), (again, same) = (
        guided_terms(settings, half(*SHAPE), style, rematerialize=how) for how in (False, True)
    )
    assert float(again.total) == pytest.approx(float(plain.total), rel=1e-4)
    np.testing.assert_allclose(same, gradient, rtol=1e-3, atol=1e-4 * np.abs(gradient).max())


@pytest.mark.parametrize("measure", ["gram", "moments wasserstein"])
def test_a_pixel_feels_the_style_as_without_a_mask(measure: str) -> None:
    """Weights of nearly 1 everywhere give nearly the loss and the gradient of no mask."""
    settings = settings_of(style_measure=measure, content_weight=0, tv_weight=0)
    style = style_targets(tiny_encoder(), STYLE, settings)
    full = guided_terms(settings, np.full(SHAPE, 0.98, np.float32), style)
    low = guided_terms(settings, np.full(SHAPE, 0.5, np.float32), style)
    assert float(low[0].total) == pytest.approx(float(full[0].total) / 2, rel=0.02)
    np.testing.assert_allclose(2 * low[1], full[1], rtol=0.05, atol=0.02 * np.abs(full[1]).max())


@pytest.mark.parametrize("name", ["moments", "wasserstein"])
def test_other_losses_of_a_region_equal_the_reference(name: str) -> None:
    """A weight of 1 counts like two positions where a weight of 1/2 counts like one."""
    draw = np.random.default_rng(4)
    features, style = (
        draw_features(6, 8, 1) + 0.1 * draw.normal(size=(6, 8, 5)),
        draw_features(5, 9, 2),
    )
    counts, of_style = (draw.integers(0, 3, of.shape[:2]) for of in (features, style))

    def repeated(of: Array, times: Array) -> Array:
        return np.repeat(of.reshape(-1, 5), times.reshape(-1), axis=0)[:, None]

    def expected(of: Array) -> float:
        return REFERENCES[name](repeated(of, counts), repeated(style, of_style))

    loss, point = STYLE_LOSSES[name], tf.constant(features, tf.float32)
    weights, wanted = (tf.constant(of[..., None] / 2, tf.float32) for of in (counts, of_style))
    targets = loss.targets({"layer": tf.constant(style, tf.float32)}, {"layer": wanted})
    with tf.GradientTape() as tape:
        tape.watch(point)
        statistics = {"layer": loss.statistic(point, targets["layer"], weights)}
        value = loss.loss(statistics, targets, {"layer": tf.constant(1.0)})
    assert float(value) == pytest.approx(expected(features), rel=1e-3)
    gradient = tape.gradient(value, point).numpy().astype(np.float64)
    check_slopes(expected, features, gradient, rel=5e-3)


@pytest.mark.parametrize("rematerialize", [False, True])
@pytest.mark.parametrize("on_gpu", [False, True])
def test_the_estimate_of_memory_counts_regions(rematerialize: bool, on_gpu: bool) -> None:
    needed = [
        peak_memory(
            *(CATALOGUE["compact"].topology, Settings(), (512, 384)),
            rematerialize=rematerialize,
            on_gpu=on_gpu,
            regions=count,
        )
        for count in (0, 1, 2, 8)
    ]
    assert needed == sorted({*needed})


@pytest.mark.parametrize("measure", ["gram", "moments wasserstein"])
def test_statistics_of_a_masked_style_are_those_of_the_part_that_counts(measure: str) -> None:
    settings = settings_of(size=32, style_measure=measure, octaves=2)
    part = style_targets(tiny_encoder(), STYLE, settings, half(30, 32))
    features = reference.activations(tiny_encoder(), STYLE.astype(np.float64))
    for layer in settings.style_layer_weights:
        weights = area_mean(half(30, 32), *features[layer].shape[:2])
        center = np.average(
            features[layer].reshape(-1, features[layer].shape[2]), 0, weights.reshape(-1)
        )
        np.testing.assert_allclose(part.centers[1][layer], center, rtol=1e-4, atol=1e-6)
        gram = guided_gram(features[layer], center, weights)
        np.testing.assert_allclose(part.grams[1][layer], gram, rtol=1e-3, atol=1e-6)
    assert bool(part.others) == (measure != "gram")
    colors = color_statistics(STYLE[:, :16])
    np.testing.assert_allclose(part.colors.mean, colors.mean, rtol=1e-5)
    np.testing.assert_allclose(part.colors.covariance, colors.covariance, atol=1e-6)


def test_a_white_mask_changes_nothing_and_costs_nothing() -> None:
    settings = settings_of()
    plain = stylize(CONTENT, STYLE, settings)
    white = stylize(
        *(CONTENT, STYLE, settings),
        content_mask=np.full((52, 66), 255, np.uint8),
        style_mask=np.ones((30, 32, 3)),
    )
    np.testing.assert_array_equal(white.pixels, plain.pixels)
    assert white.losses == plain.losses
    targets = style_targets(tiny_encoder(), STYLE, settings)
    assert Guidance.of(CONTENT, np.ones(SHAPE), targets, settings, SHAPE) is None
    assert Guidance.of(CONTENT, None, targets, settings, SHAPE) is None


@pytest.mark.parametrize("color", ["match", "content"])
def test_where_the_mask_is_black_the_photograph_stays(color: str) -> None:
    settings = settings_of(color=color, start="noise", clip="end", strength=0.9)
    mask = half(*SHAPE)
    outcome = stylize(CONTENT, STYLE, settings, content_mask=mask)
    levels = to_levels(CONTENT)
    np.testing.assert_array_equal(outcome.pixels[:, 16:], levels[:, 16:])
    assert (outcome.pixels[:, :16] != levels[:, :16]).mean() > 0.9


def test_only_what_is_stylized_gets_the_colors_of_the_style() -> None:
    settings, mask = settings_of(), half(*SHAPE)
    targets = style_targets(tiny_encoder(), STYLE**3, settings)
    start = next(
        iterates(tiny_encoder(), CONTENT, targets, settings, seed=0, content_mask=mask)
    ).pixels
    np.testing.assert_array_equal(start[:, 16:], CONTENT[:, 16:])
    matched = match_colors(CONTENT[:, :16], targets.colors)
    np.testing.assert_allclose(start[:, :16], matched, atol=1e-4)


def test_a_larger_content_is_masked_at_the_size_of_the_result() -> None:
    content = random_pixels(52, 66, 5)
    outcome = stylize(content, STYLE, settings_of(), content_mask=half(104, 132))
    small = to_levels(resize(content, 26, 33))
    np.testing.assert_array_equal(outcome.pixels[:, 17:], small[:, 17:])


@pytest.mark.parametrize("optimizer", ["adam", pytest.param("lbfgs", marks=pytest.mark.nights)])
def test_a_masked_row_continues_to_the_same_bits(optimizer: str) -> None:
    settings = settings_of(size=66, octaves=2, steps=20, optimizer=optimizer, mask_feather=0.05)
    content = random_pixels(52, 66, 5)
    targets = style_targets(tiny_encoder(), STYLE, settings)
    arguments = (tiny_encoder(), content, targets, settings)
    whole = [*iterates(*arguments, seed=0, content_mask=half(52, 66))]
    checkpoint = whole[1].checkpoint()
    resumed = [*iterates(*arguments, seed=0, content_mask=half(52, 66), checkpoint=checkpoint)]
    np.testing.assert_array_equal(resumed[-1].pixels, whole[-1].pixels)
    assert resumed[-1].losses == whole[-1].losses


@pytest.mark.parametrize(
    ("choices", "column"),
    [
        ({"style_measure": "gram:1 sliced:1"}, "style_measure"),
        ({"color_match": "histogram"}, "color_match"),
    ],
)
def test_settings_that_know_no_masks_are_refused(choices: dict[str, str], column: str) -> None:
    for masks in ({"content_mask": half(*SHAPE)}, {"style_mask": half(30, 32)}):
        with pytest.raises(MaskError, match=f"{column}: with a mask, "):
            stylize(CONTENT, STYLE, settings_of(**choices), **masks)


def test_transparency_is_a_mask_where_asked_for() -> None:
    settings = settings_of(alpha_mask=True)
    content, style = (Picture(pixels, half(*pixels.shape[:2]), "") for pixels in (CONTENT, STYLE))
    shown = stylize(content, style, settings)
    named = stylize(
        *(CONTENT, STYLE, settings),
        content_mask=half(*SHAPE),
        style_mask=half(30, 32),
    )
    np.testing.assert_array_equal(shown.pixels, named.pixels)
    off = stylize(content, style, settings.model_copy(update={"alpha_mask": False}))
    np.testing.assert_array_equal(off.pixels, stylize(CONTENT, STYLE, settings).pixels)
    assert (off.pixels != shown.pixels).any()
