"""Conversion of a manifest to rows, with every fault of every row found before any work."""

import hashlib
import json
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel

from nst_core.errors import UserError
from nst_core.storage.files import read_whole, special_kind
from nst_core.storage.places import Place, name_of, redacted, without_links
from nst_core.transfer.settings import Overrides, resolve
from tasks.intake.faults import as_fault
from tasks.intake.rows import COLUMNS, Cells, check_layers, read_row
from tasks.row import REQUIRED, Fault, Row
from tasks.store.csv_cells import CsvError, Record, read_records
from tasks.store.layout import picture_path
from tasks.store.managed import ManagedPlaces
from tasks.store.output_names import Unnamed, as_one_file, choose_outputs, places_of

LONGEST_PATH = 4096
"""The longest path in bytes, if the system does not say."""

ROOM_IN_PATHS = 80
"""Bytes of a path that are reserved for files beside a picture, such as its intermediates."""


class ManifestError(UserError):
    """A manifest of which no row can be used; the message says what to do."""


def read_manifest(path: Place, defaults: BaseModel | None = None) -> list[Row]:
    """Return every row of a CSV manifest, in order, with the faults that its text alone shows.

    Args:
        path: a UTF-8 CSV file with the columns `content` and `style` and, if wanted, `output`,
            `preset` and any setting, or a pipe that gives one. An empty cell means the default.
            Whatever spreadsheets write is accepted: byte order marks, CRLF, quoted cells,
            semicolons or tabs between cells, an unnamed first column of numbers, more empty cells
            than the header has.
        defaults: `Overrides` for all rows; a row's own cells take precedence.

    Raises:
        ManifestError: there is no file, it is not UTF-8 or not CSV, a column is missing or appears
            twice, or there is no row at all.
    """
    defaults = defaults or Overrides()
    _check_defaults(path, defaults)
    is_pipe = isinstance(path, Path) and special_kind(path) == "a pipe"
    columns, records = _read_table(path, is_pipe)
    has_index = _has_index(columns, records)
    # Paths from a pipe are relative to the folder in which both its writer and we run.
    folder = Path.cwd() if is_pipe else path.parent
    rows = [read_row(folder, _cells_of(record, columns, has_index), defaults) for record in records]
    return _with_outputs(rows)


def _read_table(path: Place, is_pipe: bool) -> tuple[list[str], list[Record]]:
    """Return the names of the columns, and the rows below them, of which there is at least one."""
    try:
        records = read_records(_read_text(path, is_pipe), _is_header)
    except CsvError as error:
        raise ManifestError(f"{redacted(path)}, {error}") from error
    if not records:
        raise ManifestError(
            f"{redacted(path)}: not a CSV file, as there is nothing in it; expected the header "
            "'content,style' and one row per picture"
        )
    columns = [_column(name) for name in records[0].cells]
    _check_header(path, records[0].line, columns)
    if not records[1:]:
        raise ManifestError(
            f"{redacted(path)}: nothing below the header; expected one row per picture"
        )
    return columns, records[1:]


def _read_text(path: Place, is_pipe: bool) -> str:
    try:
        data = path.read_bytes() if is_pipe else read_whole(path)
        return data.decode("utf-8-sig")
    except OSError as error:
        raise ManifestError(
            f"{redacted(path)}: cannot be read: {error.strerror or error}"
        ) from error
    except UnicodeDecodeError as error:
        raise ManifestError(
            f"{redacted(path)}: byte {error.start} is not UTF-8; save the manifest as 'CSV UTF-8'"
        ) from error


