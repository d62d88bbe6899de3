"""The GPUs that this process may use, and their locks on the machine, without TensorFlow."""

import os
import re
from pathlib import Path

from nst_core.storage.locks import shared_lock


def visible_gpus() -> tuple[str, ...]:
    """Find the NVIDIA GPUs that this process may use, by CUDA's names, without TensorFlow."""
    nodes = [node for node in Path("/dev").glob("nvidia*") if re.fullmatch(r"nvidia\d+", node.name)]
    listed = _listed_gpus()
    return tuple(map(str, range(len(nodes)))) if listed is None else listed[: len(nodes)]


def _listed_gpus() -> tuple[str, ...] | None:
    """Return the GPUs that `CUDA_VISIBLE_DEVICES` lists, or None if it is not set."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    return None if listed is None else tuple(filter(None, map(str.strip, listed.split(","))))


def listed_name(device: str) -> str:
    """Return CUDA's name of a device of this process: its number on the machine, or its UUID.

    Args:
        device: TensorFlow's name, such as `GPU:0`.
    """
    number = device.partition(":")[2]
    listed = _listed_gpus()
    return listed[int(number)] if listed else number


def device_lock(device: str) -> Path:
    """Return a GPU's lock file, which is named after the GPU's number on the machine.

    The name in this process would not do: a process that sees only one GPU always calls it `GPU:0`.

    Raises:
        LockError: as in `shared_lock`.
    """
    kind = device.partition(":")[0]
    return shared_lock(f"{kind}{listed_name(device).replace('/', '-')}")
