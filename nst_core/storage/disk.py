"""Files on this machine's disks."""

import errno
import glob
import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from nst_core import system
from nst_core.storage.answers import Listed, NotAFileError, OpenFile, Stat
from nst_core.storage.folders import flush_folder, make_folder
from nst_core.storage.held_files import create_held, part_name
from nst_core.storage.local import special_kind
from nst_core.storage.places import Place

PROBE = b"\0" * 2**20
"""The data that is written to test whether a folder is writable."""


class Disk:
    """The storage of all paths; a file is replaced by renaming a complete one."""

    # A disk answers at once. What takes time is the CPU's work, for which more threads than CPUs
    # only wait for each other.
    reads_at_once = min(8, os.cpu_count() or 1)

    def open(self, path: Path, *, regular: bool = False) -> OpenFile:
        """Open a file for reading."""
        if regular:
            # Merely opening a pipe would wait for a writer, and some devices react to being opened.
            self.stat(path)
            return os.fdopen(os.open(path, os.O_RDONLY | system.AT_ONCE), "rb")
        if kind := special_kind(path):
            raise OSError(errno.EINVAL, f"found {kind}, expected a file", str(path))
        return path.open("rb")

    def stat(self, path: Path) -> Stat:
        """Return a regular file's size; a disk has no tags."""
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise NotAFileError(
                errno.EINVAL, "found a folder, a pipe or a device, expected a file", str(path)
            )
        return Stat(found.st_size, "")

    def listing(self, folder: Path) -> dict[str, Listed]:
        """Return the sizes and times of all files below a folder, by relative path."""
        files = ((found, _listed(found)) for found in folder.rglob("*"))
        return {found.relative_to(folder).as_posix(): listed for found, listed in files if listed}

    def find(self, named: Path) -> list[Place]:
        """Return what is in a folder; of a glob, only what is no folder."""
        if named.is_dir():
            return [*named.iterdir()]
        return [named] if named.exists() else [*_matching(named)]

    def write(self, path: Path, data: bytes) -> str:
        """Write a temporary file in the same folder, flush it to the disk, and rename it."""
        return self.write_parts(path, [data])

    def write_parts(self, path: Path, parts: Sequence[bytes | memoryview]) -> str:
        """Write what `write` writes, from parts that are never joined in memory."""
        try:
            _write_beside(path, parts)
        except OSError as error:
            # The system's error names the temporary file, or no file at all if the disk is full.
            raise OSError(error.errno, error.strerror, str(path)) from error
        return ""

    def flush(self, folder: Path) -> None:
        """Flush a folder, because the name of a new file is part of it."""
        flush_folder(folder)

    def move(self, path: Path, free: Path) -> None:
        """Rename a file, and flush the folder, because its former name may be used next."""
        path.rename(free)
        flush_folder(free.parent)

    def remove(self, path: Path) -> None:
        """Remove a file, if it exists."""
        path.unlink(missing_ok=True)

    def probe(self, folder: Path) -> None:
        """Write a temporary file, because nothing else reveals a quota or a full disk."""
        existing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        try:
            with tempfile.TemporaryFile(dir=existing) as file:
                file.write(PROBE)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(existing)) from error


def _matching(pattern: Path) -> Iterator[Path]:
    # The names of existing folders are taken literally, even if they look like globs.
    there = next(parent for parent in (pattern, *pattern.parents) if parent.exists())
    rest = pattern.relative_to(there)
    if not glob.has_magic(str(rest)):
        pattern.stat()
    if there.is_dir():
        # This raises if the folder cannot be read; a glob would report nothing.
        next(there.iterdir(), None)
    # Path.glob refuses absolute globs.
    found = glob.iglob(str(Path(glob.escape(str(there)), rest)), recursive=True)  # noqa: PTH207
    return (path for path in map(Path, found) if not path.is_dir())


def _listed(path: Path) -> Listed | None:
    """Return the facts of a file, or of a link's target; None if it is not a file or is gone."""
    try:
        facts = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            return None
        raise
    return Listed(facts.st_size, facts.st_mtime) if stat.S_ISREG(facts.st_mode) else None


def _write_beside(path: Path, parts: Sequence[bytes | memoryview]) -> None:
    make_folder(path.parent)
    part, descriptor = create_held(lambda: path.with_name(part_name(path.name)))
    try:
        with os.fdopen(descriptor, "wb") as file:
            for part_of_data in parts:
                file.write(part_of_data)
            file.flush()
            os.fsync(file.fileno())
            if system.CAN_RENAME_OPEN_FILES:
                # It stays locked until it has its final name, or another run would remove it.
                part.replace(path)
        if not system.CAN_RENAME_OPEN_FILES:
            part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
