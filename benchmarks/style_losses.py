"""Measure how long a step takes with each style loss, beside a step with Gram matrices.

    python benchmarks/style_losses.py [--size 256] [--rounds 2]

The losses take turns with three steps of Adam each, and the fastest round of each counts, because
other programs slow a machine down and never speed it up. The script also prints the size of the
cached targets of one style.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np

from nst_core.networks.loading import load_encoder
from nst_core.quiet_tensorflow import tf
from nst_core.samples.paintings import PAINTINGS
from nst_core.samples.photographs import photograph
from nst_core.transfer.optimization import OctaveTask
from nst_core.transfer.settings import Settings
from nst_core.transfer.statistics import style_targets
from nst_core.transfer.style_losses.costs import COSTS

STEPS = 3


def steps_of(measure: str, size: int) -> tuple[Callable[[], None], int]:
    """Return a function that takes some steps of Adam, and the bytes of the cached targets."""
    settings = Settings(size=size, octaves=1, style_measure=measure, optimizer="adam")
    encoder = load_encoder(settings.encoder)
    content = photograph("astronaut").astype(np.float32) / np.float32(255)
    targets = style_targets(encoder, PAINTINGS["swirls"](size, 1), settings)
    task = OctaveTask.prepare(encoder, content, targets, settings, 0, (size, size))
    pixels = tf.random.stateless_uniform((size, size, 3), (1, 2))
    common = (task.targets, task.weights)
    state = task.compiled.start(pixels, *common, tf.constant(0.02))
    count = tf.constant(STEPS)

    def take_steps() -> None:
        task.compiled.advance(state, *common, count).step.numpy()

    take_steps()
    return take_steps, len(targets.to_bytes())


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    steps = {name: steps_of(name, options.size) for name in COSTS}
    fastest = dict.fromkeys(steps, float("inf"))
    for _ in range(options.rounds):
        for name, (take_steps, _) in steps.items():
            started = time.perf_counter()
            take_steps()
            fastest[name] = min(fastest[name], time.perf_counter() - started)
    print("| `style_measure` | time of a step, relative to `gram` | cached targets, MB |")
    print("|---|---|---|")
    for name, seconds in fastest.items():
        print(f"| `{name}` | {seconds / fastest['gram']:.1f} | {steps[name][1] / 1e6:.1f} |")


if __name__ == "__main__":
    main()
