"""Scales of the loss terms by their gradients, against finite differences in float64."""

from collections.abc import Callable

import numpy as np
import pytest

from nst_core.transfer.identity import row_key, style_key
from nst_core.transfer.losses.terms import term_weights
from nst_core.transfer.optimization.gradient_scales import SHARES, STEP, size_of
from nst_core.transfer.optimization.optimization import OctaveTask
from nst_core.transfer.settings import Settings
from nst_core.transfer.styles.statistics import style_targets
from nst_core.transfer.stylize import stylize
from nst_core.transfer.tiles.grid import Tiles
from tests import reference
from tests.encoders import random_pixels, tiny_encoder
from tests.unit.transfer.test_stylize import smooth_pixels

ENCODER = tiny_encoder()
CONTENT, STYLE = random_pixels(8, 10, 1), random_pixels(16, 16, 2)
LAYERS = {"content_layers": "relu2_1", "style_layers": "relu1_1:1 relu2_1:3"}


def settings_of(**choices: object) -> Settings:
    quick = {"size": 16, "octaves": 1, "color": "style", "gram": "raw", "normalize_gradients": True}
    return Settings.model_validate({**quick, **LAYERS, **choices})


def task_of(settings: Settings) -> OctaveTask:
    targets = style_targets(ENCODER, STYLE, settings)
    return OctaveTask.prepare(ENCODER, CONTENT, targets, settings, 0, CONTENT.shape[:2])


def scales_of(settings: Settings) -> dict[str, float]:
    return {term: float(scale) for term, scale in task_of(settings).weights.scales.items()}


def losses_in_numpy(pixels: np.ndarray, normalization: str) -> np.ndarray:
    """Return content, style and total variation loss."""
    style = reference.activations(ENCODER, STYLE.astype(np.float64))
    grams = {layer: reference.gram(style[layer]) for layer in ("relu1_1", "relu2_1")}
    return np.array(
        reference.losses(
            *(ENCODER, pixels, CONTENT.astype(np.float64), grams),
            *({"relu2_1": 1.0}, {"relu1_1": 0.25, "relu2_1": 0.75}, normalization),
        )
    )


def gradients_of(function: Callable[[np.ndarray], np.ndarray], pixels: np.ndarray) -> np.ndarray:
    """Return the gradient of each result, by finite differences."""
    slopes = []
    for place in np.ndindex(pixels.shape):
        change = np.zeros_like(pixels)
        change[place] = 1e-5
        slopes.append((function(pixels + change) - function(pixels - change)) / 2e-5)
    return np.array(slopes).T


@pytest.mark.parametrize("normalization", ["relative", "mean"])
def test_scales_are_ratios_of_gradients_one_step_from_the_content(normalization: str) -> None:
    def losses(pixels: np.ndarray) -> np.ndarray:
        return losses_in_numpy(pixels, normalization)

    content = CONTENT.astype(np.float64)
    style = gradients_of(losses, content)[1].reshape(content.shape)
    moved = content - STEP * style / np.sqrt((style**2).mean())
    sizes = np.sqrt((gradients_of(losses, moved) ** 2).mean(axis=1))
    shares = np.array([SHARES["content"], 1, SHARES["tv"]])
    found = scales_of(settings_of(normalization=normalization))
    assert [*found] == ["content", "style", "tv"]
    np.testing.assert_allclose([*found.values()], shares * sizes[1] / sizes, rtol=1e-3)


def test_losses_are_scaled_before_they_are_weighted() -> None:
    settings = settings_of()
    scaled, plain = (
        task_of(settings.model_copy(update={"normalize_gradients": choice}))
        for choice in (True, False)
    )
    found, before = (task.losses_of(random_pixels(8, 10, 3)) for task in (scaled, plain))
    for term, scale in scales_of(settings).items():
        assert found.terms[term] == pytest.approx(scale * before.terms[term], rel=1e-5)
    weights = term_weights(settings)
    total = sum(weights[term] * loss for term, loss in found.terms.items())
    assert found.total == pytest.approx(total, rel=1e-5)
    assert found.style == before.style
    assert found.style_layers == before.style_layers
    assert not plain.weights.scales


