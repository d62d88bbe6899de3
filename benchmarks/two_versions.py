"""Compare how long the steps of two versions take, in turns.

    python benchmarks/two_versions.py BEFORE AFTER [--sizes 256 512] [--rounds 20]

BEFORE and AFTER are checkouts of this repository; their pixels may differ, but both must have
`iterates` and `style_targets` in the public API of `nst_core`. For each size and optimizer, both
versions run at the same time, each in a process of its own, and take turns with ten steps of
the same row. The table shows the median of each, and the median of the ratios of turns.
"""

import argparse
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from itertools import product
from pathlib import Path
from statistics import median

STEPS = 10
"""Steps between two iterates, which is one turn."""

SETTINGS = ("", "optimizer='adam'")

PROGRAM = """
import sys, time
from nst_core import Settings, iterates, load_encoder, style_targets
from nst_core.samples.paintings import PAINTINGS
from nst_core.samples.photographs import photograph

size = {size}
settings = Settings(size=size, octaves=1, steps=10_000, tolerance=0, {choices})
encoder = load_encoder(settings.encoder)
targets = style_targets(encoder, PAINTINGS["swirls"](size, 1), settings)
steps = iterates(encoder, photograph("astronaut"), targets, settings, seed=1)
for _ in sys.stdin:
    began = time.perf_counter()
    next(steps)
    print(time.perf_counter() - began, flush=True)
"""


class Version:
    """A row of one version, which runs whenever it is its turn."""

    def __init__(self, checkout: Path, size: int, choices: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", PROGRAM.format(size=size, choices=choices)],
            env=os.environ | {"PYTHONPATH": str(checkout.absolute())},
            cwd=checkout,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def turn(self) -> float:
        """Return how many seconds ten steps take."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(file=self._process.stdin, flush=True)
        return float(self._process.stdout.readline())

    def end(self) -> None:
        """End its process."""
        self._process.kill()
        self._process.wait()


def compared(checkouts: list[Path], size: int, choices: str, rounds: int) -> list[list[float]]:
    """Return pairs of the seconds of ten steps."""
    versions = [Version(checkout, size, choices) for checkout in checkouts]
    try:
        # The first two turns contain the start and the compilation.
        pairs = [[each.turn() for each in versions] for _ in range(rounds + 2)]
    finally:
        for each in versions:
            each.end()
    return pairs[2:]


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkouts", type=Path, nargs=2, metavar="CHECKOUT")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    print(
        f"{os.cpu_count()} cores {platform.machine()}, Python {platform.python_version()}, "
        f"TensorFlow {version('tensorflow')}\n\n"
        "| size | settings | before: seconds a step | after | ratio |\n|---|---|---|---|---|",
        flush=True,
    )
    for size, choices in product(options.sizes, SETTINGS):
        pairs = compared(options.checkouts, size, choices, options.rounds)
        before, after = (median(each) / STEPS for each in zip(*pairs, strict=True))
        ratio = median(new / old for old, new in pairs)
        print(
            f"| {size} | {choices or 'the defaults'} | {before:.4f} | {after:.4f} | {ratio:.3f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
