"""The GPUs that this process may use, and their locks on the machine, without TensorFlow."""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from nst_core.devices.numbering import listed_gpus, uuids_in_cuda, uuids_in_tensorflow
from nst_core.devices.nvml import Gpu, ask_nvml
from nst_core.storage.locks import shared_lock


def visible_gpus() -> tuple[str, ...]:
    """Find the NVIDIA GPUs that this process may use, by CUDA's names, without TensorFlow."""
    nodes = [node for node in Path("/dev").glob("nvidia*") if re.fullmatch(r"nvidia\d+", node.name)]
    listed = listed_gpus()
    return tuple(map(str, range(len(nodes)))) if listed is None else listed[: len(nodes)]


@cache
def machine_gpus() -> tuple[Gpu, ...]:
    """Ask the driver for all GPUs, once: each question can take a second."""
    return ask_nvml().gpus


def uuid_of(device: str, names: Sequence[str] | None = None) -> str:
    """Return the UUID of a GPU such as `GPU:0`; empty if NVML does not know it for certain.

    Args:
        device: TensorFlow's name for the GPU in this process.
        names: what TensorFlow calls the models of its GPUs. None if TensorFlow is not loaded; it
            is then assumed to use all GPUs that CUDA shows.
    """
    gpus = machine_gpus()
    uuids = uuids_in_cuda(gpus) if names is None else uuids_in_tensorflow(gpus, names)
    number = int(device.partition(":")[2])
    return uuids[number] if number < len(uuids) else ""


def device_lock(device: str, names: Sequence[str] | None = None) -> Path:
    """Return a GPU's lock file, which is named after its UUID or else its number on the machine.

    The name in this process would not do: a process that sees only one GPU always calls it `GPU:0`.

    Args:
        device: as in `uuid_of`.
        names: as in `uuid_of`.

    Raises:
        LockError: as in `shared_lock`.
    """
    if uuid := uuid_of(device, names):
        return lock_of(uuid)
    number = device.partition(":")[2]
    listed = listed_gpus() or ()
    return lock_of(listed[int(number)] if int(number) < len(listed) else number)


def lock_of(uuid: str) -> Path:
    """Return the lock file of the GPU or MIG instance with a UUID.

    Raises:
        LockError: as in `shared_lock`.
    """
    return shared_lock(f"GPU{uuid.replace('/', '-')}")
