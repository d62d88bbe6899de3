"""The content before an optimization, and the result after it, at thumbnail size."""

import numpy as np
import pytest

from nst_core.images.levels import from_levels, to_levels
from nst_core.networks.loading import load_encoder
from nst_core.transfer.chroma import with_chroma_of
from nst_core.transfer.optimization import OctaveTask
from nst_core.transfer.presets import resolve
from nst_core.transfer.settings import Settings
from nst_core.transfer.statistics import style_targets
from nst_core.transfer.stylize import Outcome, iterates, stylize
from tests.unit.test_stylize import smooth_pixels

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
