"""The pictures in a folder, or those that match a glob, on a disk or in object storage."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath

from PIL import Image

from nst_core.images import camera_raw, heic
from nst_core.images.picture_files import FORMATS
from nst_core.storage.files import find_files, list_files, stat
from nst_core.storage.local import is_folder, on_disk, why_no_file
from nst_core.storage.places import Place, is_on_web, place

SUFFIXES = frozenset(
    suffix for suffix, file_format in Image.EXTENSION.items() if file_format in FORMATS
).union(heic.SUFFIXES if heic.is_installed() else ())
"""The suffixes of the files that can be read."""

NOT_TEXT = "with a name that is not UTF-8"

MOST_COUNTED = 2000
"""The most files that are looked at to count the pictures in folders below a folder."""

OF_SYSTEMS = "files of operating systems"

_SYSTEM_FILES = frozenset((".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"))
_SYSTEM_FOLDERS = frozenset(
    ("@eadir", "#recycle", "$recycle.bin", "__macosx", "lost+found", "system volume information")
)
"""Folders in which systems and network disks store small copies of pictures, or deleted ones."""


@dataclass(frozen=True)
class LeftOut:
    """A file that is not taken for a picture, and the reason."""

    path: str
    why: str


@dataclass(frozen=True)
class Found:
    """The pictures that were found (IMG_2 before IMG_10), and the files that were left out."""

    pictures: list[Place]
    left_out: list[LeftOut]


def find_pictures(named: str, *, recursive: bool = False) -> Found:
    """Return the pictures in a folder, or those that match a glob, which may contain `**`.

    Args:
        named: a path or a URL. It is a glob only if nothing has exactly this name, so a folder may
            be called `photos [2024]`.
        recursive: of a folder, return the pictures in its subfolders, too, but not in hidden ones.

    Raises:
        OSError: there is no such folder, or it cannot be read.
        PlaceError: a URL cannot be used.
    """
    where = place(named)
    if not recursive or not is_folder_of_pictures(where):
        return left_out_of(find_files(where), named)
    names = sorted(list_files(where))
    hidden = [name for name in names if _is_in_hidden_folder(name)]
    found = left_out_of([where / name for name in names if not _is_in_hidden_folder(name)], named)
    left_out = [LeftOut(shown(where / name), "in hidden folders") for name in hidden]
    return Found(found.pictures, [*found.left_out, *left_out])


def _is_in_hidden_folder(name: str) -> bool:
    return any(part.startswith(".") for part in PurePosixPath(name).parts[:-1])


def is_folder_of_pictures(named: Place) -> bool:
    """Return whether a place is a folder, and not a picture.

    In object storage, only a listing shows this. A place whose name ends like that of a picture is
    taken for a picture without being looked up, so that pictures cost no additional request, and
    nothing else is listed if it is an object or cannot be examined: opening it then says why. The
    web has no folders.

    Raises:
        StorageError: a storage does not list it although it says that there is no such object.
    """
    if on_disk(named):
        return is_folder(named)
    if named.suffix.lower() in SUFFIXES or is_on_web(named):
        return False
    try:
        # What storages report as a folder has no size.
        if stat(named).size:
            return False
    except FileNotFoundError:
        pass
    except OSError:
        return False
    return any(str(found) != str(named) for found in find_files(named))


def pictures_in(folder: Place) -> list[Place]:
    """Return the pictures in a folder, without those in its subfolders; see `find_pictures`.

    Raises:
        OSError: the folder cannot be read.
    """
    return left_out_of(find_files(folder), str(folder)).pictures


def left_out_of(files: Iterable[Place], named: str) -> Found:
    """Return the pictures among files that were found, in order, and why the others are none.

    Args:
        files: what was found.
        named: the folder or glob in which they were found; the files of a folder that systems
            make count only if this names the folder.
    """
    seen = in_order(files)
    named_parts = frozenset(part.lower() for part in place(named).parts)
    why = {path: _why_left_out(path, named_parts) for path in seen}
    return Found(
        pictures=[path for path in seen if not why[path]],
        left_out=[LeftOut(shown(path), why[path]) for path in seen if why[path]],
    )


def by_reason(left_out: Iterable[LeftOut]) -> str:
    """Return how many files were left out, by reason, such as `3 hidden, 2 .txt`."""
    counts = Counter(one.why for one in left_out)
    return ", ".join(f"{count} {why}" for why, count in counts.most_common())


def pictures_below(folder: Place) -> tuple[int, bool]:
    """Return how many pictures are in the folders of a folder, and whether all of them are counted.

    Only so many files of a disk are looked at, and none in object storage, whose listing may be
    long.
    """
    local = on_disk(folder)
    if local is None:
        return 0, False
    files = _files_below(local)
    found = left_out_of(islice(files, MOST_COUNTED), str(folder))
    return len(found.pictures), next(files, None) is None


def _files_below(folder: Path) -> Iterator[Path]:
    for path, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(path, name) for name in names if Path(path) != folder)


def in_order(paths: Iterable[Place]) -> list[Place]:
    """Return paths in the order of their names, in which numbers count as numbers."""
    return sorted(paths, key=_natural)


def _natural(path: Place) -> tuple[list[object], str]:
    """Return a sort key that compares numbers in names as numbers."""
    words = re.split(r"(\d+)", str(path))
    return [int(word) if at % 2 else word.casefold() for at, word in enumerate(words)], str(path)


def _why_left_out(path: Place, named_parts: frozenset[str]) -> str:
    """Return why a file cannot be in a manifest; an empty text if it can."""
    if _is_of_a_system(path, named_parts):
        return OF_SYSTEMS
    if path.name.startswith("."):
        return "hidden"
    if why := why_no_file(path):
        return why
    if why := _why_no_picture(path.suffix.lower()):
        return why
    return "" if shown(path) == str(path) else NOT_TEXT


def _is_of_a_system(path: Place, named_parts: frozenset[str]) -> bool:
    if path.name.lower() in _SYSTEM_FILES or path.name.startswith("._"):
        return True
    parts = {part.lower() for part in path.parts}
    return not _SYSTEM_FOLDERS.isdisjoint(parts - named_parts)


def _why_no_picture(suffix: str) -> str:
    """Return why files with this suffix are not read; an empty text if they are."""
    if suffix in SUFFIXES:
        return ""
    if suffix in camera_raw.SUFFIXES:
        return f"{suffix} (camera raw; {camera_raw.ADVICE})"
    if suffix in heic.SUFFIXES:
        return f"{suffix} (needs {heic.NEEDED})"
    return suffix or "without an extension"


def shown(path: Place) -> str:
    """Return a path as text, whatever bytes it contains."""
    return str(path).encode("utf-8", "backslashreplace").decode()
