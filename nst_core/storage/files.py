"""Reading and atomic writing of files, wherever they are, and the place of the user's cache."""

import errno
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import platformdirs

from nst_core.storage.answers import Listed, OpenFile
from nst_core.storage.answers import NotAFileError as NotAFileError
from nst_core.storage.answers import Stat as Stat
from nst_core.storage.answers import StorageError as StorageError
from nst_core.storage.disk import Disk
from nst_core.storage.local import is_link, on_disk
from nst_core.storage.places import Place, PlaceError, place
from nst_core.storage.storage import storage_of


def user_cache() -> Place:
    """Return `NST_BATCH_CACHE`, or `nst-batch` in the user's cache folder.

    Raises:
        PlaceError: the variable does not name a usable place.
    """
    named = os.environ.get("NST_BATCH_CACHE")
    return place(named) if named else local_cache()


def local_cache(cache: Place | None = None) -> Path:
    """Return the cache, or the user's cache folder if the cache is not on this machine.

    Raises:
        PlaceError: the user has no home folder.
    """
    if cache is not None and (path := on_disk(cache)):
        return path
    try:
        return _usual_cache()
    except RuntimeError:
        raise PlaceError(
            "no cache folder: HOME is not set, and this user has no home folder; set "
            "NST_BATCH_CACHE to a folder that you can write to"
        ) from None


def _usual_cache() -> Path:
    """Return the user's cache folder, as the system's conventions have it.

    Raises:
        RuntimeError: the user has no home folder.
    """
    named = os.environ.get("XDG_CACHE_HOME")
    # Version 0.1.0 had it here on every system.
    earlier = Path(named or Path.home() / ".cache") / "nst-batch"
    if named or earlier.exists():
        return earlier
    return platformdirs.user_cache_path("nst-batch", appauthor=False)


def read_whole(path: Place) -> bytes:
    """Return all bytes of a file, wherever it is.

    Raises:
        OSError: it does not exist (`FileNotFoundError`) or cannot be read, with a reason in
            `strerror`; `StorageError` if it is unknown whether it exists.
    """
    with storage_of(path).open(path) as file:
        return file.read()


def read_kept(path: Place, most: int | None = None) -> bytes:
    """Return the bytes of a regular file or of an object; anything else is not opened.

    Args:
        path: where it is.
        most: the largest allowed size in bytes; a larger file is not read to its end. If this is
            given, a symbolic link is refused, too.

    Raises:
        OSError: as in `read_whole`; `NotAFileError` if it is neither, or is too large.
    """
    if most is not None and is_link(path):
        raise NotAFileError(errno.ELOOP, "found a symbolic link, expected a file", str(path))
    data = read_start(path, -1 if most is None else most + 1)
    if most is not None and len(data) > most:
        raise NotAFileError(errno.EFBIG, f"found more than {most} bytes", str(path))
    return data


def read_start(path: Place, most: int) -> bytes:
    """Return at most this many bytes from the start of a regular file or an object.

    Raises:
        OSError: as in `read_kept`.
    """
    with storage_of(path).open(path, regular=True) as file:
        return file.read(most)


class Contents(NamedTuple):
    """A file's size in bytes, and its SHA-256."""

    size: int
    sha256: str


def contents_of(path: Place, size: int) -> Contents:
    """Return a file's size and SHA-256, using little memory; no SHA-256 if its size is not `size`.

    Raises:
        OSError: as in `read_kept`.
    """
    with storage_of(path).open(path, regular=True) as file:
        found = file.seek(0, os.SEEK_END)
        if found != size:
            return Contents(found, "")
        file.seek(0)
        return Contents(found, hashlib.file_digest(file, "sha256").hexdigest())


def stat(path: Place) -> Stat:
    """Return the size and tag of a regular file or an object, without reading it.

    Raises:
        OSError: as in `read_kept`.
    """
    return storage_of(path).stat(path)


def reads_at_once(folder: Place) -> int:
    """Return how many threads read many small files in a folder the fastest."""
    return storage_of(folder).reads_at_once


