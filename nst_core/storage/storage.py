"""What a kind of storage must be able to do, and which kind a place belongs to.

Only `nst_core.storage.files` uses this protocol; all other modules call the functions of
`nst_core.storage.files`. To add a kind, write a class with these methods, and name it in
`schemes.SCHEMES`.
"""

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from nst_core.storage.answers import Listed, OpenFile, Stat
from nst_core.storage.disk import Disk
from nst_core.storage.places import Place
from nst_core.storage.schemes import SCHEMES, Scheme


class Storage(Protocol):
    """A kind of storage; `path` and `folder` are places of this kind.

    Every method raises an `OSError` with a reason in `strerror` and without secrets:
    `FileNotFoundError` if there is no such file, and `StorageError` if that is unknown.

    Attributes:
        reads_at_once: how many threads read many small files the fastest.
    """

    reads_at_once: int

    def open(self, path: Any, *, regular: bool = False) -> OpenFile:
        """Open a file for reading.

        Args:
            path: where it is.
            regular: open nothing but a regular file or an object; `NotAFileError` is raised for a
                folder, a pipe or a device.
        """
        ...

    def stat(self, path: Any) -> Stat:
        """Return the size and tag of a regular file or an object, without reading it."""
        ...

    def listing(self, folder: Any) -> dict[str, Listed]:
        """Return what is known of all files below a folder, by relative path with `/`.

        A folder that does not exist has no files. What was written before the call is listed.
        """
        ...

    def find(self, named: Any) -> list[Place]:
        """Return what is in a folder, or else what matches a glob, in any order."""
        ...

    def write(self, path: Any, data: bytes) -> str:
        """Write a file atomically, together with missing folders.

        Returns:
            The tag of exactly these bytes; empty if there is none, or if the bytes were replaced.
        """
        ...

    def flush(self, folder: Any) -> None:
        """Wait until the files of a folder survive a power failure under the names they have."""
        ...

    def move(self, path: Any, free: Any) -> None:
        """Rename a file within its folder, to a name that is not in use."""
        ...

    def remove(self, path: Any) -> None:
        """Remove a file; do nothing if there is none."""
        ...

    def probe(self, folder: Any) -> None:
        """Write something to a folder, or to where it would be created; leave nothing behind."""
        ...


DISK: Storage = Disk()


@cache
def _storage_named(name: str) -> Storage:
    module, _, class_name = name.rpartition(".")
    storage: Storage = getattr(import_module(module), class_name)()
    return storage


def storage_of(path: Place) -> Storage:
    """Return the storage that a place belongs to."""
    if isinstance(path, Path):
        return DISK
    return _storage_named(SCHEMES.get(path.protocol, Scheme()).storage)
