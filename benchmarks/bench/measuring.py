"""What all measuring programs share: clocks and memory. It needs nothing but Python."""

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

MATRIX_SIDE = 2048
"""Products of square matrices of this side measure the machine's rate."""


def peak_mb() -> float:
    """Return the peak resident memory of this process so far, in MB.

    On Linux, `getrusage` would also count what the parent process had in memory at the fork.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def until(seconds: float, run: Callable[[], int], least: int = 3) -> list[float]:
    """Return the seconds per evaluation of each call, until the time is up.

    Args:
        seconds: no call begins after this time, except the first ones.
        run: does some evaluations, and returns how many.
        least: evaluations that are done in any case.
    """
    found: list[float] = []
    began, done = time.perf_counter(), 0
    while done < least or time.perf_counter() - began < seconds:
        before = time.perf_counter()
        count = run()
        found.append((time.perf_counter() - before) / count)
        done += count
    return found


def steps_in_call(seconds: float, once: Callable[[], int], most: int = 5) -> int:
    """Return how many steps a call should take, so that several calls fit into the time.

    Args:
        seconds: the time for all calls.
        once: takes a single step, and returns the number of its evaluations.
        most: the result is not above this.
    """
    began = time.perf_counter()
    once()
    took = time.perf_counter() - began
    return max(1, min(most, int(seconds / 3 / took)))


def matrix_rate(multiply: Callable[[], object], seconds: float = 1.0) -> float:
    """Return the median rate of products of two matrices, in floating-point operations a second."""

    def once() -> int:
        multiply()
        return 1

    once()
    return 2 * MATRIX_SIDE**3 / median(until(seconds, once))
