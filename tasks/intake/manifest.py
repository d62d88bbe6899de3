"""Conversion of a manifest to rows, with every fault of every row found before any work."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel

from nst_core.errors import UserError
from nst_core.storage.files import read_whole
from nst_core.storage.local import read_pipe, special_kind
from nst_core.storage.near_names import unreadable
from nst_core.storage.places import Place, redacted
from nst_core.transfer.presets import Overrides, resolve
from tasks.intake.layout.kept import is_laid_out
from tasks.intake.outputs import with_outputs
from tasks.intake.rows import COLUMNS, Cells, check_layers, read_row
from tasks.intake.sheets.hints import header_hint
from tasks.intake.sheets.read import Sheet, SheetError, name_of_column, read_sheet
from tasks.intake.styles import with_style_folders
from tasks.row import REQUIRED, Row
from tasks.store.csv_cells import Record
from tasks.store.managed import ManagedPlaces
from tasks.store.output_folder import OutputFolder


class ManifestError(UserError):
    """A manifest of which no row can be used; the message says what to do."""


@dataclass(frozen=True)
class Manifest:
    """A manifest that was read.

    Attributes:
        rows: its rows, in order.
        understood: how its file was read, such as `night.csv: read as UTF-16, separated by tabs`;
            empty if it has the plain form, which is UTF-8 with commas.
    """

    rows: list[Row]
    understood: str


def read_manifest(path: Place, defaults: BaseModel | None = None) -> list[Row]:
    """Return every row of a manifest; see `understand_manifest`."""
    return understand_manifest(path, defaults).rows


def understand_manifest(path: Place, defaults: BaseModel | None = None) -> Manifest:
    """Return every row of a manifest, in order, with the faults that its text alone shows.

    Args:
        path: a file with the columns `content` and `style` and, if wanted, `output`, `preset` and
            any setting, or a pipe that gives one. An empty cell means the default. Whatever
            spreadsheets write is accepted: CSV with commas, semicolons or tabs, in UTF-8 or UTF-16,
            with decimal commas where commas do not separate cells; XLSX and Parquet; a first
            column of numbers, blank rows, more empty cells than the header has. Folders that are
            named as styles are listed.
        defaults: `Overrides` for all rows; a row's own cells take precedence.

    Raises:
        ManifestError: there is no file, it cannot be read as any of these, a column is missing or
            appears twice, or there is no row at all.
    """
    defaults = defaults or Overrides()
    _check_defaults(path, defaults)
    is_pipe = special_kind(path) == "a pipe"
    # Paths from a pipe are relative to the folder in which both its writer and this process run.
    folder = Path.cwd() if is_pipe else path.parent
    data = _read_bytes(path, is_pipe)
    return _understood(path, data, folder, defaults, is_laid_out=is_laid_out(path, data))


def manifest_of(path: Place, text: str) -> Manifest:
    """Return the manifest that is laid out with this text, and will be at this place.

    Raises:
        ManifestError: as in `understand_manifest`.
    """
    return _understood(path, text.encode(), path.parent, Overrides(), is_laid_out=True)


def _understood(
    path: Place, data: bytes, folder: Place, defaults: BaseModel, *, is_laid_out: bool
) -> Manifest:
    sheet, columns = _read_table(path, data)
    cells = [_cells_of(record, columns, sheet.separator) for record in sheet.rows[1:]]
    if any(each.has_decimal_commas for each in cells):
        sheet = sheet.with_detail("with decimal commas")
    rows = [replace(read_row(folder, each, defaults), is_laid_out=is_laid_out) for each in cells]
    return Manifest(
        rows=with_style_folders(with_outputs(rows)),
        understood=f"{redacted(path)}: {sheet.understood}" if sheet.understood else "",
    )


def _read_table(path: Place, data: bytes) -> tuple[Sheet, list[str]]:
    """Return the rows of a file, of which there is at least one, and the names of its columns."""
    try:
        sheet = read_sheet(data, _is_header)
    except SheetError as error:
        raise ManifestError(f"{redacted(path)}: {error}") from error
    if not sheet.rows:
        raise ManifestError(
            f"{redacted(path)}: there is nothing in the file; expected the header "
            "'content,style' and one row per picture"
        )
    header, *rows = sheet.rows
    columns = list(map(_column, header.cells))
    _check_header(path, header.line, columns)
    if not rows:
        raise ManifestError(
            f"{redacted(path)}: there is nothing below the header; expected one row per picture"
        )
    return sheet, columns


def _read_bytes(path: Place, is_pipe: bool) -> bytes:
    try:
        return read_pipe(path) if is_pipe else read_whole(path)
    except OSError as error:
        raise ManifestError(unreadable(error, path)) from error


def _column(name: str) -> str:
    """Return our name for a column, however a spreadsheet writes it; other names are unchanged."""
    seen = name_of_column(name)
    return seen.lower() if seen.lower() in COLUMNS else seen


def _is_header(cells: Sequence[str]) -> bool:
    return set(REQUIRED) <= set(map(_column, cells))


def _check_header(path: Place, line: int, columns: list[str]) -> None:
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        # Without a header, this is the first row, and may be a URL that was cut at its commas.
        found = redacted(",".join(filter(None, columns))).replace(",", ", ")[:300]
        hint = header_hint(columns, _is_header)
        hint = f"; {redacted(hint)}" if hint else ""
        raise ManifestError(
            f"{redacted(path)}, line {line}: there is no column {' and '.join(missing)}; found the "
            f"columns {found or 'none'}; expected the columns content and style, and any of "
            f"output, preset, size, ..., separated by commas, semicolons or tabs{hint}"
        )
    twice = [name for name, count in Counter(filter(None, columns)).items() if count > 1]
    if twice:
        raise ManifestError(
            f"{redacted(path)}, line {line}: column {redacted(twice[0])} appears twice; remove one"
        )


def _check_defaults(path: Place, defaults: BaseModel) -> None:
    faults = check_layers(0, resolve(defaults), {})
    if faults:
        raise ManifestError(
            f"{redacted(path)}: it was not read, because the settings for the batch are wrong: "
            + "; ".join(f"{fault.column}: {fault.expected}" for fault in faults)
        )


def _cells_of(record: Record, columns: list[str], separator: str) -> Cells:
    named = dict(zip(columns, record.cells, strict=False))
    nameless = [text for name, text in zip(columns, record.cells, strict=False) if not name]
    nameless = [*nameless, *record.cells[len(columns) :]]
    texts = named | {"": ",".join(nameless) if any(map(str.strip, nameless)) else ""}
    filled = {name: text for name, text in texts.items() if text.strip()}
    return Cells(record.line, filled, separator)


def check_manifest_place(manifest: Place, output: OutputFolder) -> None:
    """Refuse a manifest that is in a place where runs write.

    Raises:
        ManifestError: the manifest is in such a place.
    """
    if name := ManagedPlaces(output).name_at(manifest):
        raise ManifestError(
            f"{redacted(manifest)}: runs replace and remove files in {output}/{name} and "
            "would overwrite the manifest; move it, or choose another output folder"
        )


def check_manifest_kind(manifest: Place) -> None:
    """Refuse a manifest that can be read only once: a run reads it again, and so does the next run.

    Raises:
        ManifestError: it is a pipe.
    """
    if special_kind(manifest) == "a pipe":
        raise ManifestError(
            f"{redacted(manifest)}: this is a pipe, which can be read only once; expected a file. "
            "Save its text as a file first (only check and plan read pipes)"
        )
