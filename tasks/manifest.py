"""A manifest -> rows, with every fault of every row found before any work."""

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd
from pydantic import BaseModel, ValidationError

from nst_core.files import read_whole
from nst_core.networks import CATALOGUE
from nst_core.places import Place, PlaceError, join, name_of, resolved, told, without_secrets
from nst_core.settings import Overrides, Settings, resolve
from tasks.layout import contact_sheet_path, interrupted_path, picture_path, summary_path

REQUIRED = ("content", "style")
COLUMNS = (*REQUIRED, "output", *Overrides.model_fields)
OTHER_FORMATS = (".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif")
LONGEST_STEM = 80
LONGEST_NAME = 200
"""In bytes; file systems allow 255, of which what is put around a name takes some."""


class ManifestError(Exception):
    """A manifest of which no row can be used; the message says what to do."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: where, what was found and what is allowed."""

    line: int
    column: str
    found: str
    expected: str

    def __post_init__(self) -> None:
        """Leave out what is secret in addresses, in whatever column they stand."""
        for name in ("found", "expected"):
            object.__setattr__(self, name, without_secrets(getattr(self, name)))

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.found}; {self.expected}"


@dataclass(frozen=True)
class Row:
    """A row as its manifest has it.

    Attributes:
        line: where the row starts in the file; the header is line 1.
        cells: the text of its cells that are not empty, by column.
        content, style: where the pictures are; relative paths are taken from the manifest's folder.
        output: where the picture goes below `pictures/`, with `/` between folders and `.png`.
        settings: what the preset, the batch and the row say together; the default where at fault.
        faults: empty where the row can run.
    """

    line: int
    cells: Mapping[str, str]
    content: Place
    style: Place
    output: str
    settings: Settings
    faults: tuple[Fault, ...] = ()

    def with_faults(self, faults: Iterable[Fault]) -> "Row":
        """The row with more that is wrong with it."""
        return replace(self, faults=(*self.faults, *faults))

    def has_fault_in(self, column: str) -> bool:
        """Whether something is wrong with that cell."""
        return any(fault.column == column for fault in self.faults)

    def cell(self, column: str) -> str:
        """A cell's text as it may be shown."""
        return without_secrets(self.cells.get(column, ""))


def read_manifest(path: Place, defaults: BaseModel | None = None) -> list[Row]:
    """Every row of a CSV manifest, in order, with the faults that its text alone shows.

    Args:
        path: a UTF-8 CSV file (byte order mark, CRLF and quoted cells included) with the columns
            `content` and `style` and, if wanted, `output`, `preset` and any setting. An empty
            cell is the default.
        defaults: `Overrides` for all rows; a row's own cells go before them.

    Raises:
        ManifestError: no file, not UTF-8, not CSV, a column missing or twice, or no row at all.
    """
    defaults = defaults or Overrides()
    _check_defaults(path, defaults)
    table = _read_table(path)
    header = [str(name).strip() for name in table.iloc[0]]
    _check_header(path, header)
    rows = [
        _read_row(path.parent, line, cells, defaults)
        for line, cells in _numbered_cells(table, header)
        if cells
    ]
    if not rows:
        raise ManifestError(f"{told(path)}: nothing below the header; expected one row a picture")
    return _check_outputs([_with_default_output(row) for row in rows])


def _read_table(path: Place) -> pd.DataFrame:
    """All cells as text, the header as the first row; cells beyond it are joined in one more."""
    options: dict[str, Any] = {
        "header": None,
        "dtype": str,
        "keep_default_na": False,
        "skip_blank_lines": False,
        "engine": "python",
    }
    try:
        text = read_whole(path).decode("utf-8-sig")
        _check_quotes(path, text)
        width = pd.read_csv(io.StringIO(text, newline=""), nrows=1, **options).shape[1]
        table: pd.DataFrame = pd.read_csv(
            io.StringIO(text, newline=""),
            names=list(range(width + 1)),
            index_col=False,
            on_bad_lines=lambda cells: [*cells[:width], ",".join(cells[width:])],
            **options,
        )
        return table.fillna("")
    except OSError as error:
        raise ManifestError(f"{told(path)}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ManifestError(
            f"{told(path)}: byte {error.start} is not UTF-8; save the manifest as 'CSV UTF-8'"
        ) from error
    except (pd.errors.EmptyDataError, pd.errors.ParserError, ValueError) as error:
        raise ManifestError(
            f"{told(path)}: not a CSV file ({str(error).strip()}); expected the header "
            "'content,style' and one row a picture"
        ) from error


