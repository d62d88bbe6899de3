"""Files: written whole, locked while in use, and where the user's cache is."""

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def user_cache() -> Path:
    """`NST_BATCH_CACHE`, or `nst-batch` in the user's cache folder."""
    named = os.environ.get("NST_BATCH_CACHE")
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(named) if named else user / "nst-batch"


def make_private(*folders: Path) -> None:
    """Make folders for their owner alone, outer ones first; what is there stays as it is.

    Folders around the first are made as usual.

    Raises:
        OSError: one cannot be made.
    """
    folders[0].parent.mkdir(parents=True, exist_ok=True)
    for folder in folders:
        folder.mkdir(exist_ok=True, mode=0o700)


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file so that readers see the old one or the new one, never a part.

    Missing folders are made. The folder holds `.<name>.<random>.part` meanwhile; it is removed on
    any error, and only a killed process or a power cut can leave it behind.

    Raises:
        OSError: the folder cannot be made, is not writable or full; an old file is then unchanged.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Cut, as the longest file name allowed would leave no room for the rest.
    part = path.with_name(f".{path.name[:40]}.{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def flock(path: Path, timeout: float | None = None, mode: int = 0o600) -> int | None:
    """Wait for a lock that the kernel releases when its holder dies; its file stays, empty.

    Args:
        path: of the lock's file, whose folder is there.
        timeout: in seconds; None waits for ever.
        mode: of the file, where it is not there yet.

    Returns:
        A file descriptor, whose closing gives the lock back; None where the time is up first.

    Raises:
        OSError: the file cannot be made.
    """
    descriptor = _open_lock(path, mode)
    deadline = None if timeout is None else time.monotonic() + timeout
    try:
        while True:
            try:
                # Never waits in the kernel, where Ctrl-C would not reach it.
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return descriptor
            except BlockingIOError:
                if deadline is not None and time.monotonic() >= deadline:
                    break
            time.sleep(0.05)
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _open_lock(path: Path, mode: int) -> int:
    try:
        # In folders that are for all users, Linux refuses to create what is there already.
        return os.open(path, os.O_RDWR)
    except FileNotFoundError:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, mode)
        os.fchmod(descriptor, mode)
        return descriptor


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock, waiting for it as long as it takes."""
    descriptor = flock(path)
    assert descriptor is not None
    try:
        yield
    finally:
        os.close(descriptor)
