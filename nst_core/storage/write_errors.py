"""Messages about files that cannot be written: which file, which folder, why, and what to do."""

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from nst_core import system
from nst_core.errors import UserError
from nst_core.storage.files import StorageError
from nst_core.storage.local import on_disk
from nst_core.storage.places import Place, redacted

REASONS = {
    errno.ENOSPC: ("is full", "make room there"),
    errno.EDQUOT: ("exceeds your quota", "remove files there, or ask for a larger quota"),
    errno.EROFS: ("is read-only", "choose another folder"),
    errno.EACCES: ("is not writable by {user}", "choose another folder, or change its mode"),
    errno.EPERM: ("is not writable by {user}", "choose another folder, or change its mode"),
    errno.EIO: ("is on a failing disk", "see the system's log"),
    errno.ENOTDIR: ("has a file in its path where a folder is expected", "choose another folder"),
    errno.EEXIST: ("is not a folder", "choose another folder"),
}
"""By `OSError.errno`: what is wrong with a folder, and what to do about it."""


class WriteError(UserError, OSError):
    """A file cannot be written; the message says why, and what to do."""


def reason(error: OSError, name: str, folder: Place) -> str:
    """Return a sentence that says what is wrong with a folder that cannot be written to.

    Args:
        error: the system's error.
        name: the folder's name for users, such as `the output folder`.
        folder: where it is.
    """
    wrong, _ = REASONS.get(error.errno or 0, ("cannot be written to", ""))
    wrong = wrong.format(user=system.own_name())
    return f"{name} {redacted(folder)} {wrong} ({error.strerror or error})"


def explained(error: OSError, folders: Mapping[str, Place]) -> str:
    """Return a sentence on why a file cannot be written; empty if the error is of another kind.

    Args:
        error: the system's error.
        folders: the folders that may be the cause, by their names for users.
    """
    if isinstance(error, StorageError | WriteError) or error.errno not in REASONS:
        return ""
    if error.filename is None:
        return ""
    _, advice = REASONS[error.errno]
    file = Path(os.fsdecode(error.filename))
    name, folder = next(
        (
            (name, folder)
            for name, folder in folders.items()
            if (local := on_disk(folder)) and file.is_relative_to(local)
        ),
        ("the folder", file.parent),
    )
    return f"{redacted(file)}: cannot be written: {reason(error, name, folder)}; {advice}"


@contextmanager
def writing_to(folders: Mapping[str, Place]) -> Iterator[None]:
    """Make write errors say which of these folders they concern.

    Args:
        folders: by their names for users, such as `the output folder`.

    Raises:
        WriteError: a file cannot be written, in one of these folders or elsewhere.
    """
    try:
        yield
    except OSError as error:
        if why := explained(error, folders):
            raise WriteError(why) from error
        raise
