"""The files in a folder of the cache of styles, as prunes and lists see them."""

import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nst_core.errors import UserError
from nst_core.storage.files import remove

NAMES = re.compile(r"([0-9a-f]{64})\.safetensors")
"""The only names that are listed and pruned; any other file in the folder is left alone."""


class CacheError(UserError):
    """A cache that cannot be listed or pruned; the message says what to do."""


@dataclass(frozen=True)
class CachedFile:
    """A file of the cache, as it was when its folder was read.

    Attributes:
        key: in its name.
        size: in bytes.
        last_used: seconds since 1970.
    """

    path: Path
    key: str
    size: int
    last_used: float


def cached_files(folder: Path) -> list[CachedFile]:
    """Return the files in a folder, sorted by key.

    Raises:
        CacheError: the folder cannot be read.
    """
    try:
        return sorted(_files_in(folder), key=lambda file: file.key)
    except OSError as error:
        raise CacheError(f"{error.filename}: cannot be read: {error.strerror}") from error


def _files_in(folder: Path) -> Iterator[CachedFile]:
    """Yield the files in a folder; runs and other prunes may add and remove some meanwhile."""
    with suppress(FileNotFoundError):
        for path in [*folder.iterdir()]:
            named = NAMES.fullmatch(path.name)
            with suppress(FileNotFoundError):
                facts = path.lstat()
                if named and stat.S_ISREG(facts.st_mode):
                    yield CachedFile(path, named[1], facts.st_size, facts.st_mtime)


def remove_files(files: Iterable[CachedFile]) -> None:
    """Remove files, some of which may be gone already.

    Raises:
        CacheError: one of them cannot be removed.
    """
    for file in files:
        try:
            remove(file.path)
        except OSError as error:
            raise CacheError(f"{error.filename}: cannot be removed: {error.strerror}") from error
