"""Pictures that arrive in folders: which of them are whole, from two looks at them."""

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from nst_core.storage.files import listing_of, stat
from nst_core.storage.local import on_disk, written_at
from nst_core.storage.places import Place, path_below
from tasks.intake.layout.layout import Layout
from tasks.intake.layout.pictures import find_contents
from tasks.store.output_folder import OutputFolder
from tasks.store.picture_folders import Found


class Facts(NamedTuple):
    """What changes while a file is written, without reading it.

    Attributes:
        size: in bytes.
        written_at: when it was last written; None if the storage does not say so.
    """

    size: int
    written_at: float | None


Look = Mapping[str, Facts]
"""What is known about each picture at a moment, by its place as text."""


def look(
    layout: Layout, folder: Place, output: OutputFolder, styles: Collection[str]
) -> dict[str, Facts]:
    """Look at all contents of a layout; there need be none.

    Args:
        layout: what is laid out.
        folder: the folder of the manifest.
        output: the output folder, whose results are no contents.
        styles: cells of styles, which are no contents of the folders that they are in.

    Raises:
        LayoutError: a folder is not there, or cannot be read.
        StorageError: a storage does not answer.
    """
    _, seen = find_contents(
        layout.contents,
        folder,
        recursive=layout.recursive,
        output=output,
        styles=styles,
        may_be_none=True,
    )
    facts: dict[str, Facts] = {}
    for name, found in seen.found.items():
        root = seen.roots[name]
        facts |= dict(_facts(found) if on_disk(root) else _listed(found, root))
    return facts


def _facts(found: Found) -> Iterator[tuple[str, Facts]]:
    for picture in found.pictures:
        try:
            yield str(picture), Facts(stat(picture).size, written_at(picture))
        except OSError:
            # It is gone again.
            continue


def _listed(found: Found, root: Place) -> Iterator[tuple[str, Facts]]:
    """Yield the facts of objects from one listing, because each object would be a request."""
    listing = listing_of(root)
    for picture in found.pictures:
        if listed := listing.get(path_below(root, picture)):
            yield str(picture), Facts(*listed)


def whole(now: Look, before: Look) -> Look:
    """Return the pictures that did not change since an earlier look, and are not empty."""
    return {
        named: facts for named, facts in now.items() if facts.size and before.get(named) == facts
    }
