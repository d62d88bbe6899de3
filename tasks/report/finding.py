"""Lookup of a finished batch's row by what a user calls it."""

from difflib import get_close_matches
from typing import Any

import pandas as pd

from nst_core.errors import UserError
from nst_core.storage.places import Place, redacted
from tasks.report.table import read_summary
from tasks.store.layout import summary_path

NEEDED = (
    *("line", "status", "output", "picture", "key", "content", "style", "curve", "error"),
    *("total_loss", "content_weight", "style_weight", "tv_weight"),
)
"""The columns that are read."""


class NoResultsError(UserError):
    """A folder or a row without results; the message says what to do."""


def table_of(output: Place) -> pd.DataFrame:
    """Return the table of an output folder.

    Raises:
        NoResultsError: there is none.
    """
    try:
        table = read_summary(output)
    except (OSError, ValueError) as error:
        raise NoResultsError(
            f"{redacted(output)}: found no summary.parquet; expected the output folder of a run "
            f"({getattr(error, 'strerror', None) or error})"
        ) from error
    missing = [column for column in NEEDED if column not in table.columns]
    if missing:
        raise NoResultsError(
            f"{redacted(summary_path(output, '.parquet'))}: found no column {missing[0]}, as in "
            "tables of other versions; run the batch once more, which keeps what is done"
        )
    return table


def find_row(table: pd.DataFrame, output: Place, named: str) -> "pd.Series[Any]":
    """Return the row with this line in the manifest, or with this output (`.png` may be left out).

    Raises:
        NoResultsError: there is no such row.
    """
    rows = table[table["line"].astype(str) == named]
    if rows.empty:
        rows = table[table["output"].isin([named, f"{named}.png"])]
    if not rows.empty:
        return rows.iloc[0]
    names = [name for name in table["output"] if name]
    near = get_close_matches(f"{named.removesuffix('.png')}.png", names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"such as {names[0]!r}" if names else ""
    raise NoResultsError(
        f"{redacted(output)}: no row {named!r}; expected a line of the manifest, "
        f"{table['line'].min()} to {table['line'].max()}, or an output; {hint}"
    )
