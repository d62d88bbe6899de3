"""What replaces `posix.py` on Windows.

Windows locks ranges of bytes, each for one holder. Nobody else can read them then, so the locked
bytes are far behind the end of a file. Windows releases them once the file is closed, or its
process has ended.
"""

import errno
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nst_core.system.limits import PathLimits

AT_ONCE = getattr(os, "O_BINARY", 0) | getattr(os, "O_NOINHERIT", 0)
"""Flags of `os.open`: bytes are written as they are; no program inherits the descriptor."""

CAN_RENAME_OPEN_FILES = False
"""Whether a file can get another name, or be removed, while a process has it open."""

STOP_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)
)
"""The signals of Ctrl-C, the end of a service, and a closed console."""

USUAL_LOCKS = Path(os.environ.get("PROGRAMDATA") or tempfile.gettempdir())
"""The folder of the locks of all users, in which each can create files, and only read others'."""

FIRST_BYTE = 2**31 - 1024
"""The first of the bytes that are locked; behind it, 32 bits would not suffice."""

MOST_TOGETHER = 64
"""How many processes can share a lock. Each locks a byte; who wants no other locks them all."""


def try_lock(descriptor: int, *, together: bool = False) -> bool:
    """Lock an open file until its descriptor is closed or its process ends, unless it is locked.

    Args:
        descriptor: that of the file.
        together: share the lock with others who also set this.

    Returns:
        Whether the file is locked now; False if somebody else holds the lock.

    Raises:
        OSError: the file system has no locks.
    """
    if not together:
        return _lock(descriptor, FIRST_BYTE, MOST_TOGETHER)
    return any(_lock(descriptor, FIRST_BYTE + each, 1) for each in range(MOST_TOGETHER))


def _lock(descriptor: int, first: int, count: int) -> bool:
    # This module can be imported on every system, but used only where this is.
    import msvcrt

    position = os.lseek(descriptor, 0, os.SEEK_CUR)
    os.lseek(descriptor, first, os.SEEK_SET)
    try:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, count)
    except PermissionError:
        return False
    finally:
        os.lseek(descriptor, position, os.SEEK_SET)
    return True


def lock_holders(path: Path) -> list[int]:  # noqa: ARG001
    """Return no process, because Windows does not say who holds a lock."""
    return []


def open_unlinked(path: Path, flags: int, mode: int = 0o777) -> int:
    """Open a file as `os.open` does; a symbolic link in its place is not followed.

    Windows lets only administrators create links, unless it is in developer mode.

    Raises:
        OSError: it cannot be opened, or is a link.
    """
    if path.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return os.open(path, flags | AT_ONCE, mode)


def set_mode(descriptor: int, mode: int) -> None:
    """Do nothing: a file has the permissions of its folder."""


def flush_names(folder: Path) -> None:
    """Do nothing: Windows does not flush folders, and NTFS keeps a journal of names."""


def path_limits(folder: Path) -> PathLimits:  # noqa: ARG001
    """Return the longest path and name that are possible without a change of the registry."""
    return PathLimits(259, 255)


def own_user() -> int:
    """Return the number that `os.stat` gives for the owner of every file."""
    return 0


def own_name() -> str:
    """Return the name of the user of this process."""
    return os.environ.get("USERNAME") or "this user"


def user_name(number: int) -> str:  # noqa: ARG001
    """Return what can be said about the owner of a file, whose number is always the same."""
    return "someone"


def clock() -> float:
    """Return a time in seconds that also passes while the machine is suspended."""
    return time.monotonic()


def peak_memory() -> int:
    """Return the most bytes of this process that were in memory at once, if the system says so."""
    import psutil

    memory = psutil.Process().memory_info()
    return int(getattr(memory, "peak_wset", memory.rss))


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Do nothing: programs that are started in a process group of their own get no Ctrl-C."""
    yield
