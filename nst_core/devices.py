"""The devices to compute on, each used by one optimization at a time."""

import os
import re
import resource
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TypeVar

from nst_core.errors import UserError
from nst_core.storage.locks import LockError, flock, holder_of, shared_lock

AUTO = "auto"
CPU = "cpu"
ANY_GPU = "gpu"
PATTERN = r"auto|gpu|cpu|(cpu|gpu):\d+(,(cpu|gpu):\d+)*"
"""What users may request: `auto` (the GPUs or else the CPU), `gpu`, `cpu`, or devices by number."""

UNLOCKED_CPU = "unlocked cpu"
"""The CPU of a cluster that limits how many rows share it; for workers, not for users."""

MOST_FAILURES = 2
"""Consecutive failures after which a device is not used, as long as there are others."""

Result = TypeVar("Result")


class DeviceError(UserError):
    """A requested device that is not available; the message says what to do."""


class DeviceFailedError(Exception):
    """A device that failed while it worked on a row, which may be tried on another one."""

    def __init__(self, device: str, reason: str) -> None:
        # Both are arguments, or else the error could not be sent from another process.
        super().__init__(device, reason)
        self.device = device

    def __str__(self) -> str:
        return "{} failed: {}".format(*self.args)


def written_plainly(text: str) -> str:
    """Convert a user's text, which may have capitals and spaces, to the form of `PATTERN`.

    Raises:
        DeviceError: it does not match `PATTERN`, or names a device twice.
    """
    parse_devices(text)
    return _without_spaces(text)


def _without_spaces(text: str) -> str:
    return text.strip().lower().replace(" ", "")


def parse_devices(text: str) -> tuple[str, ...]:
    """Parse `gpu:0,gpu:2` to TensorFlow's names `GPU:0` and `GPU:2`; none for `auto` and `gpu`.

    Raises:
        DeviceError: the text does not match `PATTERN`, or names a device twice.
    """
    wanted = _without_spaces(text)
    if not re.fullmatch(PATTERN, wanted):
        raise DeviceError(
            f"devices: found {text!r}; expected auto, gpu, cpu, or devices such as gpu:0,gpu:2"
        )
    if wanted in (AUTO, ANY_GPU):
        return ()
    names = tuple("CPU:0" if name == CPU else name.upper() for name in wanted.split(","))
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DeviceError(f"devices: found {twice[0].lower()} twice in {text!r}; expected it once")
    return names


def visible_gpus() -> tuple[str, ...]:
    """Find the NVIDIA GPUs that this process may use, by CUDA's names, without TensorFlow."""
    nodes = [node for node in Path("/dev").glob("nvidia*") if re.fullmatch(r"nvidia\d+", node.name)]
    listed = _listed_gpus()
    return tuple(map(str, range(len(nodes)))) if listed is None else listed[: len(nodes)]


def _listed_gpus() -> tuple[str, ...] | None:
    """Return the GPUs that `CUDA_VISIBLE_DEVICES` lists, or None if it is not set."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    return None if listed is None else tuple(filter(None, map(str.strip, listed.split(","))))


def open_devices(text: str) -> tuple[str, ...]:
    """Check and prepare the requested devices, and return TensorFlow's names for them.

    GPUs allocate memory as they need it, not all at once. Several CPUs (`cpu:0,cpu:1`) are parts
    of the one CPU, so that as many rows run at once.

    Raises:
        DeviceError: TensorFlow sees no such device in this process.
    """
    from nst_core.quiet_tensorflow import tf

    wanted = parse_devices(text)
    _split_cpu(1 + max((int(name[4:]) for name in wanted if name.startswith("CPU")), default=0))
    _grow_as_needed()
    there = [
        f"{device.device_type}:{device.name.rpartition(':')[2]}"
        for device in tf.config.list_logical_devices()
    ]
    gpus = tuple(name for name in there if name.startswith("GPU"))
    missing = [name.lower() for name in wanted if name not in there]
    if _without_spaces(text) == ANY_GPU and not gpus:
        missing = [ANY_GPU]
    if missing:
        raise DeviceError(
            f"devices: {', '.join(missing)} asked for, but TensorFlow sees "
            f"{', '.join(name.lower() for name in there)}; `nst-batch doctor` says more, and a GPU "
            "needs NVIDIA's driver and pip install 'nst-batch[gpu]'"
        )
    return wanted or gpus or ("CPU:0",)


@cache
def _split_cpu(parts: int) -> None:
    from nst_core.quiet_tensorflow import tf

    if parts == 1:
        return
    (cpu,) = tf.config.list_physical_devices("CPU")
    part = tf.config.LogicalDeviceConfiguration()
    try:
        tf.config.set_logical_device_configuration(cpu, [part] * parts)
    except RuntimeError as error:
        raise DeviceError(
            f"devices: the CPU cannot be split in {parts} any more, as TensorFlow has started in "
            "this process; ask for them before anything runs"
        ) from error


@cache
def _grow_as_needed() -> None:
    """Keep the first process from taking all of a GPU's memory, and leaving none for the next."""
    from nst_core.quiet_tensorflow import tf

    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)


