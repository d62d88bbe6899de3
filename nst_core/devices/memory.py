"""The memory that a device has used, and that a process holds."""

import re
from pathlib import Path

import psutil

from nst_core import system

PROC = Path("/proc")


def peak_memory_mb(device: str) -> float:
    """Return the peak memory so far in MB: the GPU's or, on a CPU, this process's resident set."""
    if device.startswith("GPU"):
        from nst_core.quiet_tensorflow import tf

        return float(tf.config.experimental.get_memory_info(device)["peak"]) / 1e6
    return peak_resident_memory() / 1e6


def peak_resident_memory(proc: Path = PROC) -> int:
    """Return the most bytes of this process that were in memory at once.

    Args:
        proc: where the kernel shows its facts.
    """
    try:
        found = re.search(r"^VmHWM:\s+(\d+) kB", (proc / "self" / "status").read_text(), re.M)
    except OSError:
        found = None
    if found:
        return int(found[1]) * 1024
    return system.peak_memory()


def resident_memory(process: int | None = None) -> int:
    """Return the bytes of a process that are in memory; 0 if it has ended.

    Args:
        process: the process's ID; None for this process.
    """
    try:
        return int(psutil.Process(process).memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
