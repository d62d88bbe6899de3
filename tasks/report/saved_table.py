"""The table of a batch, read back from the file that a run wrote."""

import io
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from nst_core.storage.files import read_whole
from tasks.report.table_row import RELATIVE_LOSS, Table, TableRow, columns_by_key
from tasks.store.output_folder import OutputFolder

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 1
"""The format of the tables that this version writes and reads. A later version that changes what a
column means must raise this number and write it as the attribute `version` of the Parquet file; a
table without that attribute has format 1."""


class NewerTableError(ValueError):
    """A table that a newer version of nst-batch wrote; the message says so.

    Attributes:
        found: the table's format.
    """

    def __init__(self, found: int) -> None:
        super().__init__(found)
        self.found = found

    def __str__(self) -> str:
        return (
            f"a newer version of nst-batch wrote this table (found format {self.found}, expected "
            f"at most {FORMAT}); use that version, or run the batch again to make a new table"
        )


class MissingColumnError(ValueError):
    """A table without a column that its reader needs, as other versions wrote it.

    Attributes:
        column: the column's name.
    """

    def __init__(self, column: str) -> None:
        super().__init__(column)
        self.column = column

    def __str__(self) -> str:
        return f"found no column {self.column}, as in tables of other versions"


def read_summary(output: OutputFolder, needed: Iterable[str] = ()) -> Table:
    """Return the table of the last run.

    Args:
        output: the batch's output folder.
        needed: columns that the table must have, even if it is from another version.

    Raises:
        OSError: there is no table, or it cannot be read.
        MissingColumnError: the table lacks a column.
        NewerTableError: a newer version wrote it.
        ValueError: the file is not a table of nst-batch.
    """
    data = read_whole(output.summary(".parquet"))
    import pandas as pd

    frame = pd.read_parquet(io.BytesIO(data))
    found = frame.attrs.get("version", FORMAT)
    if isinstance(found, int) and found > FORMAT:
        raise NewerTableError(found)
    for column in (*needed, "line", "status"):
        if column not in frame:
            raise MissingColumnError(column)
    return Table(
        rows=_rows_of(frame),
        layers=_layers_of(frame),
        made_at=_made_at(frame),
        manifest=str(frame.attrs.get("manifest") or ""),
        seconds_left=frame.attrs.get("seconds_left"),
    )


def _rows_of(frame: "pd.DataFrame") -> tuple[TableRow, ...]:
    types = get_type_hints(TableRow)
    columns: dict[str, list[Any]] = {
        field.name: _values(frame[field.name], _plain_type(types[field.name]), field.default)
        for field in fields(TableRow)
        if field.name in frame
    }
    for name, by_key in columns_by_key(_layers_of(frame)).items():
        columns[name] = _mappings(frame, by_key)
    return tuple(
        TableRow(**dict(zip(columns, cells, strict=True)))
        for cells in zip(*columns.values(), strict=True)
    )


def _plain_type(annotation: Any) -> type:
    """Return the type of a field's values besides None: int, float, bool or str."""
    first = (*get_args(annotation), annotation)[0]
    # The values of a `Literal` are texts.
    return first if isinstance(first, type) else str


def _values(column: "pd.Series[Any]", kind: type, default: Any) -> list[Any]:
    """Return the column's cells as values of this type, or the default where there is none.

    Raises:
        ValueError: a cell has no such value, or none although there is no default.
    """
    missing = column.isna().tolist()
    if default is MISSING and any(missing):
        raise ValueError(f"column {column.name}: found an empty cell")
    try:
        return [
            default if is_missing else kind(cell)
            for cell, is_missing in zip(column.tolist(), missing, strict=True)
        ]
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"column {column.name}: {error}") from error


def _mappings(frame: "pd.DataFrame", by_key: Mapping[str, str]) -> list[dict[str, float]]:
    """Return the numbers of each row by key, without those that the row or the table lacks."""
    columns = {
        key: _values(frame[column], float, None)
        for key, column in by_key.items()
        if column in frame
    }
    return [
        {key: cells[row] for key, cells in columns.items() if cells[row] is not None}
        for row in range(len(frame))
    ]


def _layers_of(frame: "pd.DataFrame") -> tuple[str, ...]:
    named = (column for column in frame.columns if column.startswith(RELATIVE_LOSS))
    return tuple(column.removeprefix(RELATIVE_LOSS) for column in named)


def _made_at(frame: "pd.DataFrame") -> datetime | None:
    said = frame.attrs.get("made_at")
    return datetime.fromisoformat(said) if said else None
