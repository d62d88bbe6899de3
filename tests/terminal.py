"""A terminal that runs a command and can be looked at while it does."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyte

CTRL_C = b"\x03"


class PseudoTerminal:
    """A command in a terminal of its own, as when a person types it.

    Attributes:
        written: everything that came from it, control sequences too.
    """

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        *,
        columns: int = 80,
        lines: int = 60,
    ) -> None:
        self.written = b""
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self._ours, theirs = pty.openpty()
        # Where these are set, they go before the terminal's own size.
        inherited = {
            name: value for name, value in environment.items() if name not in ("COLUMNS", "LINES")
        }
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={"TERM": "xterm-256color", **inherited},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            # So that Ctrl-C reaches it.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._ours, keys)

    def look(self) -> list[str]:
        """The lines of the screen, without the blanks at their ends."""
        return [line.rstrip() for line in self._screen.display]

    def look_until(self, wanted: Callable[[list[str]], bool], seconds: float = 120) -> list[str]:
        """The screen as soon as it is as wanted."""
        deadline = time.monotonic() + seconds
        while not wanted(self.look()):
            assert time.monotonic() < deadline, "\n".join(self.look())
            assert self._read(), "it ended before:\n" + "\n".join(self.look())
        return self.look()

    def end(self, seconds: float = 120) -> tuple[int, list[str]]:
        """Wait for the end of the command: its exit code, and the screen that it leaves."""
        deadline = time.monotonic() + seconds
        while self._read():
            assert time.monotonic() < deadline, "\n".join(self.look())
        os.close(self._ours)
        return self.process.wait(10), [line for line in self.look() if line]

    def kill(self) -> None:
        """End it, whatever it does."""
        self.process.kill()
        self.process.wait()

    def _read(self) -> bool:
        """Take what came within a quarter of a second; False once nothing more can come."""
        if select.select([self._ours], [], [], 0.25)[0]:
            try:
                data = os.read(self._ours, 65536)
            except OSError:  # how Linux says that nobody has the other end any more
                return False
            self.written += data
            self._stream.feed(data)
        return True
