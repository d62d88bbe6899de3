"""The devices to work on, each lent to one optimization at a time, on the whole machine."""

import os
import re
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TypeVar

from nst_core.files import flock

AUTO = "auto"
CPU = "cpu"
EVERY_GPU = "gpu"
PATTERN = r"auto|gpu|cpu|(cpu|gpu):\d+(,(cpu|gpu):\d+)*"
"""What may be asked for: the GPUs there are, or else the CPU; the GPUs; the CPU; or by number."""

UNLOCKED_CPU = "unlocked cpu"
"""The CPU where a cluster sees to it how many rows share it; for workers, not for people."""

LOCKS = "NST_BATCH_DEVICE_LOCKS"
"""The variable with the folder of locks that all runs on a machine must share."""

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
    import tensorflow as tf

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
    import tensorflow as tf

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
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)


def lock_folder() -> Path:
    """Where the locks of this machine's devices are: for all its users, unless said otherwise."""
    named = os.environ.get(LOCKS)
    folder = Path(named) if named else Path(tempfile.gettempdir()) / "nst-batch-devices"
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o1777)
    return folder


def lock_name(device: str) -> str:
    """The name of a device's lock: a GPU's is that of the machine's GPU, not of the process's.

    A process that is shown a single GPU calls it `GPU:0`, whichever it is.
    """
    kind, _, number = device.partition(":")
    listed = _listed_gpus()
    if kind == "GPU" and listed:
        number = listed[int(number)].replace("/", "-")
    return f"{kind}{number}.lock"


_failures: Counter[str] = Counter()
"""How often in a row each device failed, in this process."""


@contextmanager
def lend_device(devices: Sequence[str], on_wait: Callable[[], None] | None = None) -> Iterator[str]:
    """Wait for an idle device, place TensorFlow's operations on it, give it back in the end.

    The kernel gives it back if the process dies.

    Args:
        devices: of which one is lent, by `open_devices`.
        on_wait: called every tenth of a second while all are in use, by this run or another; what
            it raises ends the waiting.

    Yields:
        Its name, such as `GPU:0`.

    Raises:
        DeviceFailedError: the device broke down while it was lent.
    """
    import tensorflow as tf

    device, descriptor = _take(devices, on_wait)
    try:
        with tf.device(f"/{device}"):
            yield device
        _failures[device] = 0
    except (tf.errors.InternalError, tf.errors.UnavailableError, tf.errors.UnknownError) as error:
        _failures[device] += 1
        raise DeviceFailedError(device, f"{type(error).__name__}: {error}") from error
    finally:
        os.close(descriptor)


def _take(devices: Sequence[str], on_wait: Callable[[], None] | None) -> tuple[str, int]:
    while True:
        sound = [device for device in devices if _failures[device] < MOST_FAILURES]
        for device in sound or devices:
            descriptor = flock(lock_folder() / lock_name(device), timeout=0, mode=0o666)
            if descriptor is not None:
                return device, descriptor
        if on_wait:
            on_wait()
        time.sleep(0.1)


def on_a_device(
    devices: Sequence[str],
    work: Callable[[str], Result],
    on_wait: Callable[[], None] | None = None,
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
    text: str, work: Callable[[str], Result], on_wait: Callable[[], None] | None = None
) -> Result:
    """`on_a_device` with the devices that were asked for, or with `UNLOCKED_CPU`."""
    if text != UNLOCKED_CPU:
        return on_a_device(open_devices(text), work, on_wait)
    import tensorflow as tf

    (device,) = open_devices(CPU)
    with tf.device(f"/{device}"):
        return work(device)


def peak_memory_mb(device: str) -> float:
    """The most memory in use so far, in MB: of the GPU, or resident of the process on a CPU."""
    if device.startswith("GPU"):
        import tensorflow as tf

        return float(tf.config.experimental.get_memory_info(device)["peak"]) / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak) / (1e6 if sys.platform == "darwin" else 1e3)
