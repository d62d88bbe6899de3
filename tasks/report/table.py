"""The table of a batch, made from its rows and their records."""

import csv
import io
import logging
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import pandas as pd

from nst_core.networks import CATALOGUE
from nst_core.storage.files import read_whole, write_atomic
from nst_core.storage.places import Place
from nst_core.transfer.settings import Settings
from tasks.row import Row
from tasks.store.csv_cells import escape_formula
from tasks.store.layout import CURVES, PICTURES, curve_name, summary_path
from tasks.store.statuses import STATUSES, RowResult

logger = logging.getLogger("nst_batch.summary")

MEASURES = (
    *("total_loss", "content_loss", "style_loss", "tv_loss", "start_loss"),
    *("steps", "evaluations", "stop_reason", "recoveries", "seconds", "device"),
    *("peak_memory_mb", "width", "height", "seed", "encoder_fingerprint"),
)

WHOLE = (
    *("evaluations", "recoveries", "width", "height", "seed", "same_as"),
    *(name for name, field in Settings.model_fields.items() if field.annotation is int),
)
"""Columns of whole numbers, which stay whole even if rows without a picture have none."""


def summarize(rows: Iterable[Row], results: Mapping[int, RowResult]) -> pd.DataFrame:
    """Return the table: a row for each row of the manifest, in the same order, whatever its result.

    Args:
        rows: the rows of the manifest.
        results: the results by line.
    """
    rows = list(rows)
    table = pd.DataFrame([_table_row(row, results[row.line]) for row in rows])
    layers = [
        f"relative_loss_{layer}"
        for name in dict.fromkeys(row.settings.encoder for row in rows)
        for layer in CATALOGUE[name].topology.layer_names
    ]
    leading = ["line", "status", "picture", "content", "style", *MEASURES[:5]]
    found = [layer for layer in layers if layer in table]
    trailing = ["style_targets", "curve", "output", "key", "same_as", "change", "previous_loss"]
    order = [*leading, *found, *MEASURES[5:], *trailing, *Settings.model_fields]
    table = table.reindex(columns=[*dict.fromkeys(order), "warnings", "error"])
    return table.astype(dict.fromkeys(WHOLE, "Int64"))


def _table_row(row: Row, result: RowResult) -> dict[str, Any]:
    settings = row.settings.model_dump() if not row.faults else {}
    facts: dict[str, Any] = {
        "line": row.line,
        "status": result.status,
        "same_as": result.same_as,
        "content": row.cell("content"),
        "style": row.cell("style"),
        "output": row.output,
        **settings,
        "warnings": "",
        "error": result.error,
    }
    record = result.record
    if record is None:
        return facts | {"picture": result.interrupted_picture or None}
    curve = f"{CURVES}/{curve_name(row.output)}" if record.curve_file else ""
    losses = {f"relative_loss_{layer}": loss for layer, loss in record.style_layers.items()}
    return (
        facts
        | losses
        | {
            **{name: getattr(record, name) for name in MEASURES},
            "picture": f"{PICTURES}/{row.output}",
            "curve": curve,
            "key": record.key,
            "style_targets": result.style_targets,
            "warnings": "; ".join(record.warnings),
        }
    )


def write_summary(table: pd.DataFrame, output: Place) -> Place:
    """Write `summary.csv` and `summary.parquet` atomically; return the former's path."""
    parquet = io.BytesIO()
    table.to_parquet(parquet, index=False)
    write_atomic(summary_path(output, ".parquet"), parquet.getvalue())
    write_atomic(summary_path(output), summary_csv(table).encode())
    return summary_path(output)


def summary_csv(table: pd.DataFrame) -> str:
    """Return the table as CSV text, without any cell that a spreadsheet takes for a formula."""
    texts = table.select_dtypes(["object", "string"])
    safe = table.assign(**texts.map(escape_formula))
    # Otherwise a bare carriage return would be unquoted, and readers would take it for a new row.
    has_returns = texts.map(lambda cell: "\r" in str(cell)).to_numpy().any()
    text: str = safe.to_csv(
        index=False,
        float_format="%.6g",
        lineterminator="\n",
        quoting=csv.QUOTE_NONNUMERIC if has_returns else csv.QUOTE_MINIMAL,
    )
    return text


def read_summary(output: Place) -> pd.DataFrame:
    """Return the table of the last run, with its original types.

    Raises:
        OSError: there is none, or it cannot be read.
    """
    return pd.read_parquet(io.BytesIO(read_whole(summary_path(output, ".parquet"))))


def made_at(table: pd.DataFrame) -> datetime | None:
    """Return when a table was made; None if it does not say."""
    said = table.attrs.get("made_at")
    return datetime.fromisoformat(said) if said else None


def with_warnings(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that have warnings; a table of an earlier version has none."""
    return table[table["warnings"] != ""] if "warnings" in table else table.head(0)


def count_by_status(table: pd.DataFrame) -> dict[str, int]:
    """Return the number of rows for each status that occurs."""
    counts = table["status"].value_counts()
    return {status: int(counts[status]) for status in STATUSES if status in counts}


def why_of(row: "pd.Series[Any]") -> str:
    """Return why a row is not done, without its line number, which is always shown beside it."""
    return str(row["error"]).replace(f"line {row['line']}, ", "")
