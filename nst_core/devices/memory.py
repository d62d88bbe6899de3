"""The memory that a device has used, and that a process holds."""

import os
import re
import resource
import sys
from pathlib import Path

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
    # On Linux, this would include the peak of the process that started this one.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024)


def resident_memory(proc: Path = PROC, process: int | str = "self") -> int:
    """Return the bytes of a process that are in memory; 0 if the system does not say.

    Args:
        proc: where the kernel shows its facts.
        process: the process's ID; `self` for this process.
    """
    try:
        pages = int((proc / str(process) / "statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
