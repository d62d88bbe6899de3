"""Why rows are not done, in the few words that a log and a notification have room for."""

from collections.abc import Iterable

from nst_core.storage.places import redacted
from tasks.report.table_row import Table, TableRow
from tasks.row import lines_text
from tasks.store.statuses import WRONG

MOST_REASONS = 3
LONGEST_REASON = 200


def described(row: TableRow, *more: TableRow) -> str:
    """Return the line of a row, its output unless the row is invalid, and why it is not done.

    Args:
        row: the row.
        more: other rows, which are not done for the same reason.
    """
    # The reason of an invalid row names the cell; its output may be the cell that is wrong.
    is_named = row.output and row.status != "invalid" and not more
    output = f"{row.output}: " if is_named else ""
    return f"line {lines_text([row.line, *(each.line for each in more)])}, {output}{row.why}"


def alike(rows: Iterable[TableRow]) -> list[list[TableRow]]:
    """Return rows that are not done in groups: those of a group have the same status and reason."""
    groups: dict[tuple[str, str], list[TableRow]] = {}
    for row in rows:
        groups.setdefault((row.status, row.why), []).append(row)
    return [*groups.values()]


def first_reasons(table: Table) -> tuple[str, ...]:
    """Return why the first rows failed or are invalid, and how many more there are.

    Each text has at most `LONGEST_REASON` characters, and contains no secrets.
    """
    wrong = table.with_status(*WRONG)
    told = alike(wrong)[:MOST_REASONS]
    shown = tuple(_shortened(redacted(described(*rows))) for rows in told)
    more = len(wrong) - sum(map(len, told))
    return (*shown, f"... and {more} more, in the table") if more else shown


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_REASON else f"{text[: LONGEST_REASON - 4]} ..."
