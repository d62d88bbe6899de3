"""What was probably meant by headers and cells that cannot be read as they are."""

import csv
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import PurePosixPath

from nst_core.transfer.presets import Overrides
from tasks.intake.sheets.decimal_commas import with_points
from tasks.row import REQUIRED
from tasks.store.csv_cells import NAMES_OF_SEPARATORS, SEPARATORS
from tasks.store.picture_folders import SUFFIXES
from tasks.store.style_cells import SEPARATOR

QUOTES = "'`\u00b4\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb"
"""What is sometimes taken for the quote that CSV knows."""

QUOTE_STYLES = 'several styles in one cell need quotes around it, such as "a.jpg; b.jpg"'


def header_hint(cells: Sequence[str], is_header: Callable[[Sequence[str]], bool]) -> str:
    """Return what to change, if the first row would be a header if it was written otherwise.

    Args:
        cells: those of the first row, which are no header.
        is_header: returns whether cells are those of a header.
    """
    filled = [cell.strip() for cell in cells if cell.strip()]
    hints = (
        _one_cell_hint(filled[0], is_header) if len(filled) == 1 else "",
        _quotes_hint(filled, is_header),
        _no_header_hint(filled),
        _spelling_hint(filled),
    )
    return next(filter(None, hints), "")


def _one_cell_hint(cell: str, is_header: Callable[[Sequence[str]], bool]) -> str:
    for separator in SEPARATORS:
        if is_header(next(csv.reader([cell], delimiter=separator), [])):
            return (
                f"the first line is one cell, and within it {NAMES_OF_SEPARATORS[separator]} "
                "separate the names: remove the quotes around whole lines or, if the file begins "
                "with a line such as sep=;, correct the separator in it"
            )
    for mark in ("|", ":", "/", " "):
        if is_header([name for name in cell.split(mark) if name]):
            found = repr(mark) if mark.strip() else "a blank"
            return f"{found} separates the names: separate cells by commas, semicolons or tabs"
    return ""


def _quotes_hint(cells: Sequence[str], is_header: Callable[[Sequence[str]], bool]) -> str:
    if is_header([cell.strip(QUOTES) for cell in cells]):
        return f'only " is a quote in CSV: remove the {cells[0][0]}'
    return ""


def _no_header_hint(cells: Sequence[str]) -> str:
    if any(PurePosixPath(cell).suffix.lower() in SUFFIXES for cell in cells):
        return "the first line seems to be a row: add a line with the names of the columns above it"
    return ""


def _spelling_hint(cells: Sequence[str]) -> str:
    written = {cell.lower(): cell for cell in cells}
    for missing in (name for name in REQUIRED if name not in written):
        others = [cell for cell in written if cell not in (*REQUIRED, *Overrides.model_fields)]
        if near := get_close_matches(missing, others, n=1, cutoff=0.6):
            return f"did you mean {missing!r} by {written[near[0]][:80]!r}?"
    return ""


def setting_hint(separator: str, text: str) -> str:
    """Return what was probably meant by a cell that is no value of its setting.

    Args:
        separator: what separates the cells of the manifest.
        text: the cell.
    """
    if separator == "," and with_points(text) != text:
        return f"write {with_points(text)!r}, because commas separate the cells of this file"
    if separator == SEPARATOR and PurePosixPath(text).suffix.lower() in SUFFIXES:
        return f"if this is a style: where semicolons separate the cells, {QUOTE_STYLES}"
    return ""
