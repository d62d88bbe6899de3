"""Hints about files and folders that are not there: what was probably meant.

This is the only place that makes such hints.
"""

import os
import re
import unicodedata
from difflib import get_close_matches
from pathlib import Path, PurePath, PureWindowsPath
from typing import NamedTuple

from nst_core.storage.places import Place, place, redacted

LARGEST_FOLDER = 3000
"""In larger folders, no similar names are looked for, because comparing them all takes long."""

MOST_COMPARISONS = 30
"""How many names are compared with all others in their folder, for the same reason."""

OF_WINDOWS = re.compile(r"[A-Za-z]:([\\/]|$)|\\\\")
"""How absolute paths of Windows begin."""


class _Folder(NamedTuple):
    """The names in a folder: as they look, in any case, and without their extensions."""

    looks: dict[str, str]
    any_case: dict[str, str]
    stems: dict[str, str]


class Hints:
    """Hints about places; each folder is listed once, however many of its files are missing."""

    def __init__(self) -> None:
        self._folders: dict[Path, _Folder] = {}
        self._comparisons = 0

    def hint(self, named: Place, typed: str = "") -> str:
        """Return what was probably meant by a place that is not there, as a sentence.

        Args:
            named: the place; there are no hints for URLs.
            typed: the relative path from which the place follows, if there is one; suggestions are
                then relative to the same folder.

        Returns:
            A sentence such as `Did you mean 'photos/Anna.jpg'?`, or an empty text.
        """
        if not isinstance(named, Path):
            return ""
        base = _base(named, typed)
        try:
            meant = self._meant(named)
            if meant is None and base is not None and (Path.cwd() / typed).exists():
                found = os.path.relpath(Path.cwd() / typed, base)
                return (
                    f"Paths start from the folder of the file that names them, which is {base}. "
                    f"Did you mean {found!r}?"
                )
        except (OSError, ValueError):
            return ""
        if meant is None:
            return _windows_hint(named, typed)
        if _look(str(meant)) == _look(str(named)):
            return _form_hint(meant)
        return f"Did you mean {_shown(meant, base)!r}?"

    def _meant(self, named: Path) -> Path | None:
        """Return what is there under a similar path; None if nothing is."""
        there = next((parent for parent in named.absolute().parents if parent.is_dir()), None)
        if there is None:
            return None
        first, *rest = named.absolute().relative_to(there).parts
        if "\\" in first or OF_WINDOWS.match(first):
            return self._of_windows(there, str(PurePath(first, *rest)))
        name = self._similar(there, first, is_last=not rest)
        if name is None:
            return None
        meant = Path(there, name, *rest)
        if meant.exists():
            return meant
        # A folder on the way has a similar name, but the rest of the path is wrong, too.
        return self._meant(meant) if rest and (there / name).is_dir() else None

    def _of_windows(self, there: Path, text: str) -> Path | None:
        """Return the longest end of a Windows path that leads to something below a folder."""
        path = PureWindowsPath(text)
        parts = path.parts[bool(path.anchor) :]
        ends = (there.joinpath(*parts[begin:]) for begin in range(len(parts)))
        return next((end for end in ends if end.exists()), None)

    def _similar(self, folder: Path, name: str, *, is_last: bool) -> str | None:
        if folder not in self._folders:
            self._folders[folder] = _listed(folder)
        names = self._folders[folder]
        look = _look(name)
        stem = PurePath(look).stem.casefold()
        found = names.looks.get(look) or names.any_case.get(look.casefold())
        if found is None and is_last:
            found = names.stems.get(stem)
        if found is not None or len(names.any_case) > LARGEST_FOLDER:
            return found
        self._comparisons += 1
        if self._comparisons > MOST_COMPARISONS:
            return None
        # Equal extensions make any two short names similar.
        cutoff = 0.75 if PurePath(look).suffix else 0.7
        near = get_close_matches(look.casefold(), names.any_case, n=1, cutoff=cutoff)
        # A shell cuts a name at its first space, unless there are quotes around it.
        near = near or [name for name in names.any_case if name.startswith(f"{look.casefold()} ")]
        return names.any_case[near[0]] if near else None


def is_missing(error: BaseException | None) -> bool:
    """Return whether an error means that a file or one of its folders is not there."""
    return isinstance(error, FileNotFoundError | NotADirectoryError)


def unreadable(error: OSError, named: Place | None = None) -> str:
    """Return that and why a file or folder cannot be read, with a hint if it is not there.

    Args:
        error: why it cannot be read.
        named: where it is; if it is not given, the error knows.
    """
    where = place(error.filename or "") if named is None else named
    why = f"{redacted(where)}: cannot be read: {error.strerror or error}"
    hint = Hints().hint(where, str(where)) if is_missing(error) else ""
    return f"{why}; check the path{f'. {hint}' if hint else ' and its permissions'}"


def _listed(folder: Path) -> _Folder:
    """List a folder, without the names that no manifest can contain."""
    names = _Folder({}, {}, {})
    for name in sorted(path.name for path in folder.iterdir()):
        look = _look(name)
        if not look.isprintable():
            continue
        for known, key in (
            (names.looks, look),
            (names.any_case, look.casefold()),
            (names.stems, PurePath(look).stem.casefold()),
        ):
            known.setdefault(key, name)
    return names


def _look(text: str) -> str:
    """Return a text so that all texts that look the same are equal, except for similar letters."""
    return unicodedata.normalize("NFC", text)


def _base(named: Path, typed: str) -> Path | None:
    """Return the folder from which a relative path leads to a place."""
    parts = PurePath(typed).parts
    if not parts or PurePath(typed).is_absolute() or named.parts[-len(parts) :] != parts:
        return None
    return Path(*named.parts[: -len(parts)])


def _shown(meant: Path, base: Path | None) -> str:
    return str(meant) if base is None else os.path.relpath(meant, base)


def _form_hint(meant: Path) -> str:
    form = "NFD, as Macs write it" if unicodedata.is_normalized("NFD", str(meant)) else "NFC"
    return (
        f"There is a file whose name looks the same, but its letters are encoded in another form "
        f"of Unicode ({form}). Copy the name from the file, or rename the file."
    )


def _windows_hint(named: Path, typed: str) -> str:
    text = typed or named.name
    if os.name == "nt" or not (OF_WINDOWS.match(text) or "\\" in text):
        return ""
    return "This is a path of a Windows machine. Write the path that the file has here, with '/'."
