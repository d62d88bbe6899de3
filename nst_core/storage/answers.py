"""What every storage reports: sizes, tags and times of files; errors that all have in common."""

import io
from typing import NamedTuple

from nst_core.errors import UserError

OpenFile = io.BufferedReader | io.BytesIO
"""A file that is open for reading."""


class Stat(NamedTuple):
    """What a storage reports about a file without reading it.

    Attributes:
        size: in bytes.
        tag: different for different bytes; empty on a disk, and if an object storage has none.
    """

    size: int
    tag: str


class Listed(NamedTuple):
    """What a storage's listing of a folder reports about a file.

    Attributes:
        size: in bytes.
        written_at: when the file was last written, in seconds since 1970 on the clock of the
            storage; None if the listing does not say so.
    """

    size: int
    written_at: float | None


class StorageError(UserError, OSError):
    """A storage service refuses a request or does not respond, so its contents are unknown."""


class NotAFileError(OSError):
    """A link, folder, pipe, device or oversized file was found, but a small file was expected."""
