"""Conversion of a manifest to rows, with every fault of every row found before any work."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import BaseModel

from nst_core.errors import UserError
from nst_core.storage.files import read_whole
from nst_core.storage.local import read_pipe, special_kind
from nst_core.storage.places import Place, redacted
from nst_core.transfer.presets import Overrides, resolve
from tasks.intake.outputs import with_outputs
from tasks.intake.rows import COLUMNS, Cells, check_layers, read_row
from tasks.intake.styles import with_style_folders
from tasks.row import REQUIRED, Row
from tasks.store.csv_cells import CsvError, Record, read_records
from tasks.store.managed import ManagedPlaces
from tasks.store.output_folder import OutputFolder


class ManifestError(UserError):
    """A manifest of which no row can be used; the message says what to do."""


def read_manifest(path: Place, defaults: BaseModel | None = None) -> list[Row]:
    """Return every row of a CSV manifest, in order, with the faults that its text alone shows.

    Args:
        path: a UTF-8 CSV file with the columns `content` and `style` and, if wanted, `output`,
            `preset` and any setting, or a pipe that gives one. An empty cell means the default.
            Whatever spreadsheets write is accepted: byte order marks, CRLF, quoted cells,
            semicolons or tabs between cells, an unnamed first column of numbers, more empty cells
            than the header has. Folders that are named as styles are listed.
        defaults: `Overrides` for all rows; a row's own cells take precedence.

    Raises:
        ManifestError: there is no file, it is not UTF-8 or not CSV, a column is missing or appears
            twice, or there is no row at all.
    """
    defaults = defaults or Overrides()
    _check_defaults(path, defaults)
    is_pipe = special_kind(path) == "a pipe"
    # Paths from a pipe are relative to the folder in which both its writer and this process run.
    folder = Path.cwd() if is_pipe else path.parent
    return _rows(path, _read_text(path, is_pipe), folder, defaults)


def rows_of(path: Place, text: str) -> list[Row]:
    """Return the rows that a manifest with this text would have at this place.

    Raises:
        ManifestError: as in `read_manifest`.
    """
    return _rows(path, text, path.parent, Overrides())


def _rows(path: Place, text: str, folder: Place, defaults: BaseModel) -> list[Row]:
    columns, records = _read_table(path, text)
    has_index = _has_index(columns, records)
    rows = [read_row(folder, _cells_of(record, columns, has_index), defaults) for record in records]
    return with_style_folders(with_outputs(rows))


def _read_table(path: Place, text: str) -> tuple[list[str], list[Record]]:
    """Return the names of the columns, and the rows below them, of which there is at least one."""
    try:
        records = read_records(text, _is_header)
    except CsvError as error:
        raise ManifestError(f"{redacted(path)}, {error}") from error
    if not records:
        raise ManifestError(
            f"{redacted(path)}: there is nothing in the file; expected the header "
            "'content,style' and one row per picture"
        )
    columns = [_column(name) for name in records[0].cells]
    _check_header(path, records[0].line, columns)
    if not records[1:]:
        raise ManifestError(
            f"{redacted(path)}: there is nothing below the header; expected one row per picture"
        )
    return columns, records[1:]


def _read_text(path: Place, is_pipe: bool) -> str:
    try:
        data = read_pipe(path) if is_pipe else read_whole(path)
        return data.decode("utf-8-sig")
    except OSError as error:
        raise ManifestError(
            f"{redacted(path)}: cannot be read: {error.strerror or error}; check "
            "the path and its permissions"
        ) from error
    except UnicodeDecodeError as error:
        raise ManifestError(
            f"{redacted(path)}: byte {error.start} is not UTF-8; save the manifest as 'CSV UTF-8'"
        ) from error


def _column(name: str) -> str:
    """Return our name for a column, however a spreadsheet writes it; other names are unchanged."""
    seen = "".join(each for each in name if unicodedata.category(each) != "Cf").strip()
    if re.fullmatch(r"Unnamed: \d+", seen):
        # This is the name that pandas gives to a column without one.
        return ""
    return seen.lower() if seen.lower() in COLUMNS else seen


def _is_header(cells: Sequence[str]) -> bool:
    return set(REQUIRED) <= set(map(_column, cells))


def _check_header(path: Place, line: int, columns: list[str]) -> None:
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        # Without a header, this is the first row, and may be a URL that was cut at its commas.
        found = redacted(",".join(filter(None, columns))).replace(",", ", ")[:300]
        raise ManifestError(
            f"{redacted(path)}, line {line}: there is no column {' and '.join(missing)}; found the "
            f"columns {found or 'none'}; expected the columns content and style, and any of "
            "output, preset, size, ..., separated by commas"
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


def _has_index(columns: list[str], records: Iterable[Record]) -> bool:
    """Return whether the first column only numbers the rows, as in spreadsheets and data frames."""
    return not columns[0] and all(
        not text or text.isdecimal() for text in (record.cells[0].strip() for record in records)
    )


def _cells_of(record: Record, columns: list[str], has_index: bool) -> Cells:
    named = dict(zip(columns, record.cells, strict=False))
    nameless = [text for name, text in zip(columns, record.cells, strict=False) if not name]
    nameless = [*nameless[has_index:], *record.cells[len(columns) :]]
    texts = named | {"": ",".join(nameless) if any(map(str.strip, nameless)) else ""}
    return Cells(record.line, {name: text for name, text in texts.items() if text.strip()})


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
