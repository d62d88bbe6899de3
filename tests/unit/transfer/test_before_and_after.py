"""The content before an optimization, and the result after it, at thumbnail size."""

import numpy as np
import pytest

from nst_core.images.levels import from_levels, to_levels
from nst_core.networks.loading import load_encoder
from nst_core.transfer.colors.chroma import with_chroma_of
from nst_core.transfer.optimization.optimization import OctaveTask
from nst_core.transfer.pictures.before_and_after import at_strength, finished_picture
from nst_core.transfer.presets import resolve
from nst_core.transfer.settings import Settings
from nst_core.transfer.styles.statistics import style_targets
from nst_core.transfer.stylize import Outcome, iterates, stylize
from tests import reference
from tests.unit.transfer.test_stylize import smooth_pixels

COMPACT = load_encoder("compact")
CONTENT, STYLE = smooth_pixels(30, 40, 1), smooth_pixels(40, 32, 2)


def settings_of(**choices: object) -> Settings:
    """Return settings of a quick stylization; without a choice, no colors are transferred."""
    quick = {"size": 40, "steps": 12, "octaves": 1, "tolerance": 0, "color": "style"}
    return resolve(quick, choices)


def outcome_of(**choices: object) -> Outcome:
    return stylize(CONTENT, STYLE, settings_of(**choices))


def test_the_start_has_the_histograms_of_the_style_picture() -> None:
    settings = settings_of(color="match", color_match="histogram")
    targets = style_targets(COMPACT, STYLE, settings)
    start = next(iterates(COMPACT, CONTENT, targets, settings, seed=0, style=STYLE)).pixels
    shares = np.linspace(0.05, 0.95, 19)
    for channel in range(3):
        found, expected = (np.quantile(each[..., channel], shares) for each in (start, STYLE))
        np.testing.assert_allclose(found, expected, atol=0.02)
    with pytest.raises(ValueError, match="no style picture was passed"):
        next(iterates(COMPACT, CONTENT, targets, settings, seed=0))


def test_the_result_has_the_content_s_colors_and_its_own_lightness() -> None:
    plain, colored = outcome_of(), outcome_of(color="content")
    expected = with_chroma_of(plain.pixels, CONTENT)
    assert np.abs(colored.pixels.astype(int) - to_levels(expected)).max() <= 2
    assert np.abs(colored.pixels.astype(int) - plain.pixels).max() > 20
    assert colored.steps == plain.steps


def test_the_losses_are_those_of_the_result_with_its_final_colors() -> None:
    settings = settings_of(color="content")
    colored = stylize(CONTENT, STYLE, settings)
    targets = style_targets(COMPACT, STYLE, settings)
    task = OctaveTask.prepare(COMPACT, CONTENT, targets, settings, 0, (30, 40))
    assert colored.losses == task.losses_of(from_levels(colored.pixels))


def style_distance(pixels: np.ndarray, settings: Settings) -> float:
    """Return the mean relative distance of centered Gram matrices, computed in NumPy."""
    style, picture = (
        reference.activations(COMPACT, values.astype(np.float64) / 255)
        for values in (to_levels(STYLE), pixels)
    )
    distances = []
    for layer in settings.style_layer_weights:
        center = style[layer].mean(axis=(0, 1))
        wanted, found = (reference.gram(each[layer] - center) for each in (style, picture))
        distances.append(((found - wanted) ** 2).sum() / (wanted**2).sum())
    return float(np.mean(distances))


@pytest.mark.parametrize("color", ["style", "match", "content"])
def test_strength_goes_from_the_photograph_to_the_full_style(color: str) -> None:
    strengths = (0, 0.25, 0.5, 0.75, 1)
    results = [outcome_of(strength=strength, color=color).pixels for strength in strengths]
    photograph = to_levels(CONTENT)
    distances = [np.sqrt(((each - CONTENT * 255.0) ** 2).mean()) for each in results]
    losses = [style_distance(each, settings_of()) for each in results]
    np.testing.assert_array_equal(results[-1], outcome_of(color=color).pixels)
    assert np.abs(results[0].astype(int) - photograph).max() <= (1 if color == "content" else 0)
    assert distances == sorted(distances)
    assert min(np.diff(distances)) > 0.5
    if color != "content":
        assert losses == sorted(losses, reverse=True)
        assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("start", ["noise", "style"])
def test_without_strength_the_result_is_the_photograph_whatever_the_start(start: str) -> None:
    found = outcome_of(strength=0, start=start, color="match", steps=1).pixels
    np.testing.assert_array_equal(found, to_levels(CONTENT))


def test_full_strength_changes_no_setting_and_no_pixel() -> None:
    settings = settings_of()
    pixels = np.full((30, 40, 3), 1.5, np.float32)
    assert at_strength(settings) is settings
    assert finished_picture(pixels, CONTENT, settings) is pixels
    half = at_strength(settings_of(strength=0.5))
    assert (half.style_weight, half.tv_weight) == (0.5, 0.25)
    assert half.content_weight == settings.content_weight
