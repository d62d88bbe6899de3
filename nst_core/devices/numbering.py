"""Which GPU of the machine CUDA and TensorFlow mean by a number, if that is certain."""

import os
import sys
from collections.abc import Sequence
from itertools import takewhile

from nst_core.devices.nvml import Gpu

ORDER, BY_BUS = "CUDA_DEVICE_ORDER", "PCI_BUS_ID"
"""The variable that says how CUDA numbers GPUs, and the value that makes it use their addresses.

By default, CUDA begins with the GPU that it considers the fastest, which cannot be predicted:
https://docs.nvidia.com/cuda/cuda-programming-guide/05-appendices/environment-variables.html
"""


def number_by_bus() -> None:
    """Make CUDA number GPUs by their addresses, as `nvidia-smi` does, unless the user chose.

    CUDA reads the variable once. If TensorFlow is loaded already, it is therefore left alone.
    """
    if "tensorflow" not in sys.modules:
        os.environ.setdefault(ORDER, BY_BUS)


def listed_gpus() -> tuple[str, ...] | None:
    """Return the GPUs that `CUDA_VISIBLE_DEVICES` lists, or None if it is not set."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    return None if listed is None else tuple(filter(None, map(str.strip, listed.split(","))))


def uuids_in_cuda(gpus: Sequence[Gpu]) -> tuple[str, ...]:
    """Return the UUIDs of the GPUs that CUDA shows to this process, in the order of its numbers.

    Args:
        gpus: all GPUs of the machine, or of the container.

    Returns:
        The UUIDs of GPUs or MIG instances; empty if they or their order are not certain.
    """
    ordered = sorted(gpus, key=lambda gpu: gpu.bus)
    usable = tuple(uuid for gpu in ordered for uuid in gpu.usable)
    is_divided = any(gpu.is_divided for gpu in ordered)
    has_numbers = len(usable) == 1 or (os.environ.get(ORDER) == BY_BUS and not is_divided)
    numbered = usable if has_numbers else ()
    listed = listed_gpus()
    if listed is None:
        return numbered
    # CUDA shows one MIG instance at most, and then no other GPU.
    is_mixed = is_divided and len(listed) > 1
    if is_mixed or (not numbered and any(map(str.isdecimal, listed))):
        return ()
    # Like CUDA, we stop at the first entry that does not exist.
    return tuple(takewhile(bool, (_meant(entry, numbered, usable) for entry in listed)))


def _meant(entry: str, numbered: Sequence[str], usable: Sequence[str]) -> str:
    """Return the UUID that an entry of `CUDA_VISIBLE_DEVICES` means; empty if it means no GPU.

    An entry is a number, a UUID, or the beginning of a UUID that no other GPU shares.
    """
    if entry.isdecimal():
        return numbered[int(entry)] if int(entry) < len(numbered) else ""
    begun = [uuid for uuid in usable if uuid.startswith(entry)]
    return begun[0] if len(begun) == 1 else ""


def uuids_in_tensorflow(gpus: Sequence[Gpu], names: Sequence[str]) -> tuple[str, ...]:
    """Return the UUIDs of TensorFlow's GPUs, in the order of its numbers.

    TensorFlow leaves out GPUs that are too old or much weaker than the others, and then numbers
    the rest. (They are those with fewer multiprocessors than 8 and than the strongest GPU:
    `GetValidDeviceIds` in tensorflow/core/common_runtime/gpu/gpu_device.cc.)

    Args:
        gpus: as in `uuids_in_cuda`.
        names: the names of TensorFlow's GPUs, such as `NVIDIA H100 80GB HBM3`.

    Returns:
        A UUID for each name; empty if they are not certain.
    """
    shown = uuids_in_cuda(gpus)
    if len(shown) == len(names):
        return shown
    name_of = {uuid: gpu.name for gpu in gpus for uuid in gpu.usable}
    kept = tuple(uuid for uuid in shown if name_of[uuid] in names)
    return kept if [name_of[uuid] for uuid in kept] == list(names) else ()
