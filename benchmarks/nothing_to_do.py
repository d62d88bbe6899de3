"""Measure how much longer a batch that is already done takes than an empty Prefect flow.

    python benchmarks/nothing_to_do.py MANIFEST OUTPUT [--cache DIR] [--runs 5]

It times complete processes of the two kinds in turn, each with Prefect's embedded server. OUTPUT
must contain the finished batch.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

EMPTY = """
from flows.process import environment
environment.prepare()
from prefect import flow
@flow
def empty():
    pass
empty()
"""


def seconds(command: list[str]) -> float:
    """Return the wall time of a process that must succeed."""
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return time.perf_counter() - started


def main() -> None:
    """Print the median times of both, and the median of the differences within the pairs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest")
    parser.add_argument("output")
    parser.add_argument("--cache")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    batch = [str(Path(sys.executable).parent / "nst-batch"), "run", options.manifest]
    batch += ["--output", options.output]
    batch += ["--cache", options.cache] if options.cache else []
    empty = [sys.executable, "-c", EMPTY]
    pairs = [(seconds(empty), seconds(batch)) for _ in range(options.runs + 1)][1:]
    differences = [done - nothing for nothing, done in pairs]
    for name, found in (
        ("empty flow", [nothing for nothing, _ in pairs]),
        ("batch that is done", [done for _, done in pairs]),
        ("difference, pair by pair", differences),
    ):
        spread = f"({min(found):.1f} to {max(found):.1f})"
        print(f"{name}: median {statistics.median(found):.1f} s {spread}")


if __name__ == "__main__":
    main()
