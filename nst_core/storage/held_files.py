"""Files that are locked while their process lives, and removed once it has ended.

Their creator holds a lock on them; however the process ends, the system releases it.
"""

import hashlib
import os
import platform
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from nst_core import system

FOREIGN_SECONDS = 86_400
"""How long another machine's file stays; this machine cannot know whether the file is locked."""

_LONGEST_START = 40
_PART = re.compile(rf"\..{{1,{_LONGEST_START}}}\.([0-9a-f]{{8}})[0-9a-f]{{8}}\.part", re.DOTALL)


def part_name(name: str) -> str:
    """Return a new name for the temporary file that will replace `name` in the same folder.

    It is `.<name>.<machine><random>.part`, with eight hexadecimal digits each for the machine and
    the random part. The name is shortened, because the longest name that file systems allow
    would leave no room for the rest.
    """
    return f".{name[:_LONGEST_START]}.{_machine()}{secrets.token_hex(4)}.part"


@cache
def _machine() -> str:
    """Return eight digits for the running kernel, because only its processes can see its locks."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_bytes()
    except OSError:
        boot = platform.node().encode()
    return hashlib.sha256(boot).hexdigest()[:8]


def create_held(new_path: Callable[[], Path]) -> tuple[Path, int]:
    """Create a file that is not removed until its descriptor is closed or its process ends.

    Args:
        new_path: returns an unused path; it is called again if another process removed the file
            before it was locked.

    Returns:
        The file's path, and a descriptor for reading and writing.

    Raises:
        OSError: the file cannot be created.
    """
    while True:
        path = new_path()
        descriptor = system.open_unlinked(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        # Some network file systems have no locks; there, only the file's age decides.
        with suppress(OSError):
            # Another process may hold the lock for a moment, to see whether the file is abandoned.
            while not system.try_lock(descriptor):
                time.sleep(0.01)
        if os.fstat(descriptor).st_nlink:
            return path, descriptor
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Return whether a living process of this machine holds the file's lock; True if unknown.

    Raises:
        OSError: the file does not exist or cannot be opened.
    """
    with _locked_if_free(path) as is_free:
        return not is_free


def remove_unless_held(path: Path, *, where_unknown: bool = False) -> bool:
    """Remove a file of `create_held` unless its creator lives; return whether it was removed.

    Args:
        path: path of the file.
        where_unknown: whether to remove it if its file system has no locks.

    Raises:
        OSError: the file does not exist, or cannot be opened or removed.
    """
    with _locked_if_free(path) as is_free:
        removable = where_unknown if is_free is None else is_free
        if removable and system.CAN_RENAME_OPEN_FILES:
            path.unlink()
    if removable and not system.CAN_RENAME_OPEN_FILES:
        # If another process has opened the file meanwhile, this fails.
        path.unlink()
    return removable


@contextmanager
def _locked_if_free(path: Path) -> Iterator[bool | None]:
    """Try to lock a file, and yield whether it worked; None if its file system has no locks."""
    descriptor = system.open_unlinked(path, os.O_RDWR)
    try:
        yield _lock_at_once(descriptor)
    finally:
        os.close(descriptor)


def _lock_at_once(descriptor: int) -> bool | None:
    try:
        return system.try_lock(descriptor)
    except OSError:
        return None


def sweep_parts(folders: Iterable[Path]) -> list[Path]:
    """Remove the files of `abandoned_parts`; silently leave those that cannot be removed.

    Returns:
        The removed files.
    """
    return [path for path in abandoned_parts(folders) if _is_removed(path)]


def abandoned_parts(folders: Iterable[Path]) -> list[Path]:
    """Return temporary files that killed processes left in these folders, not in subfolders.

    A file of this machine is abandoned once no process has it locked. A file of another machine (or
    of this one before a reboot), which may be on a network disk, is abandoned once nobody has
    written to it for a day. So is every file where a writer must release it before it gets its
    name. Files with other names, links and folders are never returned.
    """
    limit = time.time() - FOREIGN_SECONDS
    return [path for folder in folders for path in _parts_in(folder) if _is_abandoned(path, limit)]


def _parts_in(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [Path(entry.path) for entry in entries if _PART.fullmatch(entry.name)]
    except OSError:
        return []


def _is_abandoned(part: Path, limit: float) -> bool:
    found = _PART.fullmatch(part.name)
    with suppress(OSError):
        facts = part.lstat()
        is_old = facts.st_mtime < limit
        is_of_this_machine = (
            system.CAN_RENAME_OPEN_FILES and found is not None and found[1] == _machine()
        )
        if stat.S_ISREG(facts.st_mode) and (is_of_this_machine or is_old):
            with _locked_if_free(part) as is_free:
                return is_old if is_free is None else is_free
    return False


def _is_removed(part: Path) -> bool:
    with suppress(OSError):
        return remove_unless_held(part, where_unknown=True)
    return False
