"""The memory that a row can still allocate, and the memory that rows in flight will need.

On a CPU, that is what the system has available, within the limits of the process's control groups
(containers have such limits). On a GPU, it is known only if the package nvidia-ml-py is installed.
"""

import re
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

import psutil

from nst_core.devices.gpus import uuid_of
from nst_core.devices.memory import PROC, resident_memory
from nst_core.devices.nvml import ask_nvml
from nst_core.devices.opening import names_of_gpus
from nst_core.devices.processes import DeviceProcess, process_of

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
def reserved_memory(
    device: str, sizes: Sequence[int], *, isolated: bool = False, tf32: bool = True
) -> Iterator[Reservation]:
    """Reserve the first size that fits, for as long as the context lasts.

    Rows that run at once on the CPU share its memory, so each sees what the others leave. If no
    size fits, this waits until one of them has ended.

    Args:
        device: a device's name, such as `CPU:0`.
        sizes: in bytes, in the order of preference.
        isolated: whether the row runs in the process of the device, which is then started if there
            is none, so that what it takes is not counted as free.
        tf32: which process that is; see `process_of`.

    Raises:
        ProcessEndedError, ProcessKilledError: the process of the device ended while it started.
    """
    process = process_of(device, tf32=tf32) if isolated else None
    if not device.startswith("CPU"):
        free = free_on_gpu(device, process)
        yield Reservation(_first_that_fits(sizes, free), free)
        return
    with _cpu_memory.reserving(sizes, process) as reservation:
        yield reservation


def _first_that_fits(sizes: Sequence[int], free: int | None) -> int | None:
    fitting = (number for number, size in enumerate(sizes) if free is None or size <= free)
    return next(fitting, None)


class Holder(Protocol):
    """A process in which rows run, and which holds the memory that they allocate."""

    @property
    def held_memory(self) -> int:
        """The bytes in memory that rows have allocated so far, and not given back."""


class _ThisProcess:
    def __init__(self) -> None:
        self._resident_at_first: int | None = None

    @property
    def held_memory(self) -> int:
        resident = resident_memory()
        if self._resident_at_first is None:
            self._resident_at_first = resident
        return max(0, resident - self._resident_at_first)


class _CpuMemory:
    """The memory of the CPU, as the rows of a batch share it, in one process or in several."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._this_process = _ThisProcess()
        self._reserved: Counter[Holder] = Counter()

    @contextmanager
    def reserving(
        self, sizes: Sequence[int], process: Holder | None = None
    ) -> Iterator[Reservation]:
        """Reserve the first size that fits, for as long as the context lasts.

        Args:
            sizes: in bytes, in the order of preference.
            process: the one in which the row runs; None for this process.
        """
        holder = process or self._this_process
        with self._changed:
            free = self._free(holder)
            while (choice := _first_that_fits(sizes, free)) is None and self._reserved.total():
                self._changed.wait()
                free = self._free(holder)
            size = 0 if choice is None else sizes[choice]
            self._reserved[holder] += size
        try:
            yield Reservation(choice, free)
        finally:
            with self._changed:
                self._reserved[holder] -= size
                if not self._reserved[holder]:
                    del self._reserved[holder]
                self._changed.notify_all()

    def _free(self, holder: Holder) -> int:
        """Return the bytes that a row in a process can have, beside the rows in flight."""
        held, available = holder.held_memory, free_on_cpu()
        # What rows have allocated in this process so far is in use by rows in flight, and is then
        # a part of what is reserved for them, or it was left by rows that ended, and is used again.
        # Another process does not use it again, but its rows in flight need only what they lack.
        lacking = sum(
            max(0, reserved - other.held_memory)
            for other, reserved in self._reserved.items()
            if other is not holder
        )
        return max(0, available + held - self._reserved[holder] - lacking)


_cpu_memory = _CpuMemory()


def free_on_cpu(proc: Path = PROC, cgroups: Path = CGROUPS) -> int:
    """Return the bytes that this process can still allocate without swapping.

    Args:
        proc, cgroups: where the kernel shows its facts and its control groups.

    Returns:
        The memory available on the machine, or less if a control group of the process (version 1 or
        2) has a lower limit.
    """
    return min((_available(proc), *_rooms_of_cgroups(proc, cgroups)))


def _available(proc: Path) -> int:
    found = re.search(r"^MemAvailable:\s+(\d+) kB", _text(proc / "meminfo"), re.MULTILINE)
    # What macOS and Windows have available, psutil estimates.
    return int(found[1]) * 1024 if found else int(psutil.virtual_memory().available)


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


def free_on_gpu(device: str, process: DeviceProcess | None = None) -> int | None:
    """Return the bytes that TensorFlow can still allocate on a GPU; None if that is unknown.

    Args:
        device: TensorFlow's name of the GPU, such as `GPU:0`.
        process: the one that will allocate them; None for this process.
    """
    uuid = uuid_of(device, names_of_gpus())
    # Of a GPU that is divided, NVML says only what the whole of it has left.
    free = next((gpu.free_memory for gpu in ask_nvml().gpus if gpu.uuid == uuid), None)
    if not uuid or free is None:
        return None
    unused = partial(_unused_on_gpu, device)
    return free + (process.run(unused) if process else unused())


def _unused_on_gpu(device: str, _: object = None) -> int:
    """Return the bytes that this process holds on a GPU, and that TensorFlow does not use now."""
    from nst_core.quiet_tensorflow import tf

    # TensorFlow never gives memory back to the GPU, but allocates it again.
    mine = tf.config.experimental.get_memory_info(device)
    return int(mine["peak"]) - int(mine["current"])
