"""Comparison of a batch with the previous one in its output folder: what is new, gone, changed."""

from dataclasses import replace

from tasks.report.table_row import Change, Table, TableRow
from tasks.store.statuses import WITH_PICTURE, WRONG

COMPARED = ("output", "key", "status", "picture", "total_loss")
"""The columns that a comparison needs; a table of another version may lack some."""

MOVED = 1e-3
"""The share by which a loss must differ to count as moved; devices and libraries differ by less."""


def compare(table: Table, earlier: Table | None) -> Table:
    """Return the table with `change` and `previous_loss`, with rows matched by output.

    Args:
        table: made by `summarize`.
        earlier: the previous table; None if there was none.
    """
    if earlier is None:
        return table
    before = _by_output(earlier)
    return replace(table, rows=tuple(_compared(row, before.get(row.output)) for row in table.rows))


def gone(table: Table, earlier: Table | None) -> list[str]:
    """Return the outputs that the previous table had and this one does not, in order."""
    if earlier is None:
        return []
    there = {row.output for row in table.rows}
    return [output for output in _by_output(earlier) if output not in there]


def _by_output(table: Table) -> dict[str, TableRow]:
    """Return rows by output, without any later row of the same output, because it has a fault."""
    rows: dict[str, TableRow] = {}
    for row in table.rows:
        if row.output:
            rows.setdefault(row.output, row)
    return rows


def _compared(now: TableRow, then: TableRow | None) -> TableRow:
    previous_loss = None if then is None else then.total_loss
    return replace(now, change=_change(now, then), previous_loss=previous_loss)


def _change(now: TableRow, then: TableRow | None) -> Change:
    if not now.output:
        return ""
    if then is None:
        return "new"
    has, had = (row.status in WITH_PICTURE for row in (now, then))
    if not has:
        return "broken" if had and now.status in WRONG else "same"
    if not had:
        return "mended" if (then.last_status or then.status) in WRONG else "new"
    if now.key != then.key:
        return "changed"
    return "moved" if _has_moved(now.total_loss, then.total_loss) else "same"


def _has_moved(now: float | None, then: float | None) -> bool:
    if now is None or then is None:
        return False
    return abs(now - then) > MOVED * abs(then)
