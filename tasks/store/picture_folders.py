"""The pictures in a folder, or those that match a glob, on a disk or in object storage."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from PIL import Image

from nst_core.images.picture_files import FORMATS
from nst_core.storage.files import find_files, list_files, stat
from nst_core.storage.local import is_folder, on_disk, why_no_file
from nst_core.storage.places import Place, is_on_web, place

SUFFIXES = frozenset(
    suffix for suffix, file_format in Image.EXTENSION.items() if file_format in FORMATS
)
"""The suffixes of the files that can be read."""

NOT_TEXT = "with a name that is not UTF-8"


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
        return _found(find_files(where))
    names = sorted(list_files(where))
    hidden = [name for name in names if _is_in_hidden_folder(name)]
    found = _found([where / name for name in names if not _is_in_hidden_folder(name)])
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
    return _found(find_files(folder)).pictures


def _found(files: list[Place]) -> Found:
    seen = in_order(files)
    why = {path: _why_left_out(path) for path in seen}
    return Found(
        pictures=[path for path in seen if not why[path]],
        left_out=[LeftOut(shown(path), why[path]) for path in seen if why[path]],
    )


def in_order(paths: Iterable[Place]) -> list[Place]:
    """Return paths in the order of their names, in which numbers count as numbers."""
    return sorted(paths, key=_natural)


def _natural(path: Place) -> tuple[list[object], str]:
    """Return a sort key that compares numbers in names as numbers."""
    words = re.split(r"(\d+)", str(path))
    return [int(word) if at % 2 else word.casefold() for at, word in enumerate(words)], str(path)


def _why_left_out(path: Place) -> str:
    """Return why a file cannot be in a manifest; an empty text if it can."""
    if path.name.startswith("."):
        return "hidden"
    if why := why_no_file(path):
        return why
    if path.suffix.lower() not in SUFFIXES:
        return path.suffix.lower() or "without an extension"
    return "" if shown(path) == str(path) else NOT_TEXT


def shown(path: Place) -> str:
    """Return a path as text, whatever bytes it contains."""
    return str(path).encode("utf-8", "backslashreplace").decode()