def test_they_are_the_same_tile_by_tile() -> None:
    settings = settings_of(optimizer="adam", steps=10, tolerance=0)
    content, start = random_pixels(41, 47, 1), random_pixels(41, 47, 6)
    targets = style_targets(ENCODER, STYLE, settings)
    given = (ENCODER, content, targets, settings, 0, (41, 47))
    plain, tiled = (OctaveTask.prepare(*given, tiles=tiles) for tiles in (None, Tiles(16)))
    for term, scale in plain.weights.scales.items():
        assert float(tiled.weights.scales[term]) == pytest.approx(float(scale), rel=1e-4)
    ends = [[*task.reports(start)][-1] for task in (plain, tiled)]
    assert ends[0].losses.total < 0.9 * plain.losses_of(start).total
    assert ends[1].losses.total == pytest.approx(ends[0].losses.total, rel=1e-4)
    np.testing.assert_allclose(ends[1].pixels, ends[0].pixels, atol=1e-3)


def test_scales_do_not_depend_on_weights_nor_on_the_start() -> None:
    other = settings_of(content_weight=7, style_weight=0.3, tv_weight=2, start="noise")
    assert scales_of(other) == scales_of(settings_of())


@pytest.mark.parametrize("value", [None, 0.4])
def test_scales_are_finite_where_a_loss_has_no_gradient(value: float | None) -> None:
    """A style that is the content itself, and one without any texture, like its content."""
    settings = settings_of()
    picture = random_pixels(16, 16, 5) if value is None else np.full((16, 16, 3), value, np.float32)
    targets = style_targets(ENCODER, picture, settings)
    task = OctaveTask.prepare(ENCODER, picture, targets, settings, 0, (16, 16))
    scales = np.array([float(scale) for scale in task.weights.scales.values()])
    assert np.isfinite(scales).all()
    assert (scales > 0).all()


@pytest.mark.parametrize("exponent", [-30, 0, 30])
def test_sizes_of_tiny_and_huge_gradients_are_right(exponent: int) -> None:
    gradient = random_pixels(8, 10, 4).astype(np.float64) * 10.0**exponent
    expected = np.sqrt((gradient**2).mean())
    assert size_of(gradient.astype(np.float32)) == pytest.approx(expected, rel=1e-5)
    assert size_of(np.zeros((2, 2, 3), np.float32)) == 0


@pytest.mark.nights
def test_one_content_weight_serves_all_normalizations() -> None:
    """With relative losses as the measure, results are alike, which they are not without scales."""
    content, style = smooth_pixels(30, 40, 1), smooth_pixels(40, 32, 2)

    def kept(normalization: str, *, scaled: bool) -> float:
        settings = Settings(
            size=40,
            steps=30,
            octaves=1,
            tolerance=0,
            color="style",
            normalization=normalization,
            normalize_gradients=scaled,
            tv_weight=0,
        )
        change = stylize(content, style, settings).pixels / 255 - content
        return float(np.sqrt((change**2).mean()))

    with_scales = [kept(each, scaled=True) for each in ("relative", "mean", "gatys")]
    without = [kept(each, scaled=False) for each in ("relative", "mean", "gatys")]
    assert max(with_scales) < 1.5 * min(with_scales)
    assert max(without) > 3 * min(without)


def test_it_is_in_the_key_of_the_row_and_not_of_the_style() -> None:
    on, off = settings_of(), settings_of(normalize_gradients=False)
    assert style_key("a", on, "f") == style_key("a", off, "f")
    assert row_key("c", "s", on) != row_key("c", "s", off)
    assert "normalize_gradients" in off.later_defaults
