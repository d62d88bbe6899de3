"""Locks between processes, also of different users, that are released when the holder dies.

A lock is a lock of the system on an empty file that is never removed. The system releases it when
its holder dies. It needs a file that can be opened, even if it cannot be written. So only its owner
can write to a lock file, and everyone who may read its folder can read it.
"""

import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from nst_core import system
from nst_core.errors import UserError
from nst_core.system import user_name

LOCKS = "NST_BATCH_DEVICE_LOCKS"
"""The environment variable that names the folder of the locks shared by all runs on a machine."""

NEW_FILE_SECONDS = 1.0
"""How long to wait until another user's new lock file gets its mode."""

WHOLE_MACHINE = "0 0 4294967295"
"""The `uid_map` of a Linux process that sees the machine's users by their own numbers."""


class LockError(UserError):
    """A lock cannot be used; the message names its file and owner, and says what to do."""


def shared_lock(name: str) -> Path:
    """Return the file of a lock for all runs on this machine, whichever user started them.

    Raises:
        LockError: the folder belongs to another user, is not a folder, or cannot be created.
    """
    return lock_folder() / f"nst-batch-{name}.lock"


def lock_folder() -> Path:
    """Check and return the folder of the locks that all runs on this machine share.

    It is `system.USUAL_LOCKS`, or the folder that `NST_BATCH_DEVICE_LOCKS` names; if that does not
    exist, it is created for its owner only.

    Raises:
        LockError: it belongs to another user, is not a folder, or cannot be created.
    """
    named = os.environ.get(LOCKS)
    folder = Path(named) if named else system.USUAL_LOCKS
    try:
        if named and not os.path.lexists(folder):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Both a link and what it leads to must belong to a trusted user.
        owners = {os.lstat(folder).st_uid, folder.stat().st_uid}
    except OSError as error:
        raise LockError(f"{folder}: {error.strerror}; {_advice()}") from error
    if not folder.is_dir():
        raise LockError(f"{folder}: expected a folder for locks; {_advice()}")
    if strangers := [user for user in owners if not _is_trusted(user)]:
        raise LockError(
            f"{folder}: the folder for locks belongs to {user_name(strangers[0])}, who could "
            "replace them; expected a folder that belongs to root or to "
            f"{system.own_name()}; {_advice()}"
        )
    return folder


def _advice() -> str:
    return (
        f"set {LOCKS} to a folder that root created for all users of the machine (mode 1777), or "
        "to one of your own"
    )


def _is_trusted(user: int) -> bool:
    return user in (0, system.own_user()) or (user == _overflow_user() and _is_in_user_namespace())


def _overflow_user() -> int:
    """Return the user number that stands for all users whom a container does not know."""
    try:
        return int(Path("/proc/sys/kernel/overflowuid").read_text())
    except (OSError, ValueError):
        return -1


def _is_in_user_namespace() -> bool:
    """Return whether this is a container in which the machine's root has another number."""
    try:
        return Path("/proc/self/uid_map").read_text().split() != WHOLE_MACHINE.split()
    except OSError:
        return False


def flock(path: Path, timeout: float | None = None, *, together: bool = False) -> int | None:
    """Wait for a lock that the system releases when its holder dies; the empty lock file stays.

    Args:
        path: path of the lock's file, whose folder exists.
        timeout: in seconds; None waits forever.
        together: share the lock with others who also set this.

    Returns:
        A file descriptor; closing it releases the lock. None if the timeout expires first.

    Raises:
        LockError: the file is a link or not a file, its owner forbids it, or its file system has
            no locks.
        OSError: the file cannot be created.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    # Waiting in the kernel could not be interrupted by Ctrl-C.
    while (descriptor := _lock_if_free(path, together=together)) is None:
        if deadline is not None and time.monotonic() >= deadline:
            return None
        time.sleep(0.05)
    return descriptor


def _lock_if_free(path: Path, *, together: bool) -> int | None:
    """Return a descriptor that holds the lock, or None if someone else holds it."""
    while True:
        descriptor = _open_lock(path)
        try:
            is_locked = system.try_lock(descriptor, together=together)
            if is_locked and _is_still(path, descriptor):
                return descriptor
        except OSError as error:
            os.close(descriptor)
            raise LockError(
                f"{path}: its file system does not support locks ({error.strerror}); "
                "expected a folder on a disk of this machine"
            ) from error
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        if not is_locked:
            return None
        # The file was removed, perhaps by a cleanup of old files, so it keeps nobody out.


def _open_lock(path: Path) -> int:
    try:
        descriptor = _open_or_make(path)
    except PermissionError as error:
        raise LockError(_forbidden(path)) from error
    except OSError as error:
        if not path.is_symlink() and not path.exists():
            raise
        raise LockError(
            f"{path}: expected a lock file, found {_kind(path)} of {_owner(path)}; remove it"
        ) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise LockError(
            f"{path}: expected a lock file, found {_kind(path)} of {_owner(path)}; remove it"
        )
    return descriptor


@retry(
    # A process that creates a lock file lets others open it right afterwards.
    retry=retry_if_exception_type(PermissionError),
    stop=stop_after_delay(NEW_FILE_SECONDS),
    wait=wait_fixed(0.05),
    reraise=True,
)
def _open_or_make(path: Path) -> int:
    """Return a descriptor of the lock's file; the mode is set only if this creates the file."""
    try:
        return _open(path)
    except FileNotFoundError:
        pass
    try:
        descriptor = system.open_unlinked(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _open(path)
    system.set_mode(descriptor, _mode_in(path.parent))
    return descriptor


def _open(path: Path) -> int:
    try:
        # NFS locks only files that are open for writing.
        return system.open_unlinked(path, os.O_RDWR)
    except PermissionError:
        return system.open_unlinked(path, os.O_RDONLY)


def _mode_in(folder: Path) -> int:
    """Return the mode of a new lock file: those who may read the folder may wait for the lock.

    In a folder that belongs to neither this user nor root, other users get no permission.
    """
    facts = folder.stat()
    allowed = 0o044 if _is_trusted(facts.st_uid) else 0o040
    return 0o600 | (facts.st_mode & allowed)


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _forbidden(path: Path) -> str:
    if os.path.lexists(path):
        return (
            f"{path}: this lock file belongs to {_owner(path)}, and {system.own_name()} may "
            f"not open it; have its owner remove it, or let others read it (chmod 644 {path})"
        )
    return (
        f"{path.parent}: the folder belongs to {_owner(path.parent)}, and "
        f"{system.own_name()} may not create {path.name} there; choose another folder"
    )


def _kind(path: Path) -> str:
    mode = os.lstat(path).st_mode
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    return (
        "a folder" if stat.S_ISDIR(mode) else "a file" if stat.S_ISREG(mode) else "a special file"
    )


def _owner(path: Path) -> str:
    try:
        return user_name(os.lstat(path).st_uid)
    except OSError:
        return "someone"


def holder_of(path: Path) -> str:
    """Return a lock's holder, such as `process 4711 of anna`; empty if it is unknown."""
    try:
        process = next(number for number in system.lock_holders(path) if number != os.getpid())
        return f"process {process} of {user_name(Path('/proc', str(process)).stat().st_uid)}"
    except (OSError, StopIteration):
        return ""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock, waiting for it as long as it takes.

    Raises:
        LockError, OSError: as in `flock`.
    """
    descriptor = flock(path)
    assert descriptor is not None
    try:
        yield
    finally:
        os.close(descriptor)