def device_lock(device: str) -> Path:
    """Return a GPU's lock file, named after the GPU on the machine, not its name in the process.

    A process that can see a single GPU calls it `GPU:0`, whichever it is.

    Raises:
        LockError: as in `shared_lock`.
    """
    kind, _, number = device.partition(":")
    listed = _listed_gpus()
    if listed:
        number = listed[int(number)].replace("/", "-")
    return shared_lock(f"{kind}{number}")


_failures: Counter[str] = Counter()
"""The number of consecutive failures of each device in this process."""


_cpu_parts: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
"""The lock of each part of the CPU in this process; other runs have their own parts."""

OnWait = Callable[[str], None]
"""Called with the user of a device, such as `process 4711 of anna`; empty if unknown."""


@contextmanager
def lend_device(devices: Sequence[str], on_wait: OnWait | None = None) -> Iterator[str]:
    """Wait for an idle device, place TensorFlow's operations on it, and release it at the end.

    A GPU works on one row at a time on the whole machine, and the kernel releases it if the process
    dies. A part of the CPU works on one row at a time in this process, and never waits for a row of
    another run.

    Args:
        devices: the choice, from `open_devices`.
        on_wait: called every tenth of a second while all are in use; an exception in it ends the
            wait.

    Yields:
        The device's name, such as `GPU:0`.

    Raises:
        DeviceFailedError: the device failed while it was in use.
        LockError: the lock of a GPU cannot be used.
    """
    from nst_core.quiet_tensorflow import tf

    device, give_back = _take(devices, on_wait)
    try:
        with tf.device(f"/{device}"):
            yield device
        _failures[device] = 0
    except (tf.errors.InternalError, tf.errors.UnavailableError, tf.errors.UnknownError) as error:
        _failures[device] += 1
        raise DeviceFailedError(device, f"{type(error).__name__}: {error}") from error
    finally:
        give_back()


def _take(devices: Sequence[str], on_wait: OnWait | None) -> tuple[str, Callable[[], None]]:
    """Wait for an idle device, and return its name and a function that releases it."""
    while True:
        sound = [device for device in devices if _failures[device] < MOST_FAILURES]
        for device in sound or devices:
            if give_back := _take_if_idle(device):
                return device, give_back
        if on_wait:
            gpus = (device for device in devices if device.startswith("GPU"))
            on_wait(next(filter(None, map(holder_of, map(device_lock, gpus))), ""))
        time.sleep(0.1)


def _take_if_idle(device: str) -> Callable[[], None] | None:
    if device.startswith("CPU"):
        part = _cpu_parts[device]
        return part.release if part.acquire(blocking=False) else None
    descriptor = flock(device_lock(device), timeout=0)
    return None if descriptor is None else lambda: os.close(descriptor)


@contextmanager
def using_cpu() -> Iterator[str]:
    """Let other runs know that this one works on the CPU, as long as the context lasts.

    Yields:
        Another run that already does so, such as `process 4711 of anna`; empty if there is none.
    """
    try:
        path = shared_lock("CPU")
        alone = flock(path, timeout=0)
        other = "" if alone is not None else holder_of(path) or "a process"
        if alone is not None:
            os.close(alone)
        descriptor = flock(path, timeout=1, together=True)
    except (OSError, LockError):
        # Nobody waits for this lock, so only a line on the terminal is lost.
        other, descriptor = "", None
    try:
        yield other
    finally:
        if descriptor is not None:
            os.close(descriptor)


def on_a_device(
    devices: Sequence[str],
    work: Callable[[str], Result],
    on_wait: OnWait | None = None,
) -> Result:
    """Do work on an idle device and, if that device fails, once more on another.

    Args:
        devices: from `open_devices`.
        work: called with the device's name.
        on_wait: see `lend_device`.

    Raises:
        DeviceFailedError: there is no other device, or that one failed too.
    """
    try:
        with lend_device(devices, on_wait) as device:
            return work(device)
    except DeviceFailedError as failed:
        others = [device for device in devices if device != failed.device]
        if not others:
            raise
    with lend_device(others, on_wait) as device:
        return work(device)


def on_asked_devices(
    text: str, work: Callable[[str], Result], on_wait: OnWait | None = None
) -> Result:
    """Do work as in `on_a_device` on the requested devices, or on `UNLOCKED_CPU`."""
    if text != UNLOCKED_CPU:
        return on_a_device(open_devices(text), work, on_wait)
    from nst_core.quiet_tensorflow import tf

    (device,) = open_devices(CPU)
    with tf.device(f"/{device}"):
        return work(device)


def peak_memory_mb(device: str) -> float:
    """Return the peak memory so far, in MB: of the GPU, or resident of the process on a CPU."""
    if device.startswith("GPU"):
        from nst_core.quiet_tensorflow import tf

        return float(tf.config.experimental.get_memory_info(device)["peak"]) / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak) / (1e6 if sys.platform == "darwin" else 1e3)
