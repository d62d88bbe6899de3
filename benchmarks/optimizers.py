"""How many evaluations of loss and gradient L-BFGS and Adam need for the same total loss.

    python benchmarks/optimizers.py [--size 256] [--adam-evaluations 400]

One pair of the demo, one octave, both from the same start. Adam runs at several learning rates, so
that it is compared at its best; each of its losses is then looked up in the curve of L-BFGS. The
counts do not depend on the machine's speed.
"""

import argparse

import numpy as np

from nst_core.networks import load_encoder
from nst_core.samples.paintings import PAINTINGS
from nst_core.samples.photographs import photograph
from nst_core.settings import Settings
from nst_core.statistics import style_targets
from nst_core.stylize import Iterate, finish, iterates

LEARNING_RATES = (0.01, 0.02, 0.05, 0.1)


def curve(settings: Settings) -> list[tuple[int, float]]:
    """Evaluations and total loss at each report."""
    content = photograph("cat").astype(np.float32) / np.float32(255)
    style = PAINTINGS["swirls"](512, 1).astype(np.float32) / np.float32(255)
    targets = style_targets(load_encoder(settings.encoder), style, settings)
    seen: list[tuple[int, float]] = []

    def note(iterate: Iterate) -> None:
        seen.append((iterate.evaluations, iterate.losses.total))

    finish(iterates(content, targets, settings, seed=0), note)
    return seen


def evaluations_until(points: list[tuple[int, float]], loss: float) -> int | None:
    """The first report at which a curve is at or below a loss."""
    return next((count for count, total in points if total <= loss), None)


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--adam-evaluations", type=int, default=400)
    options = parser.parse_args()
    base = Settings(size=options.size, octaves=1, tolerance=0)
    lbfgs = curve(base.model_copy(update={"steps": options.adam_evaluations // 3}))
    adam = {
        rate: curve(
            base.model_copy(
                update={
                    "optimizer": "adam",
                    "learning_rate": rate,
                    "steps": options.adam_evaluations,
                }
            )
        )
        for rate in LEARNING_RATES
    }
    print("| Adam's evaluations | its loss (best learning rate) | L-BFGS's evaluations | ratio |")
    print("|---|---|---|---|")
    for count in (50, 100, 200, 300, options.adam_evaluations):
        loss, rate = min(
            (min(total for done, total in points if done <= count + 1), rate)
            for rate, points in adam.items()
        )
        needed = evaluations_until(lbfgs, loss)
        ratio = "" if needed is None else f"{count / needed:.1f}"
        print(f"| {count} | {loss:.5f} ({rate:g}) | {needed} | {ratio} |")


if __name__ == "__main__":
    main()
