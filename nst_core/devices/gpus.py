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


def device_lock(device: str) -> Path:
    """Return a GPU's lock file, which is named after the GPU's number on the machine.

    The name in this process would not do: a process that sees only one GPU always calls it `GPU:0`.

    Raises:
        LockError: as in `shared_lock`.
    """
    kind, _, number = device.partition(":")
    listed = _listed_gpus()
    if listed:
        number = listed[int(number)].replace("/", "-")
    return shared_lock(f"{kind}{number}")