def exists(path: Place) -> bool:
    """Return whether anything has this name, even a link that leads nowhere.

    Raises:
        StorageError: the storage refuses the request or does not respond.
    """
    if local := on_disk(path):
        return os.path.lexists(local)
    try:
        stat(path)
    except FileNotFoundError:
        return False
    return True


def list_files(folder: Place) -> set[str]:
    """Return all files in a folder and its subfolders, as relative paths separated by `/`.

    Raises:
        OSError: as in `read_whole`; a folder that does not exist has no files.
    """
    return set(sizes_of_files(folder))


def sizes_of_files(folder: Place) -> dict[str, int]:
    """Return the sizes in bytes of the files of `list_files`, in object storage with few requests.

    Raises:
        OSError: as in `list_files`.
    """
    return {name: listed.size for name, listed in listing_of(folder).items()}


def listing_of(folder: Place) -> dict[str, Listed]:
    """Return the sizes of the files of `list_files`, and when each was written.

    Raises:
        OSError: as in `list_files`.
    """
    return storage_of(folder).listing(folder)


def find_files(named: Place) -> list[Place]:
    """Return what is in a folder, or what matches a glob, which may contain `**`; in any order.

    Args:
        named: a path or a URL. It is a glob only if nothing has exactly this name, so a
            folder may be called `photos [2024]`. A folder's subfolders and special files are
            returned, too; a glob finds no folders.

    Raises:
        OSError: there is no such folder, or it cannot be read.
    """
    return storage_of(named).find(named)


def open_file(path: Place) -> OpenFile:
    """Open a file for reading, wherever it is.

    Raises:
        OSError: as in `read_whole`.
    """
    return storage_of(path).open(path)


def remove(path: Place) -> None:
    """Remove a file, if it exists.

    Raises:
        OSError: it cannot be removed.
    """
    storage_of(path).remove(path)


def move(path: Place, free: Place) -> None:
    """Rename a file within its folder, to a name that is not in use.

    Raises:
        OSError: the file does not exist, or cannot be moved.
    """
    storage_of(path).move(path, free)


def write_atomic(path: str | os.PathLike[str] | Place, data: bytes) -> str:
    """Write a file so that readers see either the old one or the new one, never a part.

    Missing folders are created. On a disk, the data first goes to a temporary file in the same
    folder (see `part_name`), which is removed on any error. Only a killed process or a power
    failure can leave it behind; `sweep_parts` then removes it. In object storage, an object appears
    only once it is complete.

    After a power failure, too, the file is one of the two; `make_durable` excludes the old one.

    Returns:
        The storage's tag of exactly these bytes, as in `Stat`; empty on a disk, if the storage has
        no tags, and if another writer has already replaced these bytes.

    Raises:
        OSError: the folder cannot be created, is not writable or is full; an old file stays as is.
    """
    path = place(path)
    return storage_of(path).write(path, data)


def write_atomic_parts(path: Place, parts: Sequence[bytes | memoryview]) -> None:
    """Write a file as `write_atomic` does, from parts that take no more memory than they have.

    In object storage, the parts are joined in memory first.

    Raises:
        OSError: as in `write_atomic`.
    """
    if isinstance(path, Path):
        Disk().write_parts(path, parts)
    else:
        write_atomic(path, b"".join(parts))


def make_durable(*paths: Place) -> None:
    """Wait until written files survive a power failure (docs/reliability.md says where they do).

    This costs little if many files are passed at once, after all of them have been written.

    Raises:
        OSError: the disk reports an error.
    """
    for folder in dict.fromkeys(path.parent for path in paths):
        storage_of(folder).flush(folder)


write_whole = write_atomic
"""The earlier name of `write_atomic`, for users' scripts."""


def probe(folder: Place) -> None:
    """Write something to a folder, or to where it would be created, and leave nothing behind.

    Raises:
        OSError: nothing can be written there.
    """
    storage_of(folder).probe(folder)
