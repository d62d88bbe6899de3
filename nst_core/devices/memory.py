"""The memory that a device has used."""

import resource
import sys


def peak_memory_mb(device: str) -> float:
    """Return the peak memory so far in MB: the GPU's or, on a CPU, this process's resident set."""
    if device.startswith("GPU"):
        from nst_core.quiet_tensorflow import tf

        return float(tf.config.experimental.get_memory_info(device)["peak"]) / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak) / (1e6 if sys.platform == "darwin" else 1e3)
