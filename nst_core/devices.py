"""The devices there are, each lent to one optimization at a time."""

import os
import queue
import re
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path


def device_count() -> int:
    """How many optimizations can run at once, found out without TensorFlow: GPUs, else 1."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    nodes = [node for node in Path("/dev").glob("nvidia*") if re.fullmatch(r"nvidia\d+", node.name)]
    listed = len(nodes) if visible is None else len([name for name in visible.split(",") if name])
    return max(1, min(listed, len(nodes)))


@cache
def _idle_devices() -> "queue.SimpleQueue[str]":
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        # Otherwise the first process takes all memory, and the next one none.
        tf.config.experimental.set_memory_growth(gpu, True)
    idle: queue.SimpleQueue[str] = queue.SimpleQueue()
    for device in tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU"):
        idle.put(f"{device.device_type}:{device.name.rpartition(':')[2]}")
    return idle


@contextmanager
def lend_device() -> Iterator[str]:
    """Wait for an idle device, place TensorFlow's operations on it, give it back in the end.

    Yields:
        Its name, such as `GPU:0`; the first CPU where TensorFlow sees no GPU.
    """
    import tensorflow as tf

    idle = _idle_devices()
    device = idle.get()
    try:
        with tf.device(f"/{device}"):
            yield device
    finally:
        idle.put(device)


def peak_memory_mb(device: str) -> float:
    """The most memory in use so far, in MB: of the GPU, or resident of the process on a CPU."""
    if device.startswith("GPU"):
        import tensorflow as tf

        return float(tf.config.experimental.get_memory_info(device)["peak"]) / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak) / (1e6 if sys.platform == "darwin" else 1e3)
