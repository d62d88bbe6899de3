"""The row that reproduces a picture, from what the picture says about itself."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any

from nst_core.images.picture_files import DEFAULT_MAX_PIXELS, PictureError
from nst_core.images.read import examine
from nst_core.motion.flo_files import FlowError, read_flow
from nst_core.storage.files import list_files
from nst_core.storage.places import (
    Place,
    PlaceError,
    as_seen_from,
    join,
    name_of,
    path_below,
    place,
)
from nst_core.transfer.presets import resolve
from nst_core.transfer.settings import DEFAULT_ENCODER, Settings
from tasks.report.finding import NoResultsError, table_of
from tasks.report.table_row import Table
from tasks.row import FLOW, OPTIONAL
from tasks.store.csv_cells import harmless_path
from tasks.store.output_folder import PICTURES, OutputFolder
from tasks.store.output_names import nearest_output
from tasks.store.picture_folders import is_folder_of_pictures, pictures_in
from tasks.store.provenance import Provenance, StyleSource, _as_utf_8
from tasks.store.style_cells import split_styles


def cells_of(settings: Settings) -> dict[str, str]:
    """Return the cells that give a row these settings: those that differ from the default."""
    encoder = {"encoder": settings.encoder} if settings.encoder != DEFAULT_ENCODER else {}
    default = resolve(encoder)
    return encoder | {
        name: _cell(getattr(settings, name))
        for name in Settings.model_fields
        if getattr(settings, name) != getattr(default, name) and name not in settings.later_defaults
    }


def _cell(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True)
class Rebuilt:
    """The row that reproduces a picture.

    Attributes:
        cells: by column.
        lost: what is wrong with its sources; if anything, a person must correct the row.
    """

    cells: dict[str, str]
    lost: tuple[str, ...]


class Rebuilder:
    """Finder of the sources of pictures, which reads each table and file only once.

    Args:
        seen_from: the folder that paths in rows are relative to.
        look_in: folders to search, with all folders in them, for sources that are not where the
            table beside the picture says.
    """

    def __init__(self, seen_from: Place, look_in: Iterable[Place] = ()) -> None:
        self.seen_from = seen_from
        self.look_in = tuple(look_in)
        self._tables: dict[OutputFolder, Table | None] = {}
        self._digests: dict[Place, str] = {}
        self._files: list[Place] | None = None

    def rebuild(self, picture: Place, provenance: Provenance) -> Rebuilt:
        """Return the row that reproduces a picture, with its sources recognized by their pixels.

        Args:
            picture: where it is; below `pictures/`, its path there is its output.
            provenance: what the picture says.

        Raises:
            OSError: a folder cannot be read.
        """
        folder = self._pictures_folder(picture)
        output = name_of(picture) if folder is None else path_below(folder, picture)
        stated = {} if folder is None else self._stated_sources(folder, output, provenance.key)
        cells: dict[str, str] = {}
        lost: list[str] = []
        for column, sources in _sources_of(provenance).items():
            paths = [self._path(column, source, stated.get(column, []), lost) for source in sources]
            if paths:
                cells[column] = harmless_path("; ".join(paths))
        cells["output"] = harmless_path(nearest_output(output, provenance.settings.format))
        return Rebuilt({**cells, **cells_of(provenance.settings)}, tuple(lost))

    def scores(self, picture: Place, provenance: Provenance) -> dict[str, float | None]:
        """Return the scores of a picture, by column, from the table beside it.

        They are empty if no row of the table has the picture's key.
        """
        folder = self._pictures_folder(picture)
        table = self._table(OutputFolder(folder.parent)) if folder is not None else None
        row = (
            next((row for row in table.rows if row.key == provenance.key), None) if table else None
        )
        return {
            "style_score": row.style_score if row else None,
            "content_score": row.content_score if row else None,
        }

    def _path(self, column: str, source: StyleSource, stated: list[Place], lost: list[str]) -> str:
        """Return the path of a source for the row; if there is none, its name, and add why."""
        if column == FLOW:
            found = self._flow(source, stated)
        elif len(source.pictures) == 1:
            found = self._picture(source, stated)
        else:
            found = self._folder(source, stated)
        if found is None:
            of_what = "" if column == FLOW else " of its pixels"
            pixels = f"SHA-256{of_what} {source.pictures[0][:12]}..."
            if len(source.pictures) > 1:
                pixels = f"a folder of {len(source.pictures)} pictures"
            lost.append(
                f"{column}: {source.name!r} ({pixels}) was not found; name its folder with "
                "--look-in, or put its path into the row"
            )
            return source.name
        path = as_seen_from(self.seen_from, found)
        text = _as_utf_8(path)
        if text != path:
            lost.append(
                f"{column}: {text} cannot be in a manifest, which is UTF-8; rename the file"
            )
        return text

    def _picture(self, source: StyleSource, stated: list[Place]) -> Place | None:
        """Return where a picture is that has the pixels of the source."""
        of_folders = (picture for folder in stated for picture in _pictures_of_folder(folder))
        candidates = chain(stated, of_folders, self._named_first(source.name))
        return next((one for one in candidates if self._digest(one) == source.pictures[0]), None)

    def _flow(self, source: StyleSource, stated: list[Place]) -> Place | None:
        """Return where a file of optical flow is that is the source."""
        candidates = chain(stated, self._named_first(source.name))
        return next((one for one in candidates if _flow_digest(one) == source.pictures[0]), None)

    def _folder(self, source: StyleSource, stated: list[Place]) -> Place | None:
        """Return a folder whose pictures have the pixels of the source, and no other."""
        parents = dict.fromkeys(file.parent for file in self._named_first(""))
        named_first = sorted(parents, key=lambda folder: folder.name != source.name)
        for folder in chain(stated, named_first):
            pictures = _pictures_of_folder(folder)
            if len(pictures) == len(source.pictures):
                found = map(self._digest, pictures)
                if sorted(found) == sorted(source.pictures):
                    return folder
        return None

    def _pictures_folder(self, picture: Place) -> Place | None:
        """Return the pictures folder of the picture's batch, if the picture is still in it."""
        named = [folder for folder in picture.absolute().parents if folder.name == PICTURES]
        with_table = (
            folder for folder in named if self._table(OutputFolder(folder.parent)) is not None
        )
        return next(with_table, named[0] if named else None)

    def _stated_sources(self, folder: Place, output: str, key: str) -> dict[str, list[Place]]:
        """Return the places of the sources that the table states, by column."""
        table = self._table(OutputFolder(folder.parent))
        rows = [row for row in table.rows if row.key == key] if table else []
        if not table or not rows or not table.manifest:
            return {}
        row = next((row for row in rows if row.output == output), rows[0])
        return {
            "content": _beside(table.manifest, row.content),
            "style": _styles_beside(table.manifest, row.style),
            **{
                column: _beside(table.manifest, cell)
                for column in (*OPTIONAL, FLOW)
                if (cell := getattr(row, column))
            },
        }

    def _table(self, output: OutputFolder) -> Table | None:
        if output not in self._tables:
            try:
                self._tables[output] = table_of(output)
            except NoResultsError:
                self._tables[output] = None
        return self._tables[output]

    def _named_first(self, name: str) -> Iterator[Place]:
        """Yield all files of the folders, those of this name first; only pixels identify them."""
        if self._files is None:
            self._files = [
                folder / path for folder in self.look_in for path in sorted(list_files(folder))
            ]
        yield from sorted(self._files, key=lambda file: file.name != name)

    def _digest(self, candidate: Place) -> str:
        """Return the SHA-256 of a picture's pixels; empty if it is not a picture."""
        if candidate not in self._digests:
            try:
                self._digests[candidate] = examine(candidate, warn=False).sha256
            except PictureError:
                self._digests[candidate] = ""
        return self._digests[candidate]


