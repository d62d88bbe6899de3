"""What runs replace and remove in an output folder: never an input, never a file of somebody else.

Intermediates, and the best picture so far of a stopped row, have a mark in their text, so that they
can be distinguished from pictures that somebody put there.
"""

import itertools
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from nst_core.images.pictures import PictureError, read_png_text
from nst_core.storage.files import read_whole, remove, version_of, write_atomic
from nst_core.storage.places import Place, path_below, redacted, without_links
from tasks.store.layout import MANAGED_FILES, MANAGED_FOLDERS

logger = logging.getLogger("nst_batch.managed")

Mark = Mapping[str, str]
INTERMEDIATE_MARK: Mark = {"Software": "nst-batch intermediate"}
INTERRUPTED_MARK: Mark = {"Software": "nst-batch interrupted"}

_Identity = tuple[int, int]


class ManagedPlaces:
    """The folders and files below an output folder that belong to runs.

    A place is recognized by its name, with links followed, and on a disk by the folder itself, so
    that neither a link nor another spelling (`INTERRUPTED` where case does not matter) hides it.
    """

    def __init__(self, output: Place) -> None:
        self.output = output.absolute()
        self._identities: dict[Path, _Identity | None] = {}
        self._folders = {
            identity: name
            for name in MANAGED_FOLDERS
            if isinstance(self.output, Path) and (identity := self._identity(self.output / name))
        }

    def name_at(self, named: Place) -> str:
        """Return the managed folder or file that a place is or is in, such as `losses`, or ''."""
        named = named.absolute()
        past_links = without_links(named)
        places = ((self.output, named), (without_links(self.output), past_links))
        for output, place in places:
            first, _, rest = path_below(output, place).partition("/")
            if first in (MANAGED_FOLDERS if rest else MANAGED_FILES):
                return first
        if not isinstance(named, Path) or not isinstance(self.output, Path):
            return ""
        return self._name_by_identity(named, Path(str(past_links)))

    def _name_by_identity(self, *places: Path) -> str:
        for place in places:
            for folder in place.parents:
                if name := self._folders.get(self._identity(folder) or (0, 0)):
                    return name
        return next(filter(None, map(self._file_name, places)), "")

    def _file_name(self, place: Path) -> str:
        """Return the managed file that a path spells differently; a hard link elsewhere is none."""
        name = place.name.casefold()
        if name in MANAGED_FILES and self._identity(place.parent) == self._identity(self.output):
            with suppress(OSError):
                return name if place.samefile(place.with_name(name)) else ""
        return ""

    def _identity(self, path: Place) -> _Identity | None:
        assert isinstance(path, Path)
        if path not in self._identities:
            try:
                facts = path.stat()
                self._identities[path] = (facts.st_dev, facts.st_ino)
            except OSError:
                self._identities[path] = None
        return self._identities[path]


def is_marked(picture: Place, mark: Mark) -> bool:
    """Return whether a run wrote the picture as the kind that the mark says."""
    try:
        return read_png_text(picture).items() >= mark.items()
    except PictureError:
        return False


def remove_ours(picture: Place, mark: Mark) -> None:
    """Remove a picture that an earlier run wrote; move any other aside, with a warning.

    Raises:
        OSError: it can be neither removed nor moved.
    """
    if is_marked(picture, mark):
        remove(picture)
    else:
        keep_others(picture, mark)


def keep_others(picture: Place, mark: Mark) -> None:
    """Move aside a picture that no run wrote, with a warning, because its place is needed.

    Raises:
        OSError: it cannot be moved.
    """
    if is_marked(picture, mark):
        return
    with suppress(FileNotFoundError):
        kept = _move_aside(picture)
        logger.warning(
            "%s: no run has written this picture, and its place is needed; it is %s now",
            *(redacted(picture), redacted(kept)),
        )


def _move_aside(file: Place) -> Place:
    """Give a file another name in its folder, and return its new place."""
    free: Place = next(
        place
        for number in itertools.count(1)
        if not _is_there(place := file.with_name(f"{file.stem}.kept-{number}{file.suffix}"))
    )
    if isinstance(file, Path) and isinstance(free, Path):
        file.rename(free)
    else:
        write_atomic(free, read_whole(file))
        remove(file)
    return free


def _is_there(file: Place) -> bool:
    if isinstance(file, Path):
        return os.path.lexists(file)
    try:
        version_of(file)
    except FileNotFoundError:
        return False
    return True
