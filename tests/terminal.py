"""A terminal that runs a command, and whose screen can be read meanwhile."""

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
    """A command in its own terminal, as if a person had typed it.

    Attributes:
        written: all output of the command, including control sequences.
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
        self._parent_end, child_end = pty.openpty()
        # If these are set, they override the terminal's own size.
        inherited = {
            name: value for name, value in environment.items() if name not in ("COLUMNS", "LINES")
        }
        fcntl.ioctl(child_end, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={"TERM": "xterm-256color", **inherited},
            stdin=child_end,
            stdout=child_end,
            stderr=child_end,
            start_new_session=True,
            # With this, Ctrl-C reaches the command.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(child_end)

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._parent_end, keys)

    def look(self) -> list[str]:
        """Return the lines of the screen without trailing blanks."""
        return [line.rstrip() for line in self._screen.display]

    def look_until(self, wanted: Callable[[list[str]], bool], seconds: float = 120) -> list[str]:
        """Return the screen as soon as `wanted` accepts it."""
        deadline = time.monotonic() + seconds
        while not wanted(self.look()):
            assert time.monotonic() < deadline, "\n".join(self.look())
            assert self._read(), "it ended before:\n" + "\n".join(self.look())
        return self.look()

    def end(self, seconds: float = 120) -> tuple[int, list[str]]:
        """Wait until the command ends; return its exit code and the lines left on the screen."""
        deadline = time.monotonic() + seconds
        while self._read():
            assert time.monotonic() < deadline, "\n".join(self.look())
        os.close(self._parent_end)
        return self.process.wait(10), [line for line in self.look() if line]

    def kill(self) -> None:
        """Kill the command."""
        self.process.kill()
        self.process.wait()

    def _read(self) -> bool:
        """Read what arrives within a quarter of a second; return False once nothing more can."""
        if select.select([self._parent_end], [], [], 0.25)[0]:
            try:
                data = os.read(self._parent_end, 65536)
            except OSError:  # Linux raises this once nobody holds the other end
                return False
            self.written += data
            self._stream.feed(data)
        return True
