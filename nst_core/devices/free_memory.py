"""The memory that a row can still allocate, and the memory that rows in flight will need.

On a CPU, that is what the system has available, within the limits of the process's control groups
(containers have such limits). On a GPU, it is known only if the package nvidia-ml-py is installed.
"""

import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from nst_core.devices.gpus import uuid_of
from nst_core.devices.nvml import ask_nvml
from nst_core.devices.opening import names_of_gpus

PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")

FULL_GPU = ("out of memory", "out_of_memory", "alloc_failed", "dst tensor is not initialized")
"""Parts of messages, in lower case, with which TensorFlow reports a full GPU as another error."""


def is_allocation_failure(error: BaseException) -> bool:
    """Return whether an exception says that memory could not be allocated."""
    from nst_core.quiet_tensorflow import tf

    if isinstance(error, MemoryError | tf.errors.ResourceExhaustedError):
        return True
    said = str(error).lower()
    return isinstance(error, tf.errors.OpError) and any(part in said for part in FULL_GPU)


class Reservation(NamedTuple):
    """Memory that is reserved for one row.

    Attributes:
        choice: the index of the first size that fits; None if none does although no other row of
            this process has memory, and then nothing is reserved.
        free: the bytes that the row could have; None if that is unknown, and then any size fits.
    """

    choice: int | None
    free: int | None


@contextmanager
def reserved_memory(device: str, sizes: Sequence[int]) -> Iterator[Reservation]:
    """Reserve the first size that fits, for as long as the context lasts.

    Rows that run at once on the CPU share its memory, so each sees what the others leave. If no
    size fits, this waits until one of them has ended.

    Args:
        device: a device's name, such as `CPU:0`.
        sizes: in bytes, in the order of preference.
    """
    if not device.startswith("CPU"):
        free = free_on_gpu(device)
        yield Reservation(_first_that_fits(sizes, free), free)
        return
    with _of_this_process.reserving(sizes) as reservation:
        yield reservation


def _first_that_fits(sizes: Sequence[int], free: int | None) -> int | None:
    fitting = (number for number, size in enumerate(sizes) if free is None or size <= free)
    return next(fitting, None)


class _CpuMemory:
    """The memory of the CPU, as the rows of one process share it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._reserved = 0
        self._resident_at_first: int | None = None

    @contextmanager
    def reserving(self, sizes: Sequence[int]) -> Iterator[Reservation]:
        """Reserve the first size that fits, for as long as the context lasts."""
        with self._changed:
            free = self._free()
            while (choice := _first_that_fits(sizes, free)) is None and self._reserved:
                self._changed.wait()
                free = self._free()
            size = 0 if choice is None else sizes[choice]
            self._reserved += size
        try:
            yield Reservation(choice, free)
        finally:
            with self._changed:
                self._reserved -= size
                self._changed.notify_all()

    def _free(self) -> int | None:
        """Return the bytes that neither rows in flight nor others have or will need."""
        resident, available = resident_memory(), free_on_cpu()
        if self._resident_at_first is None:
            self._resident_at_first = resident
        if available is None:
            return None
        # What rows have allocated so far is in use by rows in flight, and is then a part of what is
        # reserved for them, or it was left by rows that ended, and is used again.
        of_rows = max(0, resident - self._resident_at_first)
        return max(0, available + of_rows - self._reserved)


_of_this_process = _CpuMemory()


def resident_memory(proc: Path = PROC) -> int:
    """Return the bytes of this process that are in memory; 0 if the system does not say."""
    try:
        pages = int((proc / "self" / "statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def free_on_cpu(proc: Path = PROC, cgroups: Path = CGROUPS) -> int | None:
    """Return the bytes that this process can still allocate without swapping.

    Args:
        proc, cgroups: where the kernel shows its facts and its control groups.

    Returns:
        The memory available on the machine, or less if a control group of the process (version 1 or
        2) has a lower limit; None if the system says neither.
    """
    rooms = [*_available(proc), *_rooms_of_cgroups(proc, cgroups)]
    return min(rooms, default=None)


def _available(proc: Path) -> Iterator[int]:
    found = re.search(r"^MemAvailable:\s+(\d+) kB", _text(proc / "meminfo"), re.MULTILINE)
    if found:
        yield int(found[1]) * 1024


class _Names(NamedTuple):
    """The names of the files of a control group, and of the memory in it that can be reclaimed."""

    limit: str
    used: str
    reclaimable: str


VERSION_1 = _Names("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
VERSION_2 = _Names("memory.max", "memory.current", "inactive_file")


def _rooms_of_cgroups(proc: Path, cgroups: Path) -> Iterator[int]:
    """Yield the bytes that each control group of the process, and each one above it, has left."""
    for line in _text(proc / "self" / "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            root, names = cgroups / "memory", VERSION_1
        elif not controllers:
            root, names = cgroups, VERSION_2
        else:
            continue
        # In a container, the path may be that on the host; then only the root exists here.
        inside = [] if ".." in path else [part for part in path.split("/") if part]
        for depth in range(len(inside) + 1):
            yield from _room(root.joinpath(*inside[:depth]), names)


def _room(folder: Path, names: _Names) -> Iterator[int]:
    """Yield the bytes that a control group has left, if it exists and has a limit."""
    limit, used = _text(folder / names.limit).strip(), _text(folder / names.used).strip()
    if not (limit.isdigit() and used.isdigit()):
        return
    # The kernel drops cached files before it refuses memory.
    line = re.search(rf"^{names.reclaimable} (\d+)$", _text(folder / "memory.stat"), re.MULTILINE)
    yield max(0, int(limit) - int(used) + (int(line[1]) if line else 0))


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def free_on_gpu(device: str) -> int | None:
    """Return the bytes that TensorFlow can still allocate on a GPU; None if that is unknown.

    Args:
        device: TensorFlow's name of the GPU, such as `GPU:0`.
    """
    uuid = uuid_of(device, names_of_gpus())
    # Of a GPU that is divided, NVML says only what the whole of it has left.
    free = next((gpu.free_memory for gpu in ask_nvml().gpus if gpu.uuid == uuid), None)
    if not uuid or free is None:
        return None
    from nst_core.quiet_tensorflow import tf

    # TensorFlow never gives memory back to the GPU, but allocates it again.
    mine = tf.config.experimental.get_memory_info(device)
    return free + int(mine["peak"]) - int(mine["current"])
