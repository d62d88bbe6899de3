"""Count the evaluations of loss and gradient that L-BFGS and Adam need for equal total loss.

    python benchmarks/optimizers.py [--size 160] [--evaluations 300]

Both optimizers stylize pairs of the demo from the same start, with one octave. Adam runs at several
learning rates, so that it is compared at its best. The script then looks up Adam's loss in the
curve of L-BFGS, which has a point every ten steps. The counts do not depend on the machine's speed.
"""

import argparse

import numpy as np

from nst_core.networks.loading import load_encoder
from nst_core.samples.paintings import PAINTINGS
from nst_core.samples.photographs import photograph
from nst_core.transfer.settings import Settings
from nst_core.transfer.styles.statistics import style_targets
from nst_core.transfer.stylize import Iterate, finish, iterates

LEARNING_RATES = (0.01, 0.02, 0.05)
PAIRS = (("cat", "swirls"), ("cat", "woodcut"), ("coffee", "stained_glass"))
COUNTS = (50, 100, 200, 300)

Curve = list[tuple[int, float]]
"""The number of evaluations and the total loss at each report."""


def curve(content_name: str, style_name: str, settings: Settings) -> Curve:
    """Return the curve of one optimization."""
    content = photograph(content_name).astype(np.float32) / np.float32(255)
    style = PAINTINGS[style_name](512, 1).astype(np.float32) / np.float32(255)
    encoder = load_encoder(settings.encoder)
    targets = style_targets(encoder, style, settings)
    seen: Curve = []

    def note(iterate: Iterate) -> None:
        seen.append((iterate.evaluations, iterate.losses.total))

    finish(iterates(encoder, content, targets, settings, seed=0), note)
    return seen


def adam_settings(base: Settings, rate: float) -> Settings:
    """Return the same settings with Adam, and as many steps as the table has evaluations."""
    return base.model_copy(
        update={"optimizer": "adam", "learning_rate": rate, "steps": max(COUNTS)}
    )


def best_loss(adam: dict[float, Curve], count: int) -> tuple[float, float]:
    """Return Adam's lowest loss after `count` evaluations, and the learning rate that led to it."""
    return min(
        (min(total for done, total in points if done <= count + 1), rate)
        for rate, points in adam.items()
    )


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=160)
    options = parser.parse_args()
    base = Settings(size=options.size, octaves=1, tolerance=0)
    print("| pair | evaluations of Adam | its loss (best learning rate) | of L-BFGS | ratio |")
    print("|---|---|---|---|---|")
    for pair in PAIRS:
        lbfgs = curve(*pair, base.model_copy(update={"steps": max(COUNTS) * 3 // 4}))
        adam = {rate: curve(*pair, adam_settings(base, rate)) for rate in LEARNING_RATES}
        for count in COUNTS:
            loss, rate = best_loss(adam, count)
            needed = next((done for done, total in lbfgs if total <= loss), None)
            ratio = "" if needed is None else f"{count / needed:.1f}"
            reached = f"{loss:.5f} ({rate:g})"
            print(f"| {' x '.join(pair)} | {count} | {reached} | {needed} | {ratio} |", flush=True)


if __name__ == "__main__":
    main()
