"""Standard streams that never decide how a command ends: what cannot be written is let go."""

import contextlib
import errno
import io
import os
import select
import sys
from typing import Any, TextIO

NOBODY_READS = (errno.EPIPE, errno.EIO)
"""`| head` has read enough, or the terminal is closed: what people do, not what fails."""


class PatientFile(io.RawIOBase):
    """A file descriptor that takes everything; once it fails, it leads nowhere.

    Attributes:
        failure: why it failed, if it did, and not for want of a reader.
    """

    def __init__(self, descriptor: int) -> None:
        self.failure: OSError | None = None
        self._descriptor = descriptor

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, data: Any, /) -> int:
        """Write some of the data; how much."""
        while True:
            try:
                return os.write(self._descriptor, data)
            except BlockingIOError:
                # Another program has set the pipe or terminal, which it shares, so.
                select.select([], [self._descriptor], [], 1)
            except OSError as error:
                if error.errno not in NOBODY_READS:
                    self.failure = error
                _lead_nowhere(self._descriptor)


def patient(descriptor: int, encoding: str = "utf-8") -> TextIO:
    """A text stream on a descriptor; what its encoding cannot hold is escaped."""
    return io.TextIOWrapper(
        io.BufferedWriter(PatientFile(descriptor)),
        encoding,
        errors="backslashreplace",
        line_buffering=True,
    )


def open_standard_streams() -> None:
    """Make standard output and error patient, and open those of the three that are closed.

    Else the next file that is opened would be what programs take for their output.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            _lead_nowhere(descriptor)
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        # A test's own stream stays.
        if stream is None or stream is getattr(sys, f"__{name}__"):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.flush()
            setattr(sys, name, patient(descriptor, getattr(stream, "encoding", "utf-8")))


def failure_of(stream: TextIO) -> OSError | None:
    """Why not everything could be written, if so, and not for want of a reader."""
    with contextlib.suppress(ValueError):
        stream.flush()
    file = getattr(getattr(stream, "buffer", None), "raw", None)
    return file.failure if isinstance(file, PatientFile) else None


def _lead_nowhere(descriptor: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere != descriptor:
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
