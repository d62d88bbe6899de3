"""A stylization that ends early: its best picture at the result's size, and its losses."""

import numpy as np
import pytest

from nst_core.images.levels import to_levels
from nst_core.images.resize import resize
from nst_core.networks.loading import load_encoder
from nst_core.transfer.losses.loss_weights import loss_weights
from nst_core.transfer.losses.losses import Targets, loss_terms
from nst_core.transfer.settings import Settings
from nst_core.transfer.styles.statistics import content_targets, style_targets
from nst_core.transfer.stylize import Iterate, finish, iterates
from tests.encoders import random_pixels

COMPACT = load_encoder("compact")
CONTENT, STYLE = (resize(random_pixels(6, 6, seed), 64, 64) for seed in (1, 2))


@pytest.mark.parametrize("end", [10, 20, 30, 60])
def test_an_early_end_gives_the_best_picture_at_full_size_and_its_losses(end: int) -> None:
    settings = Settings(size=64, steps=30, octaves=2, tolerance=0, match_colors=False)
    targets = style_targets(COMPACT, STYLE, settings)
    seen: list[Iterate] = []
    steps = iterates(
        *(COMPACT, CONTENT, targets, settings),
        seed=0,
        is_enough=lambda: seen[-1].step >= end,
    )
    outcome = finish(steps, seen.append)
    assert (outcome.steps, seen[-1].step) == (end, end)
    assert outcome.stop_reason == ("steps" if end == 60 else "budget")
    assert outcome.evaluations == seen[-1].evaluations
    best = resize(seen[-1].pixels, 64, 64) if seen[-1].octave == 1 else seen[-1].pixels
    np.testing.assert_array_equal(outcome.pixels, to_levels(best))
    expected = total_loss(outcome.pixels, settings)
    assert outcome.losses.total == pytest.approx(expected, rel=1e-4)


def total_loss(pixels: np.ndarray, settings: Settings) -> float:
    """Compute the total loss of a picture of the last octave without the optimization."""
    targets = style_targets(COMPACT, STYLE, settings)
    wanted = content_targets(COMPACT, CONTENT, tuple(settings.content_layer_weights))
    terms = loss_terms(
        *(COMPACT, settings.normalization, pixels.astype(np.float32) / 255),
        Targets(wanted, dict(targets.grams[-1]), dict(targets.centers[-1])),
        loss_weights(settings),
    )
    return float(terms.total)
