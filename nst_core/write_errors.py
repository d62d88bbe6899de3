"""Why a file cannot be written: which one, whose folder is at fault, and what to do."""

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from nst_core.files import StorageError
from nst_core.locks import user_name
from nst_core.places import Place, told

REASONS = {
    errno.ENOSPC: ("is full", "make room there"),
    errno.EDQUOT: ("has no room left in your quota", "remove something there, or ask for more"),
    errno.EROFS: ("can only be read", "choose another folder"),
    errno.EACCES: ("may not be written by {user}", "choose another folder, or change its mode"),
    errno.EPERM: ("may not be written by {user}", "choose another folder, or change its mode"),
    errno.EIO: ("is on a disk that fails", "see the system's log"),
    errno.ENOTDIR: ("leads through a file", "choose another folder"),
    errno.EEXIST: ("is no folder", "choose another folder"),
}
"""By `OSError.errno`: what is wrong with a folder, and what to do about it."""


class WriteError(OSError):
    """A file that cannot be written; the message says why, and what to do."""


def reason(error: OSError, name: str, folder: Place) -> str:
    """What is wrong with a folder that cannot be written, in a sentence.

    Args:
        error: what the system says.
        name: what people call the folder, such as `the output folder`.
        folder: where it is.
    """
    wrong, _ = REASONS.get(error.errno or 0, ("cannot be written", ""))
    wrong = wrong.format(user=user_name(os.geteuid()))
    return f"{name} {told(folder)} {wrong} ({error.strerror or error})"


def explained(error: OSError, folders: Mapping[str, Place]) -> str:
    """The same with the file that was to be written; empty where the error is of another kind.

    Args:
        error: what the system says.
        folders: those that may be at fault, by what people call them.
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
            if isinstance(folder, Path) and file.is_relative_to(folder)
        ),
        ("the folder", file.parent),
    )
    return f"{file}: cannot be written: {reason(error, name, folder)}; {advice}"


@contextmanager
def writing_to(folders: Mapping[str, Place]) -> Iterator[None]:
    """Say of errors which of these folders they are about.

    Args:
        folders: by what people call them, such as `the output folder`.

    Raises:
        WriteError: a file in one of them, or beside them, cannot be written.
    """
    try:
        yield
    except OSError as error:
        if why := explained(error, folders):
            raise WriteError(why) from error
        raise
