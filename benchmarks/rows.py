"""Measure the time and peak memory of a row of each preset, once TensorFlow is loaded.

    python benchmarks/rows.py [--runs 3]

Each run is a separate process with square pictures (the most pixels that a size allows). The
presets take turns, so that changes in the machine's speed affect all of them.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
from importlib.metadata import version

RUN = """
import resource, sys, time
import numpy as np
from nst_core.samples.paintings import PAINTINGS
from nst_core.samples.photographs import photograph
from nst_core.transfer.presets import PRESETS
from nst_core.transfer.stylize import stylize
content = photograph("astronaut").astype(np.float32) / np.float32(255)
style = PAINTINGS["mosaic"](512, 1).astype(np.float32) / np.float32(255)
settings = PRESETS[sys.argv[1]].model_copy(update={"enlarge": True})
started = time.perf_counter()
outcome = stylize(content, style, settings)
seconds = time.perf_counter() - started
print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3, outcome.evaluations)
"""


def measure(preset: str) -> tuple[float, float, float]:
    """Return seconds, peak resident memory in MB, and evaluations of one row in a new process."""
    command = [sys.executable, "-c", RUN, preset]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    output = subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment
    ).stdout
    seconds, megabytes, evaluations = map(float, output.split())
    return seconds, megabytes, evaluations


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--presets", nargs="+", default=["draft", "standard"])
    options = parser.parse_args()
    runs: dict[str, list[tuple[float, float, float]]] = {name: [] for name in options.presets}
    for _ in range(options.runs):
        for name, found in runs.items():
            found.append(measure(name))
    print(
        f"{os.cpu_count()} cores {platform.machine()}, Python {platform.python_version()}, "
        f"TensorFlow {version('tensorflow')}, {options.runs} runs each\n"
    )
    print("| preset | seconds: median (min to max) | peak memory, MB | evaluations |")
    print("|---|---|---|---|")
    for name, found in runs.items():
        seconds, megabytes, evaluations = zip(*found, strict=True)
        spread = f"{statistics.median(seconds):.1f} ({min(seconds):.1f} to {max(seconds):.1f})"
        print(f"| {name} | {spread} | {max(megabytes):.0f} | {evaluations[0]:.0f} |")


if __name__ == "__main__":
    main()
