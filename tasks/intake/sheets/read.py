"""The rows of a manifest's file, whatever wrote it, and how it was understood."""

import io
import re
import unicodedata
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tasks.intake.sheets.encodings import UTF_8, EncodingError, decoded
from tasks.intake.sheets.frames import FrameError, read_parquet, read_xlsx
from tasks.store.csv_cells import NAMES_OF_SEPARATORS, CsvError, Record, read_records

CSV = "CSV"

INDEX_NAMES = frozenset(("", "#", "index", "id", "no", "no.", "nr", "nr.", "row", "line"))
"""Names of a first column that only numbers the rows."""


class SheetError(ValueError):
    """A file without rows that can be read; the message says why, and what to do."""


@dataclass(frozen=True)
class Sheet:
    """The rows of a file.

    Attributes:
        form: what the file is: CSV, UTF-16 (which is CSV, too), XLSX or Parquet.
        separator: what separates its cells; empty if that is no text.
        rows: those that are not blank, the header first.
        details: what else was decided when it was read.
    """

    form: str
    separator: str
    rows: list[Record]
    details: tuple[str, ...] = ()

    @property
    def understood(self) -> str:
        """How the file was read; empty if it has the plain form, which is CSV with commas."""
        named = NAMES_OF_SEPARATORS.get(self.separator)
        is_plain = self.form == CSV and self.separator == ","
        separated = (f"separated by {named}",) if named and not is_plain else ()
        details = (*separated, *self.details)
        return "" if is_plain and not details else f"read as {', '.join((self.form, *details))}"

    def with_detail(self, detail: str) -> "Sheet":
        """Return the same rows, with one more thing that was decided."""
        return replace(self, details=(*self.details, detail))


def read_sheet(data: bytes, is_header: Callable[[Sequence[str]], bool]) -> Sheet:
    """Return the rows of a file, without a first column that only numbers them.

    Args:
        data: a text file with commas, semicolons or tabs between cells, in any of the encodings of
            `decoded`; an XLSX or a Parquet file.
        is_header: returns whether cells are those of the header.

    Raises:
        SheetError: it is none of these, or it is damaged.
    """
    try:
        return _without_index(_read(data, is_header))
    except (CsvError, EncodingError, FrameError) as error:
        raise SheetError(str(error)) from error


def _read(data: bytes, is_header: Callable[[Sequence[str]], bool]) -> Sheet:
    if data.startswith(b"PAR1"):
        return Sheet("Parquet", "", read_parquet(data))
    if kind := _kind_of_document(data):
        raise SheetError(
            f"this is {kind}, expected a CSV, XLSX or Parquet file; save it as 'CSV UTF-8'"
        )
    if data.startswith(b"PK\3\4"):
        records, sheet = read_xlsx(data, is_header)
        return Sheet("XLSX", "", records, (f"sheet {sheet!r}",) if sheet else ())
    text, encoding = decoded(data)
    separator, records = read_records(text, is_header)
    return Sheet(CSV if encoding == UTF_8 else encoding, separator, records)


def _kind_of_document(data: bytes) -> str:
    """Return what a file is that spreadsheets write and that cannot be read; empty for others."""
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        return "an Excel file in the form of 2003 (.xls) or with a password"
    if not data.startswith(b"PK\3\4"):
        return ""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = set(archive.namelist())
    except zipfile.BadZipFile:
        return "a damaged XLSX or zip file"
    if "xl/workbook.xml" in names:
        return ""
    if "content.xml" in names:
        return "an OpenDocument file (.ods)"
    return "a Numbers file" if "Index/Document.iwa" in names else "a zip file"


def _without_index(sheet: Sheet) -> Sheet:
    """Remove the numbers of rows that spreadsheets and data frames put into the first column."""
    if len(sheet.rows) < 2 or name_of_column(sheet.rows[0].cells[0]).lower() not in INDEX_NAMES:
        return sheet
    numbers = [row.cells[0].strip() for row in sheet.rows[1:]]
    if not all(not text or text.isdecimal() for text in numbers):
        return sheet
    rows = [Record(row.line, row.cells[1:]) for row in sheet.rows]
    kept = replace(sheet, rows=[row for row in rows if any(map(str.strip, row.cells))])
    if not any(numbers):
        return kept
    return kept.with_detail("without its first column, which numbers the rows")


def name_of_column(text: str) -> str:
    """Return the name of a column as it is seen; empty for one that pandas named."""
    seen = "".join(each for each in text if unicodedata.category(each) != "Cf").strip()
    return "" if re.fullmatch(r"Unnamed: \d+", seen) else seen
