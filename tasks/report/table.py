"""The table of a batch: made from its rows and their records, written, and read back.

This is the only module that knows pandas, which takes seconds to import: it is imported when a
table is converted.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from nst_core.networks import CATALOGUE
from nst_core.storage.files import read_whole, write_atomic
from nst_core.storage.places import Place
from nst_core.transfer.settings import Settings
from nst_core.transfer.terms import FRAME_TERMS, LOSS_TERMS, term_weights, terms_of, weight_name
from tasks.report.table_row import RELATIVE_LOSS, Table, TableRow, columns_by_key
from tasks.row import SOURCES, Row
from tasks.store.csv_cells import escape_formula
from tasks.store.output_folder import CURVES, PICTURES, OutputFolder, curve_name
from tasks.store.statuses import RowResult

if TYPE_CHECKING:
    import pandas as pd

MEASURES = (
    *("total_loss", "term_losses", "start_loss", "steps", "evaluations", "stop_reason"),
    *("recoveries", "seconds", "device", "peak_memory_mb", "width", "height", "seed"),
    *("encoder_fingerprint", "degraded"),
)

FRAME_COLUMNS = ("sequence", "flow")
"""Columns that a batch without frames does not have, like those of `FRAME_TERMS`."""

WHOLE = (
    *("evaluations", "recoveries", "retries", "width", "height", "seed", "same_as"),
    *(name for name, field in Settings.model_fields.items() if field.annotation is int),
)
"""Columns of whole numbers, which stay whole even if rows without a picture have none."""


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


def summarize(rows: Iterable[Row], results: Mapping[int, RowResult]) -> Table:
    """Return the table: a row for each row of the manifest, in the same order, whatever its result.

    Args:
        rows: the rows of the manifest.
        results: the results by line.
    """
    rows = list(rows)
    table_rows = tuple(_table_row(row, results[row.line]) for row in rows)
    measured = {layer for row in table_rows for layer in row.relative_losses}
    layers = (
        layer
        for name in dict.fromkeys(row.settings.encoder for row in rows)
        for layer in CATALOGUE[name].topology.layer_names
        if layer in measured
    )
    return Table(table_rows, layers=tuple(dict.fromkeys(layers)))


def _table_row(row: Row, result: RowResult) -> TableRow:
    facts: dict[str, Any] = {
        **(_settings_of(row) if not row.faults else {}),
        "line": row.line,
        "status": result.status,
        "same_as": result.same_as,
        "asked": result.asked,
        "last_status": result.last_status,
        **{column: row.cell(column) for column in (*SOURCES, *FRAME_COLUMNS)},
        "output": row.output,
        "error": result.error,
    }
    record = result.record
    if record is None:
        return TableRow(**facts, picture=result.interrupted_picture or None, retries=result.retries)
    # The steps and the seed of a picture take the place of the settings with these names.
    facts |= {name: getattr(record, name) for name in MEASURES}
    return TableRow(
        **facts,
        picture=f"{PICTURES}/{row.output}",
        relative_losses=record.style_layers,
        style_targets=result.style_targets,
        curve=f"{CURVES}/{curve_name(row.output)}" if record.curve_file else "",
        key=record.key,
        retries=len(record.failures),
        warnings="; ".join((*result.notes, *record.warnings)),
    )


def _settings_of(row: Row) -> dict[str, Any]:
    """Return the settings by field of `TableRow`."""
    settings = row.settings.model_dump(exclude={*map(weight_name, LOSS_TERMS)})
    weights = term_weights(row.settings)
    terms = terms_of(is_frame=bool(row.sequence))
    return {**settings, "term_weights": {term: weights[term] for term in terms}}


def write_summary(table: Table, output: OutputFolder) -> Place:
    """Write `summary.csv` and `summary.parquet` atomically; return the former's path.

    Raises:
        OSError: a file cannot be written.
    """
    frame, parquet = frame_of(table), io.BytesIO()
    frame.to_parquet(parquet, index=False)
    write_atomic(output.summary(".parquet"), parquet.getvalue())
    write_atomic(output.summary(), summary_csv(frame).encode())
    return output.summary()


def frame_of(table: Table) -> "pd.DataFrame":
    """Return the table with its columns, their types, and when and from what it was made."""
    import pandas as pd

    columns = columns_of(table)
    # Pandas assumes that a column that is left out has numbers. The column of pictures stays in, so
    # that it has the type of texts even if there is no picture.
    filled = {
        name: cells
        for name, cells in columns.items()
        if name == "picture" or any(cell is not None for cell in cells)
    }
    frame = pd.DataFrame(filled).reindex(columns=list(columns))
    frame = frame.astype(dict.fromkeys(WHOLE, "Int64"))
    if table.made_at:
        frame.attrs["made_at"] = table.made_at.isoformat(timespec="seconds")
    if table.manifest:
        frame.attrs["manifest"] = table.manifest
    if table.seconds_left is not None:
        frame.attrs["seconds_left"] = table.seconds_left
    return frame


def columns_of(table: Table) -> dict[str, list[Any]]:
    """Return the cells of each column, in the order of the columns and of the rows."""
    columns: dict[str, list[Any]] = {}
    by_key = columns_by_key(table.layers)
    for field in fields(TableRow):
        cells = [getattr(row, field.name) for row in table.rows]
        if field.name not in by_key:
            if field.name not in FRAME_COLUMNS or any(cells):
                columns[field.name] = cells
            continue
        for key, column in by_key[field.name].items():
            if key not in FRAME_TERMS or any(key in values for values in cells):
                columns[column] = [values.get(key) for values in cells]
    return columns


def summary_csv(frame: "pd.DataFrame") -> str:
    """Return the table as CSV text, without any cell that a spreadsheet takes for a formula."""
    texts = frame.select_dtypes(["object", "string"])
    safe = frame.assign(**texts.map(escape_formula))
    # Otherwise a bare carriage return would be unquoted, and readers would take it for a new row.
    has_returns = texts.map(lambda cell: "\r" in str(cell)).to_numpy().any()
    text: str = safe.to_csv(
        index=False,
        float_format="%.6g",
        lineterminator="\n",
        quoting=csv.QUOTE_NONNUMERIC if has_returns else csv.QUOTE_MINIMAL,
    )
    return text


def json_rows(table: Table) -> list[dict[str, Any]]:
    """Return the rows as values that JSON can hold, each by column; None if there is no value."""
    text = frame_of(table).to_json(orient="records", double_precision=15)
    rows: list[dict[str, Any]] = json.loads(text)
    return rows


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
