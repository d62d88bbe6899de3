"""The results of a batch in the output of the command line, from its table."""

import posixpath
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Any

from flows.cli.display import NARROW
from flows.cli.terminal import Terminal, duration
from nst_core.transfer.losses.terms import weight_name
from nst_core.transfer.settings import Settings
from tasks.report.attention import score_text
from tasks.report.durations import measured_duration
from tasks.report.reasons import alike
from tasks.report.shown_terms import MAIN_TERMS
from tasks.report.table import json_rows
from tasks.report.table_row import Table, TableRow
from tasks.report.varied import Value, what_varies
from tasks.row import lines_text
from tasks.store.output_folder import OutputFolder
from tasks.store.statuses import STOPPED, WRONG
from tasks.store.style_cells import SEPARATOR

SHOWN_ROWS = 40
WIDE = 100
"""The width in columns from which a terminal's table has the scores, too."""

MOST_VARIED = 3
"""The most settings with a column on a terminal; the page shows all of them."""

NOT_CHOSEN = ("steps", "seed", "match_colors")
"""Settings that vary although nobody chose so: steps and seed are those of the picture, and
`match_colors` follows from `color`."""

SCORES = ("style score", "content score")

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
    if terminal.is_rich:
        terminal.table(rows_for_people(others[:SHOWN_ROWS], table, terminal.console.width))
    else:
        names = _short_pairs(table)
        terminal.table([_shown_row(row, names) for row in (*wrong, *others[:SHOWN_ROWS])])
    if len(others) > SHOWN_ROWS:
        terminal.say(f"... and {len(others) - SHOWN_ROWS} more rows in the table")


def rows_for_people(
    rows: Sequence[TableRow], table: Table, width: int = NARROW
) -> list[dict[str, Any]]:
    """Return what people want to know of rows: the pictures, what varies, the status and the time.

    Args:
        rows: those that are shown.
        table: the table that they are in.
        width: of the terminal, in columns.
    """
    photographs, styles = _short_pairs(table)
    varied = what_varies(map(_settings_of, rows))[:MOST_VARIED] if width >= NARROW else ()
    has_scores = width >= WIDE and any(_scores_of(row) != ("", "") for row in rows)
    return [
        {
            "line": row.line,
            "photograph": photographs[row.content],
            "style": styles[row.style],
            **{each.label: each.text_of(_settings_of(row)) for each in varied},
            **(dict(zip(SCORES, _scores_of(row), strict=True)) if has_scores else {}),
            "status": row.status,
            **({"time": measured_duration(row.seconds)} if width >= NARROW else {}),
        }
        for row in rows
    ]


def _settings_of(row: TableRow) -> dict[str, Value]:
    """Return a row's settings; empty if they are not known."""
    if row.encoder is None:
        return {}
    names = (
        name for name in Settings.model_fields if hasattr(row, name) and name not in NOT_CHOSEN
    )
    weights = {weight_name(term): weight for term, weight in row.term_weights.items()}
    return weights | {name: getattr(row, name) for name in names}


def _short_pairs(table: Table) -> tuple[dict[str, str], dict[str, str]]:
    """Return the names of all contents, and of all styles, by cell; see `_short_names`."""
    contents, styles = ([row.content for row in table.rows], [row.style for row in table.rows])
    return _short_names(contents), _short_names(styles)


def _short_names(cells: Iterable[str]) -> dict[str, str]:
    """Return the names of pictures without folders, by cell; with them if names would be equal."""
    parts = {cell: [*map(_last_part, cell.split(SEPARATOR))] for cell in cells}
    # IMG_1.JPG in one folder and IMG_1.jpg in another are told apart by their folders, too.
    alike = {tuple(PurePosixPath(each.casefold()).stem for each in of) for of in parts.values()}
    if len(alike) < len(parts):
        return _from_common_folder(parts)
    return {cell: "; ".join(each) for cell, each in parts.items()}


def _from_common_folder(cells: Iterable[str]) -> dict[str, str]:
    """Return paths without the folder that all of them are in, by cell."""
    try:
        common = f"{posixpath.commonpath([posixpath.dirname(cell) for cell in cells])}/"
    except ValueError:
        # Some are absolute, and others are not.
        common = ""
    return {cell: cell.removeprefix(common) for cell in cells}


def _last_part(path: str) -> str:
    return path.strip().rstrip("/").rpartition("/")[2]


def _shown_row(row: TableRow, names: tuple[dict[str, str], dict[str, str]]) -> dict[str, Any]:
    return {
        "line": row.line,
        "status": row.status,
        "picture": row.picture or _pair(row, names),
        "loss": _formatted(row.total_loss, ".4g"),
        **{term: _formatted(row.term_losses.get(term), ".4g") for term in MAIN_TERMS},
        "steps": _formatted(row.steps, "d"),
        "seconds": _formatted(row.seconds, ".1f"),
        **dict(zip(SCORES, _scores_of(row), strict=True)),
    }


def _scores_of(row: TableRow) -> tuple[str, str]:
    return score_text(row.style_score), score_text(row.content_score)


def _formatted(number: float | None, digits: str) -> str:
    return "" if number is None else format(number, digits)


def _pair(row: TableRow, names: tuple[dict[str, str], dict[str, str]]) -> str:
    """Return what a row without a picture was to be made of."""
    contents, styles = names
    return f"{contents[row.content]} x {styles[row.style]}"


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
    """Print what failed, and why: as a table, or in a pipe as lines; each reason only once."""
    wrong = table.with_status(*WRONG)
    if not terminal.is_rich:
        for rows in alike(wrong):
            where = f"line {lines_text([row.line for row in rows])}, "
            terminal.say(f"{rows[0].status}: {where}{rows[0].why}")
        return
    drawn = [
        {
            "line": lines_text([row.line for row in rows]),
            "status": rows[0].status,
            "why": rows[0].why,
        }
        for rows in alike(wrong)
    ]
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