def _flow_digest(candidate: Place) -> str:
    """Return the SHA-256 of a file of optical flow; empty if it is none."""
    try:
        return read_flow(candidate, max_pixels=DEFAULT_MAX_PIXELS).sha256
    except FlowError:
        return ""


def _sources_of(provenance: Provenance) -> dict[str, tuple[StyleSource, ...]]:
    """Return the sources of a picture by column, with the digests of pictures or of the flow."""
    pictures = {
        column: StyleSource(name=getattr(provenance, column), pictures=(sha256,))
        for column in ("content", *OPTIONAL, FLOW)
        if (sha256 := getattr(provenance, f"{column}_sha256"))
    }
    others = {column: (source,) for column, source in pictures.items()}
    return {"content": others.pop("content"), "style": provenance.all_styles, **others}


def _pictures_of_folder(folder: Place) -> list[Place]:
    """Return the pictures in a folder; none if it is no folder, or cannot be read."""
    with suppress(OSError):
        if is_folder_of_pictures(folder):
            return pictures_in(folder)
    return []


def _styles_beside(manifest: str, cell: str) -> list[Place]:
    """Return the places of the styles that a cell of a manifest names."""
    with suppress(PlaceError):
        texts = split_styles(place(manifest).parent, cell)
        return [named for text in texts for named in _beside(manifest, text)]
    return []


def _beside(manifest: str, cell: str) -> list[Place]:
    """Return the place that a cell of a manifest names, if it can be known."""
    # A signed URL has lost its key.
    with suppress(PlaceError):
        return [join(place(manifest).parent, cell)]
    return []