def _column(name: str) -> str:
    """Return our name for a column, however a spreadsheet writes it; keep other names."""
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
        # Without a header, this is the first row, and may be an address that was cut at its commas.
        found = redacted(",".join(filter(None, columns))).replace(",", ", ")[:300]
        raise ManifestError(
            f"{redacted(path)}, line {line}: no column {' and '.join(missing)}; found the columns "
            f"{found or 'none'}; expected 'content,style', separated by commas, and any of "
            "output, preset, size, ..."
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
            f"{redacted(path)}: not read, because the settings for the batch are wrong: "
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


def _with_outputs(rows: list[Row]) -> list[Row]:
    """Give outputs to rows that name none, and refuse outputs that are named twice.

    Rows with faults take the names that the others leave, so that no other row's result changes.
    """
    good, bad = (
        [row for row in rows if bool(row.faults) == at_fault] for at_fault in (False, True)
    )
    first = _first_lines([*good, *bad])
    taken = {place for row in good if row.output for place in places_of(row.output)}
    outputs: dict[str, str] = {}
    for group in (good, bad):
        unnamed = {_digest(row.cells): row for row in group if not row.output}
        chosen = choose_outputs([_unnamed(*each) for each in unnamed.items()], taken)
        outputs |= dict(zip(unnamed, chosen, strict=True))
        taken |= set(map(as_one_file, chosen))
    folders = {place for row in good for place in list(places_of(row.output))[1:]}
    named = (row.output or outputs[_digest(row.cells)] for row in rows)
    return [
        replace(row, output=output).with_faults(_output_faults(row, output, first, folders))
        for row, output in zip(rows, named, strict=True)
    ]


def _first_lines(rows: Iterable[Row]) -> dict[str, int]:
    """Return, by what rows claim, the line of the row that gets it."""
    first: dict[str, int] = {}
    for row in rows:
        first.setdefault(_claim(row), row.line)
    return first


def _claim(row: Row) -> str:
    """Return what no two rows may share: the output, or all of the row's text if it names none."""
    return as_one_file(row.output) if row.output else f"/{_digest(row.cells)}"


def _output_faults(
    row: Row, output: str, first_lines: Mapping[str, int], folders: set[str]
) -> Iterator[Fault]:
    found, first = row.cell("output"), first_lines[_claim(row)]
    wrong = ""
    if first != row.line and row.output:
        wrong = f"line {first} has the output {output!r} too; give the rows different outputs"
    elif first != row.line:
        wrong = f"line {first} says the same; remove one, or give them different outputs"
    elif as_one_file(output) in folders:
        wrong = f"{output!r} is a folder in the output of another row; choose another output"
    if wrong:
        yield Fault(row.line, "output", found, wrong)


def _unnamed(digest: str, row: Row) -> Unnamed:
    return Unnamed(name_of(row.content), name_of(row.style), digest)


def _digest(cells: Mapping[str, str]) -> str:
    """Return digits that depend only on what the row says, so that its name never changes."""
    return hashlib.sha256(json.dumps(cells, sort_keys=True).encode()).hexdigest()


def check_places(rows: Iterable[Row], output: Place) -> list[Row]:
    """Refuse results that would replace a picture that is read, or a folder.

    Args:
        rows: the rows of a manifest.
        output: the output folder; it need not exist.
    """
    rows = list(rows)
    sources = {
        without_links(path)
        for row in rows
        for column, path in (("content", row.content), ("style", row.style))
        if column in row.cells
    }
    limits = PathLimits.of(output) if isinstance(output, Path) else None
    managed = ManagedPlaces(output)
    return [
        row.with_faults(_faults_of_places(row, output, sources, limits, managed)) for row in rows
    ]


def check_manifest_place(manifest: Place, output: Place) -> None:
    """Refuse a manifest that is in a place where runs write.

    Raises:
        ManifestError: it is.
    """
    if name := ManagedPlaces(output).name_at(manifest):
        raise ManifestError(
            f"{redacted(manifest)}: runs replace and remove files in {redacted(output / name)} and "
            "would overwrite the manifest; keep it elsewhere, or choose another output folder"
        )


def check_manifest_kind(manifest: Place) -> None:
    """Refuse a manifest that can be read only once: a run reads it again, and so does the next run.

    Raises:
        ManifestError: it is a pipe.
    """
    if isinstance(manifest, Path) and special_kind(manifest) == "a pipe":
        raise ManifestError(
            f"{redacted(manifest)}: this is a pipe, which can be read only once; expected a file. "
            "Save it as a file first (check and plan read pipes)"
        )


class PathLimits(NamedTuple):
    """The longest path, and the longest name in a path, in bytes."""

    path: int
    name: int

    @classmethod
    def of(cls, folder: Path) -> "PathLimits":
        """Return the limits of the file system where the folder is, or will be."""
        for place in (folder.absolute(), *folder.absolute().parents):
            try:
                return cls(os.pathconf(place, "PC_PATH_MAX"), os.pathconf(place, "PC_NAME_MAX"))
            except OSError:
                # The folder does not exist yet.
                continue
        return cls(LONGEST_PATH, 255)


def _faults_of_places(
    row: Row,
    output: Place,
    sources: set[Place],
    limits: PathLimits | None,
    managed: ManagedPlaces,
) -> list[Fault]:
    faults: list[Fault] = []
    with as_fault(faults, row.line, "output", row.cell("output")):
        faults += _length_faults(row, output, limits)
        faults += [] if faults else _place_faults(row, output, sources)
    for column, source in (("content", row.content), ("style", row.style)):
        with as_fault(faults, row.line, column, row.cell(column)):
            if column in row.cells and (name := managed.name_at(source)):
                wrong = (
                    f"runs replace and remove files in {redacted(output / name)}; keep it "
                    "elsewhere, or choose another output folder"
                )
                faults.append(Fault(row.line, column, row.cells[column], wrong))
    return faults


def _length_faults(row: Row, output: Place, limits: PathLimits | None) -> Iterator[Fault]:
    if limits is None:
        return
    path = os.fsencode(str(picture_path(output, row.output).absolute()))
    longest = max(map(len, path.split(b"/")))
    wrong = ""
    if len(path) + ROOM_IN_PATHS > limits.path:
        most = limits.path - ROOM_IN_PATHS
        wrong = f"its path would have {len(path)} bytes, and at most {most} are possible here"
    elif longest > limits.name:
        wrong = f"it has a name of {longest} bytes, and at most {limits.name} are possible here"
    if wrong:
        wrong += "; choose a shorter output, or another output folder"
        yield Fault(row.line, "output", row.cell("output"), wrong)


def _place_faults(row: Row, output: Place, sources: set[Place]) -> Iterator[Fault]:
    place, found = picture_path(output, row.output), row.cell("output")
    if without_links(place) in sources:
        wrong = f"the result {row.output!r} would overwrite a picture that is read"
        yield Fault(
            row.line, "output", found, f"{wrong}; choose another output, or another output folder"
        )
    # In object storage a folder and an object may have the same name.
    elif isinstance(place, Path) and place.is_dir():
        wrong = f"the result {row.output!r} is a folder; choose another output"
        yield Fault(row.line, "output", found, wrong)
