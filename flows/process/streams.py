"""Standard streams that never decide how a command ends: what cannot be written is dropped."""

import contextlib
import errno
import io
import os
import select
import sys
from typing import Any, TextIO

NOBODY_READS = (errno.EPIPE, errno.EIO, *((errno.EINVAL,) if sys.platform == "win32" else ()))
"""`| head` has read enough, or the terminal is closed: that is normal use, not a failure. Windows
reports a pipe that nobody reads as an invalid argument."""


class PatientFile(io.RawIOBase):
    """A file descriptor that accepts everything; once it fails, it leads to the null device.

    Attributes:
        failure: why it failed; None if it did not, or if only its reader is gone.
    """

    def __init__(self, descriptor: int) -> None:
        self.failure: OSError | None = None
        self._descriptor = descriptor

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        """Return True, always."""
        return True

    def write(self, data: Any, /) -> int:
        """Write some of the data, and return how many bytes."""
        while True:
            try:
                return os.write(self._descriptor, data)
            except BlockingIOError:
                # Another program that shares the pipe or terminal has made it non-blocking.
                select.select([], [self._descriptor], [], 1)
            except OSError as error:
                if error.errno not in NOBODY_READS:
                    self.failure = error
                _lead_nowhere(self._descriptor)


def patient(descriptor: int, encoding: str = "utf-8") -> TextIO:
    """Return a text stream on a descriptor; what its encoding cannot represent is escaped."""
    return io.TextIOWrapper(
        io.BufferedWriter(PatientFile(descriptor)),
        encoding,
        errors="backslashreplace",
        line_buffering=True,
    )


def open_standard_streams() -> None:
    """Make standard output and error patient, and open any of the three streams that is closed.

    Otherwise the output would go to the next file that is opened.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            _lead_nowhere(descriptor)
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        # A test's own stream is left alone.
        if stream is None or stream is getattr(sys, f"__{name}__"):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.flush()
            setattr(sys, name, patient(descriptor, getattr(stream, "encoding", "utf-8")))


def failure_of(stream: TextIO) -> OSError | None:
    """Return why output was lost; None if it was not, or if only its reader is gone."""
    with contextlib.suppress(ValueError):
        stream.flush()
    file = getattr(getattr(stream, "buffer", None), "raw", None)
    return file.failure if isinstance(file, PatientFile) else None


def _lead_nowhere(descriptor: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere != descriptor:
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