def _check_quotes(path: Place, text: str) -> None:
    """Refuse what pandas would read as fewer rows, without a word, where cells may be too many."""
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for _ in rows:
            line = rows.line_num + 1
    except csv.Error as error:
        raise ManifestError(
            f"{told(path)}, line {line}: {error}; expected a quote at both ends of the cell, and "
            'any quote within written twice ("")'
        ) from error


def _check_header(path: Place, header: list[str]) -> None:
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        raise ManifestError(
            f"{told(path)}, line 1: no column {' and '.join(missing)}; found the columns "
            f"{', '.join(filter(None, header)) or 'none'}; expected 'content,style', separated by "
            "commas, and any of output, preset, size, ..."
        )
    twice = [name for name, count in Counter(filter(None, header)).items() if count > 1]
    if twice:
        raise ManifestError(
            f"{told(path)}, line 1: column {twice[0]} stands there twice; remove one"
        )


def _check_defaults(path: Place, defaults: BaseModel) -> None:
    faults = _check_layers(0, resolve(defaults))
    if faults:
        raise ManifestError(
            f"{told(path)}: not read, as the settings for all rows are at fault: "
            + "; ".join(f"{fault.column}: {fault.expected}" for fault in faults)
        )


def _numbered_cells(table: pd.DataFrame, header: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Each row's first line in the file, and its cells that are not empty."""
    line = 1
    for number, values in enumerate(table.itertuples(index=False)):
        if number > 0:
            cells = zip(header, map(str.strip, values), strict=True)
            yield line, {name: text for name, text in cells if text}
        line += 1 + sum(text.count("\n") for text in values)


def _read_row(
    folder: Place,
    line: int,
    cells: dict[str, str],
    defaults: BaseModel,
) -> Row:
    settings, faults = _read_settings(line, cells, defaults)
    faults += [_unknown_column(line, name, cells) for name in cells if name not in COLUMNS]
    faults += [
        Fault(line, name, "nothing", "expected the path of a picture")
        for name in REQUIRED
        if name not in cells
    ]
    content, content_faults = _read_place(line, folder, "content", cells)
    style, style_faults = _read_place(line, folder, "style", cells)
    output, output_faults = _read_output(line, cells.get("output", ""))
    return Row(
        line=line,
        cells=cells,
        content=content,
        style=style,
        output=output,
        settings=settings,
        faults=(*faults, *content_faults, *style_faults, *output_faults),
    )


def _read_place(
    line: int, folder: Place, column: str, cells: Mapping[str, str]
) -> tuple[Place, list[Fault]]:
    """Where a picture is; the folder itself where the cell does not say."""
    try:
        return join(folder, cells.get(column, "")), []
    except PlaceError as error:
        return folder, [Fault(line, column, f"found {cells[column]!r}", str(error))]


def _unknown_column(line: int, name: str, cells: Mapping[str, str]) -> Fault:
    if not name:
        # An address with a comma in it, unquoted, may have its key in the cell beyond.
        has_address = any("://" in text for text in cells.values())
        found = "a cell too many" if has_address else f"found {cells[name]!r}"
        return Fault(line, "(no name)", found, "the header has no name for this cell")
    near = get_close_matches(name, COLUMNS, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(COLUMNS)}"
    return Fault(line, name, "unknown column", hint)


def _read_settings(
    line: int, cells: Mapping[str, str], defaults: BaseModel
) -> tuple[Settings, list[Fault]]:
    said = {name: text for name, text in cells.items() if name in Overrides.model_fields}
    try:
        settings = resolve(defaults, said)
    except ValidationError as error:
        faults = [
            Fault(line, str(fault["loc"][0]), f"found {fault['input']!r}", _allowed(fault["msg"]))
            for fault in error.errors()
        ]
        wrong = {fault.column for fault in faults}
        settings = resolve(
            defaults, {name: text for name, text in said.items() if name not in wrong}
        )
        return settings, [*faults, *_check_layers(line, settings)]
    return settings, _check_layers(line, settings)


def _allowed(message: str) -> str:
    return message.replace("Input should be", "expected").removeprefix("Value error, ")


def _check_layers(line: int, settings: Settings) -> list[Fault]:
    topology = CATALOGUE[settings.encoder].topology
    faults = []
    for column in ("content_layers", "style_layers"):
        try:
            topology.check_taps(getattr(settings, f"{column[:-1]}_weights"))
        except ValueError as error:
            found = f"found {getattr(settings, column)!r}"
            faults.append(Fault(line, column, found, str(error)))
    return faults


def _read_output(line: int, text: str) -> tuple[str, list[Fault]]:
    """The output below `pictures/`, normalized; empty where the row leaves it to us."""
    if not text:
        return "", []
    path = PurePosixPath(text.replace("\\", "/"))
    if not text.isprintable() or not path.name:
        wrong = "expected a file name of printable characters"
    elif max(len(part.encode()) for part in path.parts) > LONGEST_NAME:
        wrong = f"expected names of at most {LONGEST_NAME} bytes"
    elif path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        wrong = "expected a place inside the output folder: a relative path without '..'"
    elif path.suffix.lower() in OTHER_FORMATS:
        wrong = "expected a name that ends in .png, or one without an ending: results are PNG"
    else:
        named = path if path.suffix.lower() == ".png" else path.with_name(f"{path.name}.png")
        return str(named.with_suffix(".png")), []
    return "", [Fault(line, "output", f"found {text!r}", wrong)]


def _default_stem(row: Row) -> str:
    content, style = (PurePosixPath(name_of(place)).stem for place in (row.content, row.style))
    return f"{_cut(content)}_{_cut(style)}"


def _cut(stem: str) -> str:
    """Short enough that two of them make a file name; counted in bytes, as file systems do."""
    return stem.encode()[:LONGEST_STEM].decode(errors="ignore")


def _with_default_output(row: Row) -> Row:
    return row if row.output else replace(row, output=f"{_default_stem(row)}.png")


def _check_outputs(rows: list[Row]) -> list[Row]:
    """Tell apart rows that would get the same default name; refuse names given twice."""
    wanted = Counter(row.output.casefold() for row in rows)
    named = [
        replace(row, output=f"{_default_stem(row)}_{_digest(row.cells)}.png")
        if wanted[row.output.casefold()] > 1 and "output" not in row.cells
        else row
        for row in rows
    ]
    first: dict[str, int] = {}
    checked = []
    for row in map(_beside(named), named):
        line = first.setdefault(row.output.casefold(), row.line)
        fault = Fault(
            row.line,
            "output",
            f"the result {row.output!r} is that of line {line} too",
            "give the rows different outputs or remove one",
        )
        checked.append(row if line == row.line else row.with_faults([fault]))
    return checked


def _beside(rows: list[Row]) -> Callable[[Row], Row]:
    """Refuses a row whose result would have to be a folder for another's."""
    folders = {
        str(folder) for row in rows for folder in PurePosixPath(row.output.casefold()).parents
    }

    def check(row: Row) -> Row:
        if row.output.casefold() not in folders:
            return row
        found = f"the result {row.output!r} is a folder in the output of another row"
        return row.with_faults([Fault(row.line, "output", found, "choose another output")])

    return check


def check_places(rows: Iterable[Row], output: Place) -> list[Row]:
    """Refuse results that would take the place of a picture that is read, or of a folder.

    Args:
        rows: of a manifest.
        output: the output folder; it need not exist.
    """
    rows = list(rows)
    sources = {
        resolved(path)
        for row in rows
        for column, path in (("content", row.content), ("style", row.style))
        if column in row.cells
    }
    return [row.with_faults(_place_faults(row, output, sources)) for row in rows]


def check_manifest_place(manifest: Place, output: Place) -> None:
    """Refuse a manifest that the table would overwrite.

    Raises:
        ManifestError: it lies where the table goes.
    """
    tables = {resolved(summary_path(output, ending).absolute()) for ending in (".csv", ".parquet")}
    if resolved(manifest.absolute()) in tables:
        raise ManifestError(
            f"{told(manifest)}: the table of results would overwrite the manifest; choose another "
            "output folder"
        )


def _place_faults(row: Row, output: Place, sources: set[Place]) -> Iterator[Fault]:
    place = picture_path(output, row.output)
    if resolved(place) in sources:
        found = f"the result {row.output!r} would overwrite a picture that is read"
        yield Fault(row.line, "output", found, "choose another output, or another output folder")
    # In object storage a folder and an object may have the same name.
    elif isinstance(place, Path) and place.is_dir():
        found = f"the result {row.output!r} is a folder"
        yield Fault(row.line, "output", found, "choose another output")
    for column, source in (("content", row.content), ("style", row.style)):
        if column in row.cells and _is_written_by_runs(resolved(source), output):
            found = f"{row.cells[column]!r} is where runs write what they show"
            yield Fault(row.line, column, found, "keep it outside the output folder")


def _is_written_by_runs(source: Place, output: Place) -> bool:
    kept = resolved(interrupted_path(output, "").absolute())
    return source == resolved(contact_sheet_path(output).absolute()) or kept in source.parents


def _digest(cells: Mapping[str, str]) -> str:
    """Six digits that depend on nothing but what the row says, so that its name stays its own."""
    return hashlib.sha256(json.dumps(cells, sort_keys=True).encode()).hexdigest()[:6]
