"""The results of a batch in the output of the command line, from its table."""

from typing import Any

from flows.cli.display import NARROW
from flows.cli.terminal import Terminal, duration
from tasks.report.shown_terms import MAIN_TERMS
from tasks.report.table import json_rows
from tasks.report.table_row import Table, TableRow
from tasks.store.output_folder import OutputFolder
from tasks.store.statuses import STOPPED, WRONG

SHOWN_ROWS = 40
MOST_SHOWN = 8


def result_of(
    table: Table, output: OutputFolder, *, has_gallery: bool, replaced: int = 0
) -> dict[str, Any]:
    """Return the result as `--json` prints it."""
    return {
        "counts": table.counts,
        "left": _left(table),
        "replaced": replaced,
        "summary": str(output.summary()),
        "gallery": str(output.gallery) if has_gallery else None,
        "rows": json_rows(table),
    }


def _left(table: Table) -> dict[str, Any] | None:
    """Return how many rows are left because the time was up, and the seconds that they need."""
    if table.seconds_left is None:
        return None
    return {"rows": len(table.with_status(*STOPPED)), "seconds": round(table.seconds_left, 1)}


def show_result(
    terminal: Terminal,
    table: Table,
    output: OutputFolder,
    *,
    has_gallery: bool,
    replaced: int = 0,
) -> None:
    """Print the result as JSON, if the user asked for it."""
    # Converting thousands of rows takes a second, so it is done only for users who want JSON.
    if terminal.as_json:
        terminal.result(result_of(table, output, has_gallery=has_gallery, replaced=replaced))


def show_replaced(terminal: Terminal, count: int) -> None:
    """Print how many rows to run replace a picture that other settings or pictures have made."""
    if count:
        what = "replaces a finished picture that was" if count == 1 else ""
        what = what or "replace finished pictures that were"
        terminal.say(
            f"{count} of the rows to run {what} made with other settings or pictures; "
            "to keep both, choose another --output"
        )


def show_rows(terminal: Terminal, table: Table) -> None:
    """Print the first rows, and how many more there are."""
    wrong, others = table.with_status(*WRONG), table.without_status(*WRONG)
    # On a terminal, the rows that went wrong have a table of their own. In a pipe they come first,
    # and none of them is cut off.
    first = () if terminal.is_rich else wrong
    terminal.table([_shown_row(row, terminal) for row in (*first, *others[:SHOWN_ROWS])])
    if len(others) > SHOWN_ROWS:
        terminal.say(f"... and {len(others) - SHOWN_ROWS} more rows in the table")


def _shown_row(row: TableRow, terminal: Terminal) -> dict[str, Any]:
    shown = {
        "line": row.line,
        "status": row.status,
        # A terminal has no room for the parts that all paths have in common.
        "picture": row.output if terminal.is_rich else _path_or_pair(row),
        "loss": _formatted(row.total_loss, ".4g"),
    }
    if terminal.is_rich and terminal.console.width < NARROW:
        return shown
    return shown | {
        **{term: _formatted(row.term_losses.get(term), ".4g") for term in MAIN_TERMS},
        "steps": _formatted(row.steps, "d"),
        "seconds": _formatted(row.seconds, ".1f"),
    }


def _formatted(number: float | None, digits: str) -> str:
    return "" if number is None else format(number, digits)


def _path_or_pair(row: TableRow) -> str:
    return f"{row.content} x {row.style}" if row.picture is None else row.picture


def show_counts(terminal: Terminal, table: Table) -> None:
    """Print the number of rows for each status, and how long stylizing them took."""
    took = f"; stylizing took {duration(table.seconds)}" if table.seconds else ""
    counted = ", ".join(f"{count} {status}" for status, count in table.counts.items())
    terminal.say(f"{counted}{took}")


def show_warnings(terminal: Terminal, table: Table) -> None:
    """Print the warnings about rows that are done, one per line."""
    odd = table.with_warnings
    for row in odd[:SHOWN_ROWS]:
        terminal.say(f"warning: line {row.line}, {row.output}: {row.warnings}")
    if len(odd) > SHOWN_ROWS:
        terminal.say(f"... and {len(odd) - SHOWN_ROWS} more warnings in the table")


def show_wrong(terminal: Terminal, table: Table) -> None:
    """Print what failed, and why: as a table, or in a pipe as one line per row."""
    wrong = table.with_status(*WRONG)
    if not terminal.is_rich:
        for row in wrong:
            where = "" if row.status == "invalid" else f"line {row.line}, "
            terminal.say(f"{row.status}: {where}{row.error}")
        return
    drawn = [{"line": row.line, "status": row.status, "why": row.why} for row in wrong]
    terminal.table(drawn, title="not done, and why")


def show_left(terminal: Terminal, table: Table) -> None:
    """Print how many rows are left because the time was up, and how long they would take."""
    if table.seconds_left is not None:
        terminal.fail(
            f"the time was up: {table.what_is_left}, which would take about "
            f"{duration(table.seconds_left)}; rerun the same command to resume"
        )


def show_best_so_far(terminal: Terminal, table: Table, output: OutputFolder) -> None:
    """Print where the best pictures so far of interrupted rows are."""
    pictures = [row.picture for row in table.with_status("interrupted") if row.picture]
    for picture in pictures[:MOST_SHOWN]:
        terminal.say(f"best so far: {output.root / picture}")
    if len(pictures) > MOST_SHOWN:
        terminal.say(f"... and {len(pictures) - MOST_SHOWN} more in the same place")
