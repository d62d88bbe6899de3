"""The devices to work on, each lent to one optimization at a time."""

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

from nst_core.locks import LockError, flock, holder_of, shared_lock

AUTO = "auto"
CPU = "cpu"
EVERY_GPU = "gpu"
PATTERN = r"auto|gpu|cpu|(cpu|gpu):\d+(,(cpu|gpu):\d+)*"
"""What may be asked for: the GPUs there are, or else the CPU; the GPUs; the CPU; or by number."""

UNLOCKED_CPU = "unlocked cpu"
"""The CPU where a cluster counts how many rows share it; for workers, not for people."""

MOST_FAILURES = 2
"""In a row; a device with so many is not lent any more as long as there are others."""

Result = TypeVar("Result")


class DeviceError(Exception):
    """A device that was asked for is not there; the message says what to do."""


class DeviceFailedError(Exception):
    """A device broke down under a row, which may be tried on another one."""

    def __init__(self, device: str, reason: str) -> None:
        # Both as arguments, or else it could not come back from another process.
        super().__init__(device, reason)
        self.device = device

    def __str__(self) -> str:
        return "{} failed: {}".format(*self.args)


def written_plainly(text: str) -> str:
    """What people may write in capitals or with spaces, as `PATTERN` has it.

    Raises:
        DeviceError: it is none of `PATTERN`, or names a device twice.
    """
    parse_devices(text)
    return _without_spaces(text)


def _without_spaces(text: str) -> str:
    return text.strip().lower().replace(" ", "")


def parse_devices(text: str) -> tuple[str, ...]:
    """`gpu:0,gpu:2` as TensorFlow names them, `GPU:0` and `GPU:2`; none for `auto` and `gpu`.

    Raises:
        DeviceError: the text is none of `PATTERN`, or names a device twice.
    """
    wanted = _without_spaces(text)
    if not re.fullmatch(PATTERN, wanted):
        raise DeviceError(
            f"devices: found {text!r}; expected auto, gpu, cpu, or devices such as gpu:0,gpu:2"
        )
    if wanted in (AUTO, EVERY_GPU):
        return ()
    names = tuple("CPU:0" if name == CPU else name.upper() for name in wanted.split(","))
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DeviceError(f"devices: found {twice[0].lower()} twice in {text!r}; expected it once")
    return names


def visible_gpus() -> tuple[str, ...]:
    """The NVIDIA GPUs that this process may use, as CUDA names them, found without TensorFlow."""
    nodes = [node for node in Path("/dev").glob("nvidia*") if re.fullmatch(r"nvidia\d+", node.name)]
    listed = _listed_gpus()
    return tuple(map(str, range(len(nodes)))) if listed is None else listed[: len(nodes)]


def _listed_gpus() -> tuple[str, ...] | None:
    """Those that `CUDA_VISIBLE_DEVICES` has; None where it is not set."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    return None if listed is None else tuple(filter(None, map(str.strip, listed.split(","))))


def open_devices(text: str) -> tuple[str, ...]:
    """The devices that were asked for, found to be there and made ready, as TensorFlow names them.

    GPUs take memory as they need it, not all at once. Several CPUs (`cpu:0,cpu:1`) are parts of
    the one there is, so that as many rows are worked on at once.

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
    if _without_spaces(text) == EVERY_GPU and not gpus:
        missing = [EVERY_GPU]
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
    """Otherwise the first process takes all of a GPU's memory, and the next one finds none."""
    from nst_core.quiet_tensorflow import tf

    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)


def device_lock(device: str) -> Path:
    """The file of a GPU's lock, by the name of the machine's GPU, not that of the process's.

    A process that is shown a single GPU calls it `GPU:0`, whichever it is.

    Raises:
        LockError: as `shared_lock`.
    """
    kind, _, number = device.partition(":")
    listed = _listed_gpus()
    if listed:
        number = listed[int(number)].replace("/", "-")
    return shared_lock(f"{kind}{number}")


_failures: Counter[str] = Counter()
"""How often in a row each device failed, in this process."""


_cpu_parts: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
"""Of each part of the CPU, in this process: other runs have parts of their own."""

OnWait = Callable[[str], None]
"""Gets who uses a device, such as `process 4711 of anna`; empty where nobody can tell."""


@contextmanager
def lend_device(devices: Sequence[str], on_wait: OnWait | None = None) -> Iterator[str]:
    """Wait for an idle device, place TensorFlow's operations on it, give it back in the end.

    A GPU has one row at a time on the whole machine, and the kernel gives it back if the process
    dies. A part of the CPU has one row at a time in this process, and no row of another run to wait
    for.

    Args:
        devices: of which one is lent, by `open_devices`.
        on_wait: called every tenth of a second while all are in use; what it raises ends the
            waiting.

    Yields:
        Its name, such as `GPU:0`.

    Raises:
        DeviceFailedError: the device broke down while it was lent.
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
    """An idle device, and what gives it back."""
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
        Another one that does so already, such as `process 4711 of anna`; empty if there is none.
    """
    try:
        path = shared_lock("CPU")
        alone = flock(path, timeout=0)
        other = "" if alone is not None else holder_of(path) or "a process"
        if alone is not None:
            os.close(alone)
        descriptor = flock(path, timeout=1, together=True)
    except (OSError, LockError):
        # Nobody waits for it, so that nothing is lost but a line on the terminal.
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
    """Do work on an idle device; where that one fails, once more on another.

    Args:
        devices: by `open_devices`.
        work: gets the device's name.
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
    """`on_a_device` with the devices that were asked for, or with `UNLOCKED_CPU`."""
    if text != UNLOCKED_CPU:
        return on_a_device(open_devices(text), work, on_wait)
    from nst_core.quiet_tensorflow import tf

    (device,) = open_devices(CPU)
    with tf.device(f"/{device}"):
        return work(device)


def peak_memory_mb(device: str) -> float:
    """The most memory in use so far, in MB: of the GPU, or resident of the process on a CPU."""
    if device.startswith("GPU"):
        from nst_core.quiet_tensorflow import tf

        return float(tf.config.experimental.get_memory_info(device)["peak"]) / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak) / (1e6 if sys.platform == "darwin" else 1e3)
