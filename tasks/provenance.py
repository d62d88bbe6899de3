"""How a picture was made: written into it, and read back as the row that makes it again."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Self

import pandas as pd
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from nst_core.files import names_below
from nst_core.pictures import PictureError, examine, read_png_text
from nst_core.places import Place, PlaceError, as_seen_from, join, name_of, place, told
from nst_core.settings import DEFAULT_ENCODER, Settings, resolve
from tasks.layout import PICTURES
from tasks.summary import read_summary

KEYWORD = "nst-batch"
"""Of the PNG text chunk."""


Name = Annotated[
    str, BeforeValidator(lambda name: name.encode("utf-8", "backslashreplace").decode())
]
"""A file name, which may hold what is not text."""


class ProvenanceError(ValueError):
    """A picture that does not say how it was made; the message says what to do."""


class Provenance(BaseModel):
    """What a picture says of itself.

    Attributes:
        key: of its row.
        content, style: the file names of its sources, without their folders, since pictures are
            given away.
        content_sha256, style_sha256: of their decoded content.
        style_layers: relative losses by layer.
    """

    model_config = ConfigDict(frozen=True)

    key: str
    content: Name
    content_sha256: str
    style: Name
    style_sha256: str
    settings: Settings
    seed: int
    encoder_fingerprint: str
    total_loss: float
    content_loss: float
    style_loss: float
    tv_loss: float
    style_layers: dict[str, float]
    start_loss: float
    steps: int
    evaluations: int
    stop_reason: str
    recoveries: int

    @classmethod
    def of(cls, picture: Place) -> Self:
        """What a picture says.

        Raises:
            PictureError: it is missing, damaged or not a PNG.
            ProvenanceError: it says nothing, or what this version does not understand.
        """
        text = read_png_text(picture).get(KEYWORD)
        if text is None:
            raise ProvenanceError(
                f"{told(picture)}: found nothing of how it was made; expected a result of "
                "nst-batch, as it was written (editors drop what they do not know; intermediates "
                "and interrupted pictures have none)"
            )
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            fault = error.errors()[0]
            where = ".".join(map(str, fault["loc"])) or KEYWORD
            raise ProvenanceError(
                f"{told(picture)}: {where}: {fault['msg']}; it was made by another version of "
                "nst-batch"
            ) from error

    def to_text(self) -> str:
        """As it stands in the picture."""
        return self.model_dump_json()


def cells_of(settings: Settings) -> dict[str, str]:
    """The cells by which a row has these settings: those in which it differs from a row without."""
    encoder = {"encoder": settings.encoder} if settings.encoder != DEFAULT_ENCODER else {}
    default = resolve(encoder)
    return encoder | {
        name: _cell(getattr(settings, name))
        for name in Settings.model_fields
        if getattr(settings, name) != getattr(default, name)
    }


def _cell(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True)
class Rebuilt:
    """The row that makes a picture again.

    Attributes:
        cells: by column.
        lost: what could not be found of its sources; where there is any, the row needs its reader.
    """

    cells: dict[str, str]
    lost: tuple[str, ...]


def rebuild(
    picture: Place, provenance: Provenance, seen_from: Place, look_in: Sequence[Place]
) -> Rebuilt:
    """The manifest row that makes a picture again, its sources found by what they show.

    They are looked for where the table beside the picture says, then in the folders.

    Args:
        picture: where it is; below `pictures/` its place there is its output.
        provenance: what it says.
        seen_from: the folder that paths are relative to.
        look_in: folders, with all folders in them.
    """
    output = _output_folder(picture)
    row = _row_of(picture, provenance, output)
    cells, lost = {}, []
    for column, name, sha256 in (
        ("content", provenance.content, provenance.content_sha256),
        ("style", provenance.style, provenance.style_sha256),
    ):
        candidates = [*_as_the_table_says(row, column), *_in_folders(look_in, name)]
        found = next((there for there in candidates if _is(there, sha256)), None)
        cells[column] = name if found is None else as_seen_from(seen_from, found)
        if found is None:
            lost.append(f"{column}: {name!r} (SHA-256 of its pixels {sha256[:12]}...) is not found")
    name = name_of(picture)
    if output is not None:
        name = as_seen_from(output / PICTURES, picture)
    return Rebuilt({**cells, "output": name, **cells_of(provenance.settings)}, tuple(lost))


def _output_folder(picture: Place) -> Place | None:
    """That of the batch that the picture belongs to, if it still lies there."""
    parents = picture.absolute().parents
    return next((folder.parent for folder in parents if folder.name == PICTURES), None)


def _row_of(
    picture: Place, provenance: Provenance, output: Place | None
) -> "pd.Series[Any] | None":
    """The row of the table that the picture is of; the manifest's place is in its `attrs`."""
    if output is None:
        return None
    try:
        table = read_summary(output)
    except (OSError, ValueError):
        return None
    if not {"key", "content", "style", "output"} <= set(table.columns):
        return None
    rows = table[table["key"] == provenance.key]
    named = rows[rows["output"] == as_seen_from(output / PICTURES, picture)]
    rows = pd.concat([named, rows])
    return None if rows.empty else rows.iloc[0]


def _as_the_table_says(row: "pd.Series[Any] | None", column: str) -> Iterator[Place]:
    manifest = None if row is None else row.attrs.get("manifest")
    if row is not None and manifest:
        try:
            yield join(place(manifest).parent, row[column])
        except PlaceError:
            return


def _in_folders(folders: Iterable[Place], name: str) -> Iterator[Place]:
    """All files, those of the name first, as only what they show tells them apart."""
    for folder in folders:
        found = sorted(
            names_below(folder), key=lambda path: (path.rpartition("/")[2] != name, path)
        )
        yield from (folder / path for path in found)


def _is(candidate: Place, sha256: str) -> bool:
    try:
        return examine(candidate).sha256 == sha256
    except PictureError:
        return False
