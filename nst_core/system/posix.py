"""What Linux and macOS have, and Windows has not."""

import errno
import fcntl
import os
import pwd
import re
import resource
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nst_core.system.limits import PathLimits

AT_ONCE = os.O_NONBLOCK | os.O_CLOEXEC
"""Flags of `os.open`: do not wait for the writer of a pipe; no program inherits the descriptor."""

CAN_RENAME_OPEN_FILES = True
"""Whether a file can get another name, or be removed, while a process has it open."""

CANNOT_FLUSH = (errno.EINVAL, errno.ENOTSUP, errno.EACCES)
"""Errors of file systems that cannot flush folders, and of folders that may not be read."""

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals of Ctrl-C, the end of a service, and a closed terminal."""

USUAL_LOCKS = Path("/tmp")
"""The folder of the locks of all users. It belongs to root. It is not `TMPDIR`, which may differ
between users who must wait for each other."""


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
    kind = fcntl.LOCK_SH if together else fcntl.LOCK_EX
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock_holders(path: Path) -> list[int]:
    """Return the processes that hold the lock on a file, as far as the system says which they are.

    Raises:
        OSError: the file does not exist, or the system does not say.
    """
    facts = path.stat()
    device = f"{os.major(facts.st_dev):02x}:{os.minor(facts.st_dev):02x}"
    table = Path("/proc/locks").read_text()
    found = map(int, re.findall(rf"FLOCK .*? (\d+) {device}:{facts.st_ino} ", table))
    # Processes of other containers have no number here.
    return [process for process in found if process]


def open_unlinked(path: Path, flags: int, mode: int = 0o777) -> int:
    """Open a file as `os.open` does, at once; a symbolic link in its place is not followed.

    Raises:
        OSError: it cannot be opened, or is a link.
    """
    return os.open(path, flags | os.O_NOFOLLOW | AT_ONCE, mode)


def set_mode(descriptor: int, mode: int) -> None:
    """Set the permissions of an open file."""
    os.fchmod(descriptor, mode)


def flush_names(folder: Path) -> None:
    """Wait until the disk holds the names of all files in a folder, if it can do that.

    Raises:
        OSError: the disk reports an error.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in CANNOT_FLUSH:
            raise
    finally:
        os.close(descriptor)


def path_limits(folder: Path) -> PathLimits:
    """Return the longest path and name that the file system of a folder allows.

    Raises:
        OSError: the folder does not exist.
    """
    return PathLimits(os.pathconf(folder, "PC_PATH_MAX"), os.pathconf(folder, "PC_NAME_MAX"))


def own_user() -> int:
    """Return the number of the user of this process."""
    return os.geteuid()


def own_name() -> str:
    """Return the name of the user of this process."""
    return user_name(own_user())


def user_name(number: int) -> str:
    """Return a user's name, or `user 1234` if it is unknown."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def clock() -> float:
    """Return a time in seconds that also passes while the machine is suspended."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def peak_memory() -> int:
    """Return the most bytes of this process that were in memory at once.

    On Linux, this includes the peak of the process that started this one.
    """
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024)


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Let programs that are started in the context inherit that stop signals are blocked.

    Terminals and service managers send them to all processes of a run.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
