"""Rows of XLSX and Parquet files, which pandas reads."""

import io
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

from nst_core.extras import command_for
from tasks.store.csv_cells import Record

if TYPE_CHECKING:
    import pandas as pd


class FrameError(ValueError):
    """A file that cannot be read; the message says why, and what to do."""


class Workbook(NamedTuple):
    """The rows of one sheet, and the sheet's name if the file has several."""

    records: list[Record]
    sheet: str = ""


def read_xlsx(data: bytes, is_header: Callable[[Sequence[str]], bool]) -> Workbook:
    """Return the rows of the first sheet that begins with a header; of the first if none does.

    Cells have the texts that CSV would have, with points in numbers; the text of a formula is its
    last result. Lines are counted as the spreadsheet numbers them.

    Raises:
        FrameError: the library for it is not installed, or the file is damaged.
    """
    if find_spec("openpyxl") is None:
        raise FrameError(
            f"XLSX files need a library that is not installed; install it ({command_for('xlsx')}), "
            "or save the manifest as 'CSV UTF-8'"
        )
    import pandas as pd

    try:
        sheets = pd.read_excel(
            io.BytesIO(data),
            sheet_name=None,
            header=None,
            dtype=object,
            na_filter=False,
            engine="openpyxl",
        )
    except Exception as error:  # libraries raise nearly anything when bytes are damaged
        raise _unreadable("an XLSX file", error) from error
    read = {str(name): records_of(frame, first_line=1) for name, frame in sheets.items()}
    fits = (name for name, records in read.items() if records and is_header(records[0].cells))
    name = next(fits, next(iter(read), ""))
    return Workbook(read.get(name, []), name if len(read) > 1 else "")


def read_parquet(data: bytes) -> list[Record]:
    """Return the names of the columns and the rows; the first row counts as line 2, as in CSV.

    Raises:
        FrameError: the file is damaged.
    """
    import pandas as pd

    try:
        frame = pd.read_parquet(io.BytesIO(data))
    except Exception as error:  # libraries raise nearly anything when bytes are damaged
        raise _unreadable("a Parquet file", error) from error
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    return [Record(1, list(map(str, frame.columns))), *records_of(frame, first_line=2)]


def records_of(frame: "pd.DataFrame", first_line: int) -> list[Record]:
    """Return the rows of a data frame that are not blank, with cells as texts."""
    rows: Iterable[tuple[Any, ...]] = frame.astype(object).itertuples(index=False, name=None)
    read = (Record(line, list(map(_text_of, cells))) for line, cells in enumerate(rows, first_line))
    return [record for record in read if any(map(str.strip, record.cells))]


def _text_of(value: Any) -> str:
    """Return a cell as CSV would have it."""
    import pandas as pd

    if value is None or value is pd.NaT or value is pd.NA:
        return ""
    # NumPy's numbers are written in a way of their own.
    plain = value.item() if hasattr(value, "item") else value
    if isinstance(plain, bool):
        return str(plain).lower()
    if isinstance(plain, float):
        # A column of integers with empty cells consists of floating-point numbers.
        return "" if plain != plain else str(int(plain) if plain.is_integer() else plain)
    return str(plain)


def _unreadable(kind: str, error: Exception) -> FrameError:
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return FrameError(
        f"it begins like {kind}, but cannot be read ({reason}); save the manifest again, as "
        "'CSV UTF-8'"
    )
