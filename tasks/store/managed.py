"""What runs replace and remove in an output folder: never an input, never a file of somebody else.

Intermediates, and the best picture so far of a stopped row, have a mark in their text, so that they
can be distinguished from pictures that somebody put there.
"""

import itertools
import logging
from collections.abc import Mapping
from contextlib import suppress
from functools import cache

from nst_core.images.picture_files import PictureError
from nst_core.images.write import read_text
from nst_core.storage.files import exists, move, remove
from nst_core.storage.local import identity_of
from nst_core.storage.places import Place, path_below, redacted, without_links
from tasks.store.output_folder import MANAGED_FILES, MANAGED_FOLDERS, OutputFolder

logger = logging.getLogger("nst_batch.managed")

Mark = Mapping[str, str]
INTERMEDIATE_MARK: Mark = {"Software": "nst-batch intermediate"}
INTERRUPTED_MARK: Mark = {"Software": "nst-batch interrupted"}


class ManagedPlaces:
    """The folders and files below an output folder that belong to runs.

    A place is recognized by its name, with links followed, and on a disk by the folder itself, so
    that neither a link nor another spelling (`INTERRUPTED` where case does not matter) hides it.
    """

    def __init__(self, output: OutputFolder) -> None:
        self.root = output.root.absolute()
        self._identity_of = cache(identity_of)
        self._folders = {
            identity: name
            for name in MANAGED_FOLDERS
            if (identity := self._identity_of(self.root / name))
        }

    def name_at(self, named: Place) -> str:
        """Return the managed folder or file that a place is or is in, such as `losses`, or ''."""
        named = named.absolute()
        past_links = without_links(named)
        for root, place in ((self.root, named), (without_links(self.root), past_links)):
            first, _, rest = path_below(root, place).partition("/")
            if first in (MANAGED_FOLDERS if rest else MANAGED_FILES):
                return first
        return self._name_by_identity(named, past_links)

    def _name_by_identity(self, *places: Place) -> str:
        for place in places:
            for folder in place.parents:
                identity = self._identity_of(folder)
                if identity and (name := self._folders.get(identity)):
                    return name
        return next(filter(None, map(self._file_name, places)), "")

    def _file_name(self, place: Place) -> str:
        """Return the managed file that a path spells differently; hard links do not count."""
        name = place.name.casefold()
        if name not in MANAGED_FILES:
            return ""
        folder = self._identity_of(place.parent)
        is_here = folder is not None and folder == self._identity_of(self.root)
        found = identity_of(place) if is_here else None
        return name if found and found == identity_of(place.with_name(name)) else ""


def is_marked(picture: Place, mark: Mark) -> bool:
    """Return whether a run wrote the picture as the kind that the mark says."""
    try:
        return read_text(picture).items() >= mark.items()
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
        moved = _move_aside(picture)
        logger.warning(
            "%s: no run wrote this picture, but its place is needed; it was moved to %s",
            *(redacted(picture), redacted(moved)),
        )


def _move_aside(file: Place) -> Place:
    """Give a file another name in its folder, and return its new place."""
    free: Place = next(
        place
        for number in itertools.count(1)
        if not exists(place := file.with_name(f"{file.stem}.kept-{number}{file.suffix}"))
    )
    move(file, free)
    return free
