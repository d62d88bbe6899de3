"""The table of a batch: made from its rows and their records, and written.

Pandas takes seconds to import, so only this module and `saved_table` use it, and import it when a
table is converted.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from nst_core.networks import CATALOGUE
from nst_core.storage.files import write_atomic
from nst_core.storage.places import Place
from nst_core.transfer.losses.terms import (
    FRAME_TERMS,
    LOSS_TERMS,
    term_weights,
    terms_of,
    weight_name,
)
from nst_core.transfer.settings import Settings
from tasks.report.table_row import Table, TableRow, columns_by_key
from tasks.row import SOURCES, Row
from tasks.store.csv_cells import escape_formula
from tasks.store.output_folder import CURVES, PICTURES, OutputFolder, curve_name
from tasks.store.statuses import RowResult

if TYPE_CHECKING:
    import pandas as pd

MEASURES = (
    *("style_score", "content_score"),
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
