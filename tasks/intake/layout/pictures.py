"""The contents and styles that are named: files, folders and globs."""

import glob
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from nst_core.storage.files import StorageError
from nst_core.storage.local import is_folder
from nst_core.storage.near_names import unreadable
from nst_core.storage.places import (
    Place,
    as_seen_from,
    may_be_url,
    name_of,
    path_below,
    place,
    without_links,
)
from tasks.intake.layout.errors import LayoutError
from tasks.intake.layout.no_pictures import OF_FOLDERS_BELOW, why_nothing
from tasks.store.csv_cells import harmless_path
from tasks.store.output_folder import MANAGED_FILES, MANAGED_FOLDERS, PICTURES, OutputFolder
from tasks.store.picture_folders import (
    Found,
    LeftOut,
    find_pictures,
    is_folder_of_pictures,
    shown,
)
from tasks.store.style_cells import SEPARATOR, split_styles

MOST_STYLES_IN_NAME = 3
OF_RUNS, AS_STYLE = "results of runs", "named as styles"
NOT_READY = "not whole yet"
"""Why pictures are left out: a run wrote them; they are the styles; they are still written."""


@dataclass(frozen=True)
class Content:
    """A content picture.

    Attributes:
        cell: its place, as a cell of the manifest.
        folder: its folder below what was named, separated by `/`; may be empty.
        stem: its file name without the suffix.
    """

    cell: str
    folder: str
    stem: str

    @property
    def path(self) -> str:
        """Its path below what was named, without the suffix."""
        return f"{self.folder}/{self.stem}" if self.folder else self.stem


@dataclass(frozen=True)
class Style:
    """A style, or several that are blended.

    Attributes:
        cell: the cell of the manifest.
        name: what results are called after it.
    """

    cell: str
    name: str


@dataclass(frozen=True)
class Seen:
    """What was found for each name that was typed.

    Attributes:
        found: the pictures that are taken, and the files that are not, by name.
        roots: for contents, the folder that all of them are below, by name.
    """

    found: Mapping[str, Found]
    roots: Mapping[str, Place] = field(default_factory=dict)

    @property
    def pictures(self) -> list[Place]:
        """All pictures."""
        return [one for each in self.found.values() for one in each.pictures]

    @property
    def left_out(self) -> list[LeftOut]:
        """All files that were left out."""
        return [one for each in self.found.values() for one in each.left_out]


def find_contents(
    named: Sequence[str],
    folder: Place,
    *,
    recursive: bool = False,
    output: OutputFolder | None = None,
    styles: Collection[str] = (),
    ready: Collection[str] | None = None,
    may_be_none: bool = False,
) -> tuple[list[Content], Seen]:
    """Return the contents, each once, and what was found.

    Args:
        named: paths, URLs, folders and globs, in order.
        folder: the folder of the manifest.
        recursive: also look into the folders of folders.
        output: the output folder, whose results are no contents; None if it is unknown.
        styles: cells of styles, which are no contents of the folders that they are in.
        ready: the places, as texts, of the only pictures that may be taken; None for all.
        may_be_none: there need not be a picture for each name.

    Raises:
        LayoutError: no pictures are found for a name, or it cannot be read.
    """
    contents: dict[str, Content] = {}
    seen, roots = {}, {}
    for name in dict.fromkeys(named):
        where, found = place(name), _found(name, recursive=recursive)
        root, before = _root(where, found, is_one_of_many=len(set(named)) > 1)
        kept, left_out = [], list(found.left_out)
        for picture in found.pictures:
            cell = cell_of(folder, picture)
            why = _why_not(picture, where, cell, output, styles)
            if ready is not None and str(picture) not in ready:
                why = why or NOT_READY
            if why:
                left_out.append(LeftOut(shown(picture), why))
                continue
            kept.append(picture)
            inside = PurePosixPath(before, path_below(root, picture)).parent
            mirrored = "" if str(inside) == "." else str(inside)
            stem = PurePosixPath(name_of(picture)).stem
            contents.setdefault(cell, Content(cell, mirrored, stem))
        seen[name], roots[name] = Found(kept, left_out), root
    if not may_be_none:
        _check_found(seen, "" if recursive else "add --recursive")
    return [*contents.values()], Seen(seen, roots)


