"""Text files that only grow, such as logs: immediately on a disk, elsewhere when they are saved.

Unlike a result, such a file may be torn by a power failure, because nothing is ever read from it.
"""

import errno
import os
import stat
from io import FileIO
from pathlib import Path
from typing import Protocol

from nst_core import system
from nst_core.storage.answers import NotAFileError
from nst_core.storage.files import make_durable, read_kept, write_atomic
from nst_core.storage.local import on_disk
from nst_core.storage.places import Place

MOST_BYTES = 5_000_000
"""The size at which a file becomes the older one, whose name ends in `.1`."""

APPENDED = os.O_WRONLY | os.O_APPEND | os.O_CREAT


class GrowingFile(Protocol):
    """A file that only grows; only one process appends to it at a time.

    If the file is not empty, what a process adds begins with a line break. An empty line then
    separates it from what was there before, or at least a line break does, if a power failure tore
    the last text. The file and the older one each have a limited size.
    """

    def append(self, text: str) -> None:
        """Add a text, which ends with a line break.

        Raises:
            OSError: the text cannot be written.
        """
        ...

    def save(self) -> None:
        """Wait until all that was added survives the end of this process and of the machine.

        Raises:
            OSError: the storage reports an error.
        """
        ...

    def close(self) -> None:
        """Release what the file needs in this process, without saving it."""
        ...


def older(path: Place) -> Place:
    """Return the place of what was in a growing file before it became too large."""
    return path.with_name(f"{path.name}.1")


def growing_file(path: Place, most: int = MOST_BYTES) -> GrowingFile:
    """Open a growing file, and create it on a disk if it does not exist.

    Args:
        path: where it is; its folder exists.
        most: the size in bytes at which it becomes the older file.

    Raises:
        OSError: it cannot be created or opened; `NotAFileError` if it is not a regular file.
    """
    local = on_disk(path)
    return _OnDisk(local, most) if local else _InObjectStorage(path, most)


class _OnDisk:
    """A file on a disk, to which each text is written immediately."""

    def __init__(self, path: Path, most: int) -> None:
        self._path, self._most = path, most
        self._file = _opened(path)
        self._size = os.fstat(self._file.fileno()).st_size
        if self._size:
            self.append("\n")
        else:
            # From here on, a power failure can tear the text, but it cannot lose the name.
            self.save()

    def append(self, text: str) -> None:
        data = text.encode("utf-8", "backslashreplace")
        if self._size and self._size + len(data) > self._most:
            self._file.close()
            self._path.replace(str(older(self._path)))
            self._file, self._size = _opened(self._path), 0
        self._file.write(data)
        self._size += len(data)

    def save(self) -> None:
        os.fsync(self._file.fileno())
        make_durable(self._path)

    def close(self) -> None:
        self._file.close()


def _opened(path: Path) -> FileIO:
    """Open a regular file at its end; a link or a pipe in its place is refused."""
    file = FileIO(system.open_unlinked(path, APPENDED, 0o666), "ab")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise NotAFileError(
            errno.EINVAL, "found a folder, a pipe or a device, expected a file", str(path)
        )
    return file


class _InObjectStorage:
    """An object, which cannot grow: it is replaced by a longer one whenever it is saved."""

    def __init__(self, path: Place, most: int) -> None:
        self._path, self._most = path, most
        self._before: bytes | None = None
        self._added = bytearray()

    def append(self, text: str) -> None:
        self._added += text.encode("utf-8", "backslashreplace")
        if len(self._added) > 2 * self._most:
            del self._added[: -self._most]

    def save(self) -> None:
        if self._before is None:
            earlier = _bytes_of(self._path)
            self._before = earlier + b"\n" if earlier else b""
        if len(self._before) + len(self._added) <= self._most:
            write_atomic(self._path, self._before + self._added)
            return
        if self._before:
            write_atomic(older(self._path), self._before)
        write_atomic(self._path, bytes(self._added[-self._most :]))

    def close(self) -> None:
        self._added.clear()


def _bytes_of(path: Place) -> bytes:
    try:
        return read_kept(path)
    except FileNotFoundError:
        return b""
