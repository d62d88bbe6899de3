"""Measure what a step takes with each style loss, beside a step with Gram matrices.

    python benchmarks/style_losses.py [--sizes 256 512 1024] [--rounds 5]

For each size and loss, one process takes turns between two steps of Adam with the loss and two with
Gram matrices; the table shows the median of the ratios. Another process takes the same steps with
the loss alone; the table shows the peak of its memory. The size of the cached targets of one style,
with one octave, is that of their file.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from statistics import median
from typing import Any

from nst_core.transfer.style_losses.costs import COSTS, GRAM

STEPS = 2


def steps_of(measure: str, size: int) -> tuple[Callable[[], None], int]:
    """Return a function that takes some steps of Adam, and the bytes of the cached targets."""
    import numpy as np

    from nst_core.networks.loading import load_encoder
    from nst_core.quiet_tensorflow import tf
    from nst_core.samples.paintings import PAINTINGS
    from nst_core.samples.photographs import photograph
    from nst_core.transfer.optimization.optimization import OctaveTask
    from nst_core.transfer.settings import Settings
    from nst_core.transfer.styles.statistics import style_targets

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


def seconds_of(function: Callable[[], None]) -> float:
    """Return how long a call takes."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def in_turns(measure: str, size: int, rounds: int) -> dict[str, float]:
    """Return the seconds of a step, relative to Gram matrices, and the megabytes of targets."""
    (take_steps, targets), (with_gram, _) = (steps_of(name, size) for name in (measure, GRAM))
    pairs = [(seconds_of(take_steps), seconds_of(with_gram)) for _ in range(rounds)]
    return {
        "seconds": median(own for own, _ in pairs) / STEPS,
        "ratio": median(own / gram for own, gram in pairs),
        "targets": targets / 1e6,
    }


def alone(measure: str, size: int, rounds: int) -> dict[str, float]:
    """Return the gigabytes of memory that this process took at its peak."""
    take_steps, _ = steps_of(measure, size)
    for _ in range(min(rounds, 2)):
        take_steps()
    return {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9}


PARTS: dict[str, Callable[[str, int, int], dict[str, float]]] = {
    "in_turns": in_turns,
    "alone": alone,
}


def measured(part: str, measure: str, size: int, rounds: int) -> dict[str, Any]:
    """Return what one of the `PARTS` measures in a process of its own."""
    command = [sys.executable, __file__, "--part", part, measure, str(size), str(rounds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--part", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        part, measure, size, rounds = options.part
        print(json.dumps(PARTS[part](measure, int(size), int(rounds))))
        return
    print(
        f"{os.cpu_count()} cores {platform.machine()}, Python {platform.python_version()}, "
        f"TensorFlow {version('tensorflow')}\n\n"
        "| size | `style_measure` | seconds | relative to `gram` | peak GB | targets, MB |\n"
        "|---|---|---|---|---|---|",
        flush=True,
    )
    for size in options.sizes:
        for name in COSTS:
            turns = measured("in_turns", name, size, options.rounds)
            peak = measured("alone", name, size, options.rounds)["peak"]
            print(
                f"| {size} | `{name}` | {turns['seconds']:.3f} | {turns['ratio']:.2f} "
                f"| {peak:.2f} | {turns['targets']:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