def found_pictures(named: Sequence[str]) -> Seen:
    """Return the pictures of these files, folders and globs.

    Raises:
        LayoutError: as in `find_styles`.
    """
    seen = {name: _found(name) for name in named}
    _check_found(seen)
    return Seen(seen)


def _found(named: str, *, recursive: bool = False) -> Found:
    try:
        return find_pictures(named, recursive=recursive)
    except StorageError:
        raise
    except OSError as error:
        raise LayoutError(unreadable(error, place(named))) from error


def _root(where: Place, found: Found, *, is_one_of_many: bool) -> tuple[Place, str]:
    """Return the folder whose folders results mirror, and the folder of results for it.

    That is the folder that was named, or the part of a glob before its first wildcard. If several
    things were named, the results of each folder are in a folder of its name.
    """
    if found.pictures == [where]:
        return where.parent, ""
    if is_folder(where) or (not glob.has_magic(str(where)) and is_folder_of_pictures(where)):
        return where, without_links(where).name if is_one_of_many else ""
    parents = (each for each in where.parents if not glob.has_magic(str(each)) or is_folder(each))
    return next(parents, where.parent), ""


def _why_not(
    picture: Place,
    where: Place,
    cell: str,
    output: OutputFolder | None,
    styles: Collection[str],
) -> str:
    """Return why a picture that was found is no content; empty if it is one."""
    if picture == where:
        return ""
    if cell in styles:
        return AS_STYLE
    if output is None:
        return ""
    seen = as_seen_from(output.root, picture)
    first, _, rest = (path_below(output.root, picture) if may_be_url(seen) else seen).partition("/")
    is_of_runs = first in ((PICTURES, *MANAGED_FOLDERS) if rest else MANAGED_FILES)
    return OF_RUNS if is_of_runs else ""


def find_styles(named: Sequence[str], folder: Place) -> tuple[list[Style], Seen]:
    """Return the styles, each once, and what was found.

    Every picture of a folder or of a glob is a style. Names that are separated by semicolons are
    blended, and there a folder is one style, as in a manifest.

    Args:
        named: paths, URLs, folders, globs, and blends, in order.
        folder: the folder of the manifest.

    Raises:
        LayoutError: no pictures are found for a name, or it cannot be read.
    """
    styles: dict[str, Style] = {}
    seen = {}
    for name in dict.fromkeys(named):
        # A name that is given without a folder is relative to the current one.
        parts = [*split_styles(place("."), name)] if SEPARATOR in name else [name]
        if len(parts) > 1:
            style = _blend(parts, folder)
            styles.setdefault(style.cell, style)
            continue
        seen[name] = _found(name)
        for picture in seen[name].pictures:
            cell = cell_of(folder, picture)
            styles.setdefault(cell, Style(cell, PurePosixPath(name_of(picture)).stem))
    _check_found(seen)
    return [*styles.values()], Seen(seen)


def _blend(parts: Sequence[str], folder: Place) -> Style:
    places = [place(part) for part in parts]
    cells = (as_seen_from(folder, each) for each in places)
    stems = [PurePosixPath(name_of(without_links(each))).stem for each in places]
    more = len(stems) - MOST_STYLES_IN_NAME
    names = [*stems[:MOST_STYLES_IN_NAME], *([f"{more} more"] if more > 0 else [])]
    return Style(harmless_path(f"{SEPARATOR} ".join(cells)), "+".join(names))


def cell_of(folder: Place, picture: Place) -> str:
    """Return the cell that names a picture in a manifest in this folder."""
    return harmless_path(as_seen_from(folder, picture))


def _check_found(seen: Mapping[str, Found], advice: str = OF_FOLDERS_BELOW) -> None:
    """Refuse names without pictures.

    Args:
        seen: what was found for each name.
        advice: what to do if the pictures are in folders below a folder; empty if they are not.
    """
    for named, found in seen.items():
        if not found.pictures:
            raise LayoutError(why_nothing(named, found, advice))
