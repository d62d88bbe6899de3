"""CSV text <-> cells: separators as spreadsheets write them, lines as editors count them."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

SEPARATORS = (",", ";", "\t")

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20", "'")
"""What spreadsheets may take for the start of a formula, and the apostrophe that says it is none.

The wide forms are those of Japanese and Chinese keyboards, which spreadsheets there accept too.
"""


class CsvError(ValueError):
    """A text whose rows cannot be told apart; the message names the line."""


class Record(NamedTuple):
    """The cells of a row, and the line of the text on which it begins; the first line is 1."""

    line: int
    cells: list[str]


def read_records(text: str, is_header: Callable[[Sequence[str]], bool]) -> list[Record]:
    """Every row that is not blank, the header first.

    Args:
        text: of a CSV file whose cells are separated by commas, semicolons or tabs. A first line
            such as `sep=;`, by which spreadsheets say so, is not a row.
        is_header: whether cells are those of the header; it finds out what separates them.

    Raises:
        CsvError: a quote is never closed, or is followed by more of its cell.
    """
    said = re.match(r"\s*sep=([,;\t|])[ \t]*(?:[\r\n]|$)", text, re.IGNORECASE)
    separator = said[1] if said else _separator(text, is_header)
    with _cells_of_any_length(text):
        records = list(_records(text, separator))
    return records[1:] if said else records


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
    """What separates the cells of the first line that is not blank; a comma where none fits."""
    first = next((line for line in text.splitlines() if line.strip(" ,;\t")), "")
    fitting = (
        separator
        for separator in SEPARATORS
        if is_header(next(csv.reader([first], delimiter=separator), []))
    )
    return next(fitting, SEPARATORS[0])


@contextmanager
def _cells_of_any_length(text: str) -> Iterator[None]:
    """Lift the limit that the csv module has for the whole process, beyond which it reads nothing.

    A row with a very long cell is at fault, but the others are not.
    """
    limit = csv.field_size_limit(len(text) + 1)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def to_csv(rows: Iterable[Sequence[str]]) -> str:
    """Rows as CSV text that reads back as it was, whatever the cells hold."""
    text = io.StringIO()
    plain = csv.writer(text, lineterminator="\n")
    quoted = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in rows:
        # By itself the module leaves a carriage return without quotes, where it ends a row.
        (quoted if any("\r" in cell for cell in row) else plain).writerow(row)
    return text.getvalue()


def escape_formula(cell: Any) -> Any:
    """A cell; where it is a text that a spreadsheet might run, with an apostrophe before it.

    Texts that begin with an apostrophe get another one, so that `unescape_formula` gives every text
    back as it was.
    """
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_STARTS) else cell


def unescape_formula(cell: str) -> str:
    """The text that `escape_formula` made a cell of."""
    return cell.removeprefix("'")


def harmless_path(text: str) -> str:
    """A relative path as a manifest may have it, so that no spreadsheet takes it for a formula.

    It means the same file, and is read as it is.
    """
    return f"./{text}" if text.startswith(FORMULA_STARTS) else text
