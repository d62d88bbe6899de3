"""Lending of devices, each to one optimization at a time, and work that moves if a device fails."""

import os
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from nst_core.devices.gpus import device_lock
from nst_core.devices.opening import names_of_gpus, open_devices
from nst_core.devices.requested import CPU
from nst_core.storage.locks import LockError, flock, holder_of, shared_lock

UNLOCKED_CPU = "unlocked cpu"
"""A CPU that a cluster already shares out among rows; workers request it, users do not."""

MOST_FAILURES = 2
"""After this many consecutive failures, a device is not used as long as there are others."""

Result = TypeVar("Result")


class DeviceFailedError(Exception):
    """A device failed while it worked on a row; the row may be tried on another device."""

    def __init__(self, device: str, reason: str) -> None:
        # Both are passed on, because an error from another process is rebuilt from its arguments.
        super().__init__(device, reason)
        self.device = device

    def __str__(self) -> str:
        return "{} failed: {}".format(*self.args)


_failures: Counter[str] = Counter()
"""The number of consecutive failures of each device in this process."""

_cpu_parts: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
"""The lock of each part of the CPU in this process; other runs have their own parts."""

OnWait = Callable[[str], None]
"""Called with the process that uses a device, such as `process 4711 of anna`; empty if unknown."""


@contextmanager
def lend_device(devices: Sequence[str], on_wait: OnWait | None = None) -> Iterator[str]:
    """Wait for an idle device, place TensorFlow's operations on it, and release it at the end.

    A GPU works on one row at a time on the whole machine, and the kernel releases it if the process
    dies. A part of the CPU works on one row at a time in this process, and never waits for a row of
    another run.

    Args:
        devices: the devices to choose from, as `open_devices` returns them.
        on_wait: called every tenth of a second while all devices are in use; if it raises an
            exception, the wait ends.

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
            on_wait(next(filter(None, map(holder_of, map(_lock, gpus))), ""))
        time.sleep(0.1)


def _take_if_idle(device: str) -> Callable[[], None] | None:
    if device.startswith("CPU"):
        part = _cpu_parts[device]
        return part.release if part.acquire(blocking=False) else None
    descriptor = flock(_lock(device), timeout=0)
    return None if descriptor is None else lambda: os.close(descriptor)


def _lock(gpu: str) -> Path:
    return device_lock(gpu, names_of_gpus())


def on_a_device(
    devices: Sequence[str],
    work: Callable[[str], Result],
    on_wait: OnWait | None = None,
) -> Result:
    """Do work on an idle device; if that device fails, do it once more on another one.

    Args:
        devices: from `open_devices`.
        work: called with the device's name.
        on_wait: see `lend_device`.

    Raises:
        DeviceFailedError: the device failed and there is no other, or the other one failed, too.
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


@contextmanager
def using_cpu() -> Iterator[str]:
    """Show other runs that this one works on the CPU, as long as the context lasts.

    Yields:
        Another run that works on the CPU, such as `process 4711 of anna`; empty if there is none.
    """
    try:
        path = shared_lock("CPU")
        alone = flock(path, timeout=0)
        other = "" if alone is not None else holder_of(path) or "a process"
        if alone is not None:
            os.close(alone)
        descriptor = flock(path, timeout=1, together=True)
    except (OSError, LockError):
        # No run waits for this lock, so only a line on the terminal is missing.
        other, descriptor = "", None
    try:
        yield other
    finally:
        if descriptor is not None:
            os.close(descriptor)
