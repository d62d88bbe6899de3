"""Comparison of a batch with the previous one in its output folder: what is new, gone, changed."""

from collections.abc import Iterator
from typing import Any, Literal, get_args

import pandas as pd

from tasks.store.statuses import WITH_PICTURE, WRONG

Change = Literal["", "same", "new", "changed", "moved", "mended", "broken"]
CHANGES: tuple[Change, ...] = get_args(Change)
"""How a row can compare with the previous table; `docs/outputs.md` explains each."""

COMPARED = ("output", "key", "status", "picture", "total_loss")
"""The columns that a comparison needs; a table of another version may lack some."""

MOVED = 1e-3
"""The share by which a loss must differ to count as moved; devices and libraries differ by less."""


def compare(table: pd.DataFrame, earlier: pd.DataFrame | None) -> pd.DataFrame:
    """Return the table with the columns `change` and `previous_loss`, with rows matched by output.

    Args:
        table: made by `summarize`.
        earlier: the previous table; None if there was none.
    """
    before = _by_output(earlier)
    changes, losses = [], []
    for _, row in table.iterrows():
        then = before.get(row["output"])
        changes.append("" if earlier is None else _change(row, then))
        losses.append(float("nan") if then is None else then["total_loss"])
    return table.assign(change=changes, previous_loss=losses)


def gone(table: pd.DataFrame, earlier: pd.DataFrame | None) -> list[str]:
    """Return the outputs that the previous table had and this one does not, in order."""
    there = set(table["output"])
    return [output for output in _by_output(earlier) if output not in there]


def is_comparable(table: pd.DataFrame) -> bool:
    """Return whether a table has the columns that a comparison needs."""
    return set(COMPARED) <= set(table.columns)


def _by_output(table: pd.DataFrame | None) -> dict[str, Any]:
    return {} if table is None else {row["output"]: row for row in _named_rows(table)}


def _named_rows(table: pd.DataFrame) -> Iterator[Any]:
    """Return the rows with an output, without a second row of the same one, which has a fault."""
    named = table[table["output"] != ""].drop_duplicates("output")
    return (row for _, row in named[list(COMPARED)].iterrows())


def _change(now: Any, then: Any) -> Change:
    if not now["output"]:
        return ""
    if then is None:
        return "new"
    has, had = (row["status"] in WITH_PICTURE for row in (now, then))
    if not has:
        return "broken" if had and now["status"] in WRONG else "same"
    if not had:
        return "mended" if then["status"] in WRONG else "new"
    if now["key"] != then["key"]:
        return "changed"
    moved = abs(now["total_loss"] - then["total_loss"]) > MOVED * abs(then["total_loss"])
    return "moved" if moved else "same"
