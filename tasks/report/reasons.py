"""Why rows are not done, in the few words that a log and a notification have room for."""

from nst_core.storage.places import redacted
from tasks.report.table_row import Table, TableRow
from tasks.store.statuses import WRONG

MOST_REASONS = 3
LONGEST_REASON = 200


def described(row: TableRow) -> str:
    """Return the line of a row, its output unless the row is invalid, and why it is not done."""
    # The reason of an invalid row names the cell; its output may be the cell that is wrong.
    output = "" if row.status == "invalid" or not row.output else f"{row.output}: "
    return f"line {row.line}, {output}{row.why}"


def first_reasons(table: Table) -> tuple[str, ...]:
    """Return why the first rows failed or are invalid, and how many more there are.

    Each text has at most `LONGEST_REASON` characters, and contains no secrets.
    """
    wrong = table.with_status(*WRONG)
    shown = tuple(_shortened(redacted(described(row))) for row in wrong[:MOST_REASONS])
    more = len(wrong) - len(shown)
    return (*shown, f"... and {more} more, in the table") if more else shown


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_REASON else f"{text[: LONGEST_REASON - 4]} ..."
