"""What a command line names, so that messages show these places as they were typed.

The program works with absolute places, and a manifest names pictures by paths that start from its
own folder. Whoever typed `photos` knows neither.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from upath import UPath

_places: dict[str, str] = {}
_pictures: dict[str, str] = {}


def remember_typed(places: Iterable[str], pictures: Iterable[str] = ()) -> None:
    """Remember the places that a command line names, and forget those of an earlier one.

    Args:
        places: files and folders, as they were typed.
        pictures: pictures, folders of pictures, and globs, if rows are laid out for them.
    """
    pictures = list(pictures)
    for known, texts in ((_places, [*places, *pictures]), (_pictures, pictures)):
        known.clear()
        for text in map(_before_wildcards, texts):
            known |= {os.path.realpath(text): text, _whole(Path(text)): text}


def as_typed(path: Path) -> str:
    """Return a path as it was typed, or below a folder as that was typed; else as it is."""
    return _below_typed(path, _places) or str(path)


def picture_as_typed(named: Path | UPath) -> str:
    """Return a picture's path as it was typed; empty if it is a URL, or was not typed."""
    return _below_typed(named, _pictures) if isinstance(named, Path) else ""


def _below_typed(path: Path, known: Mapping[str, str]) -> str:
    if not known:
        return ""
    whole = Path(_whole(path))
    for folder in (whole, *whole.parents):
        if (text := known.get(str(folder))) is not None:
            return str(Path(text, whole.relative_to(folder)))
    return ""


def _whole(path: Path) -> str:
    """Return an absolute path without links among its folders; a picture may be a link."""
    return str(Path(os.path.realpath(path.parent)) / path.name)


def _before_wildcards(text: str) -> str:
    """Return the folder of a glob before its first wildcard; a path as it is."""
    path = Path(text)
    if os.path.lexists(path):
        return text
    wild = [at for at, part in enumerate(path.parts) if any(sign in part for sign in "*?[")]
    return str(Path(*path.parts[: wild[0]])) if wild else text
