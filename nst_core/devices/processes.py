"""A process for each device, so that the kernel can end a row that takes too much memory.

When memory runs out, the kernel kills a process. If rows run in a device's process, it kills that
one, and the process that gave it the work goes on and is told.
"""

import logging
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from multiprocessing import Pipe
from pathlib import Path
from typing import Any, TypeVar

from nst_core import system
from nst_core.devices.memory import resident_memory
from nst_core.devices.opening import open_devices
from nst_core.devices.tensor_float import decide_tf32
from nst_core.errors import UserError
from nst_core.system.programs import options_of_popen

PROGRAM = Path(__file__).with_name("device_process.py")

LOOK_EVERY = 0.1
"""Seconds between two calls of `while_waiting`."""

Result = TypeVar("Result")

Say = Callable[[Any], object]
"""Sends an object to the process that gave the work."""


class ProcessEndedError(UserError):
    """The process of a device ended by itself, which must not happen."""


class ProcessKilledError(MemoryError, UserError):
    """The process of a device was killed, probably because memory ran out.

    Attributes:
        found: what happened to it, as a clause.
    """

    def __init__(self, found: str) -> None:
        super().__init__(found)
        self.found = found

    def __str__(self) -> str:
        return (
            f"{self.found}; expected it to end with the batch; use a smaller size, or end other "
            "programs"
        )


class DeviceProcess:
    """A process that does work on a device, one piece at a time, until it is ended.

    It has the environment, the folder and the standard error of this process. It also ends when
    this process is gone.

    Args:
        device: the device's name, such as `CPU:0`; it is the same in both processes.
        tf32: whether products may be rounded to TF32, if the device is a GPU.

    Raises:
        ProcessEndedError, ProcessKilledError: as in `run`.
        DeviceError: TensorFlow sees no such device in the new process.
    """

    def __init__(self, device: str, *, tf32: bool = True) -> None:
        self.device = device
        self._at_work = threading.Lock()
        self._connection, other_end = Pipe()
        # Not even while the process starts may a signal end a row before its checkpoint is written.
        with other_end, system.signals_blocked():
            descriptor = other_end.fileno()
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(PROGRAM), str(descriptor), device],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                **options_of_popen(descriptor),
            )
        self._resident_at_first = 0
        try:
            self._send(sys.path)
            self._resident_at_first = self.run(partial(_begun, device, tf32))
        except BaseException:
            self._end()
            raise

    @property
    def process_id(self) -> int:
        """The ID of the process."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it can do work."""
        return self._process.poll() is None

    @property
    def held_memory(self) -> int:
        """The bytes in memory that its work has allocated so far, and not given back."""
        resident = resident_memory(process=self.process_id) if self.is_alive else 0
        return max(0, resident - self._resident_at_first)

    def run(
        self,
        work: Callable[[Say], Result],
        on_said: Callable[[Any], object] = lambda _: None,
        while_waiting: Callable[[], object] = lambda: None,
    ) -> Result:
        """Do work in the process, with TensorFlow's operations on the device.

        Args:
            work: called with a function that sends objects to this process; can be pickled.
            on_said: called with each of these objects.
            while_waiting: called several times a second.

        Returns:
            What the work returned.

        Raises:
            ProcessKilledError: the process was killed by a signal.
            ProcessEndedError: the process ended in another way.
            Exception: what the work raised, with a note that has the traceback.
        """
        with self._at_work:
            try:
                self._send(("work", pickle.dumps(partial(_on_device, self.device, work))))
                answer = self._answer(on_said, while_waiting)
            except BaseException:
                # Otherwise its answer would be taken for that to the next work.
                self._end()
                raise
        kind, content = answer
        if kind == "raised":
            chain, trace = content
            raise _rebuilt(chain, trace, self.device)
        result: Result = content
        return result

    def notify(self, notice: Callable[[], object]) -> None:
        """Call a function in the process at once, beside the work; it can be pickled."""
        self._send(("notice", pickle.dumps(notice)))

    def end_if_idle(self) -> None:
        """End the process, unless it does work for another thread."""
        if self._at_work.acquire(blocking=False):
            try:
                self._end()
            finally:
                self._at_work.release()

    def _answer(
        self, on_said: Callable[[Any], object], while_waiting: Callable[[], object]
    ) -> tuple[str, Any]:
        """Return the kind and the content of the answer, and pass on what comes before it."""
        while True:
            while_waiting()
            if not self._connection.poll(LOOK_EVERY):
                continue
            try:
                kind, content = self._connection.recv()
            except (EOFError, OSError):
                raise self._why_it_ended() from None
            if kind == "said":
                on_said(content)
            elif kind == "logged":
                _log(content)
            else:
                return kind, content

    def _send(self, message: object) -> None:
        try:
            self._connection.send(message)
        except OSError:
            raise self._why_it_ended() from None

    def _why_it_ended(self) -> Exception:
        code = self._process.wait()
        if code < 0:
            return ProcessKilledError(
                f"the process of {self.device} was killed by signal {-code}, probably because "
                "memory ran out"
            )
        return ProcessEndedError(
            f"the process of {self.device} ended with exit code {code}; expected it to end with "
            "the batch; what it wrote before that is in .nst-batch/libraries.log"
        )

    def _end(self) -> None:
        # It holds nothing that it would have to write first.
        self._process.kill()
        self._process.wait()
        self._connection.close()


def _on_device(device: str, work: Callable[[Say], Result], say: Say) -> Result:
    """Do work on a device of this process, which is the device's own."""
    open_devices(device.lower())
    from nst_core.quiet_tensorflow import tf

    with tf.device(f"/{device}"):
        return work(say)


def _begun(device: str, tf32: bool, _: Say) -> int:
    """Decide about TF32 before the first work, and return the memory that the process takes."""
    decide_tf32(device, allowed=tf32)
    return resident_memory()


def _log(record: logging.LogRecord) -> None:
    """Log a line of another process as if it had been logged in this one."""
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.levelno):
        logger.handle(record)


def _rebuilt(chain: list[BaseException], trace: str, device: str) -> BaseException:
    """Return an exception of another process, with its causes, and a note of its traceback."""
    for error, cause in pairwise(chain):
        error.__cause__ = cause
    chain[0].add_note(f"In the process of {device}:\n{trace}")
    return chain[0]


_processes: dict[tuple[str, bool], DeviceProcess] = {}
"""The processes of each device, by whether TF32 is allowed there; like the devices' locks, they
belong to this process."""


def process_of(device: str, *, tf32: bool = True) -> DeviceProcess:
    """Return the process of a device that is lent to the caller; start one if there is none.

    Args:
        device: the device's name.
        tf32: whether products may be rounded to TF32. A GPU has one process for each of the two
            (see `tensor_float`), and a CPU one for both.

    Raises:
        ProcessEndedError, ProcessKilledError, DeviceError: as in `DeviceProcess`.
    """
    tf32 = tf32 or device.startswith("CPU")
    process = _processes.get((device, tf32))
    if process is None or not process.is_alive:
        process = _processes[device, tf32] = DeviceProcess(device, tf32=tf32)
    return process


@contextmanager
def processes_of_devices() -> Iterator[None]:
    """End the processes of all devices when the context ends, except for those still at work."""
    try:
        yield
    finally:
        for process in tuple(_processes.values()):
            process.end_if_idle()
