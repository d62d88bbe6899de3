"""Conversion between CSV text and cells: separators of spreadsheets, line numbers of editors."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

SEPARATORS = (",", ";", "\t")
NAMES_OF_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20", "'")
"""What spreadsheets may take for the start of a formula, and the apostrophe that prevents it.

The wide forms are those of Japanese and Chinese keyboards, which spreadsheets there accept too.
"""


class CsvError(ValueError):
    """A text that cannot be split into rows; the message names the line."""


class Record(NamedTuple):
    """The cells of a row, and the line of the text on which it begins, counted from 1."""

    line: int
    cells: list[str]


class Records(NamedTuple):
    """What separates the cells of a text, and its rows."""

    separator: str
    rows: list[Record]


def read_records(text: str, is_header: Callable[[Sequence[str]], bool]) -> Records:
    """Return every row that is not blank, the header first.

    Args:
        text: a CSV file whose cells are separated by commas, semicolons or tabs. A first line such
            as `sep=;`, in which spreadsheets name the separator, is not a row.
        is_header: returns whether cells are those of the header; used to find the separator.

    Raises:
        CsvError: a quote is never closed, or is followed by more of its cell. (Below what is no
            header, this says nothing, and the rows before it are returned.)
    """
    declared = re.match(r'\s*"?sep=([,;\t|])"?[ \t]*(?:[\r\n]|$)', text, re.IGNORECASE)
    separator = declared[1] if declared else _separator(text, is_header)
    with _cells_of_any_length(text):
        records: list[Record] = []
        try:
            for record in _records(text, separator):
                records.append(record)
        except CsvError:
            if not records[bool(declared) :] or is_header(records[bool(declared)].cells):
                raise
    return Records(separator, records[bool(declared) :])


def _records(text: str, separator: str) -> Iterator[Record]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    line = 1
    try:
        for cells in reader:
            if any(map(str.strip, cells)):
                yield Record(line, cells)
            line = reader.line_num + 1
    except csv.Error as error:
        raise CsvError(
            f"line {line}: {error}; expected a quote at both ends of the cell, and any quote "
            'within written twice ("")'
        ) from error


def _separator(text: str, is_header: Callable[[Sequence[str]], bool]) -> str:
    """Return the separator of the first line that is not blank; the most frequent if none fits."""
    first = next((line for line in text.splitlines() if line.strip(" ,;\t")), "")
    fitting = (
        separator
        for separator in SEPARATORS
        if is_header(next(csv.reader([first], delimiter=separator), []))
    )
    return next(fitting, max(SEPARATORS, key=first.count))


@contextmanager
def _cells_of_any_length(text: str) -> Iterator[None]:
    """Lift the csv module's process-wide limit on cells, beyond which it reads nothing.

    A row with a very long cell has a fault, but the other rows do not.
    """
    limit = csv.field_size_limit(len(text) + 1)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def to_csv(rows: Iterable[Sequence[str]]) -> str:
    """Return rows as CSV text that reads back unchanged, whatever the cells contain."""
    text = io.StringIO()
    plain = csv.writer(text, lineterminator="\n")
    quoted = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in rows:
        # The module itself would not quote a carriage return, which would then end the row.
        (quoted if any("\r" in cell for cell in row) else plain).writerow(row)
    return text.getvalue()


def escape_formula(cell: Any) -> Any:
    """Return a cell, with an apostrophe in front if it is a text that a spreadsheet might run.

    Texts that begin with an apostrophe get another one, so that `unescape_formula` restores every
    text.
    """
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_STARTS) else cell


def unescape_formula(cell: str) -> str:
    """Return the text from which `escape_formula` made a cell."""
    return cell.removeprefix("'")


def harmless_path(text: str) -> str:
    """Return a manifest's relative path in a form that no spreadsheet takes for a formula.

    It means the same file, and needs no unescaping.
    """
    return f"./{text}" if text.startswith(FORMULA_STARTS) else text
