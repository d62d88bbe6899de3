"""What the Prefect UI shows of a batch that has ended: a Markdown report, and its first rows."""

import base64
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from heapq import nlargest, nsmallest
from typing import Any

from nst_core.images.picture_files import PictureError
from nst_core.images.read import load
from nst_core.images.write import encode_jpeg
from nst_core.storage.places import redacted
from nst_core.transfer.allowed import counted_were
from nst_core.transfer.losses.terms import loss_name
from tasks.report.attention import places_from_worst, score_text
from tasks.report.durations import duration
from tasks.report.shown_terms import MAIN_TERMS
from tasks.report.table import columns_of
from tasks.report.table_row import CHANGES, Table, TableRow
from tasks.report.write import BatchReport
from tasks.store.output_folder import OutputFolder
from tasks.store.statuses import UNDONE

MOST_ROWS = 500
"""The most rows in the page's table, which the server's database stores and the browser draws."""

MOST_LISTED = 20
MOST_HIGHEST = 5
MOST_PICTURES = 6
PICTURE_SIDE = 192

SHOWN_COLUMNS = (
    *("line", "status", "output", "style_score", "content_score", "total_loss", "seconds"),
    *("change", "warnings", "error"),
    *("content", "style", *map(loss_name, MAIN_TERMS), "previous_loss"),
    *("stop_reason", "device", "style_targets"),
)
"""The columns on the page, the most important first, because it is not wide enough for all."""

MEANING = (
    "They are lowest in one of the two scores. The style score is 0 if the picture has no more of "
    "the style than the photograph, and 1 if it is as similar to the style's picture as the halves "
    "of that are to each other. The content score is 1 if all of the photograph is kept, and about "
    "0 if nothing is left."
)


def shown_rows(table: Table) -> list[dict[str, Any]]:
    """Return the rows that fit on the page, those not done first; numbers have four digits."""
    rows = (*table.with_status(*UNDONE), *table.without_status(*UNDONE))
    columns = columns_of(Table(rows[:MOST_ROWS]))
    cells = zip(*(columns[name] for name in SHOWN_COLUMNS), strict=True)
    return [dict(zip(SHOWN_COLUMNS, map(_plain, row), strict=True)) for row in cells]


def _plain(value: Any) -> Any:
    """Return a value that JSON can hold."""
    if value is None:
        return ""
    return float(f"{value:.4g}") if isinstance(value, float) else value


def markdown_report(report: BatchReport) -> str:
    """Return what came out, what failed and why, what changed, and what to look at first."""
    table = report.table
    parts = [
        [f"# {_escaped(report.title)}: {_counted(table)}"],
        _left(table),
        _undone(table),
        _warnings(table),
        _first_to_look_at(table),
        _new_pictures(table, report.output),
        _changes(table, report.gone),
        _numbers(table),
        _highest(
            "Slowest rows", "seconds", [(row.seconds, row) for row in table.with_status("done")]
        ),
        _highest("Highest losses", "total loss", [(row.total_loss, row) for row in table.rows]),
        [f"Gallery: {_escaped(redacted(report.output.gallery))}"] if report.has_gallery else [],
        [f"Table: {_escaped(redacted(report.output.summary()))}"],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _counted(table: Table) -> str:
    return ", ".join(f"{count} {status}" for status, count in table.counts.items())


def _left(table: Table) -> list[str]:
    if table.seconds_left is None:
        return []
    time = duration(table.seconds_left)
    return [f"The time was up: {table.what_is_left}, which would take about {time}."]


def _undone(table: Table) -> list[str]:
    # What nobody asked for would hide what went wrong.
    wrong = [row for row in table.with_status(*UNDONE) if row.asked or row.status != "pending"]
    if not wrong:
        return []
    # This is a list, because the page cuts off long table cells.
    listed = [
        f"* line {row.line}, {row.status}, {_escaped(row.output or row.content)}: "
        f"{_escaped(row.why)}"
        for row in wrong[:MOST_LISTED]
    ]
    rest = len(wrong) - len(listed)
    more = [f"\n... and {rest} more in the table"] if rest else []
    return ["## Not done, and why", "", *listed, *more]


def _warnings(table: Table) -> list[str]:
    odd = table.with_warnings
    if not odd:
        return []
    listed = [
        f"* line {row.line}, {_escaped(row.output)}: {_escaped(row.warnings)}"
        for row in odd[:MOST_LISTED]
    ]
    rest = len(odd) - len(listed)
    more = [f"\n... and {rest} more in the table"] if rest else []
    return ["## Done, with warnings", "", *listed, *more]


def _first_to_look_at(table: Table) -> list[str]:
    """Return a section of the rows whose scores are lowest."""
    places = places_from_worst([(row.style_score, row.content_score) for row in table.rows])
    judged = [pair for pair in zip(places, table.rows, strict=True) if pair[0] is not None]
    if not judged:
        return []
    cells = [
        (row.line, row.output, score_text(row.style_score), score_text(row.content_score))
        for _, row in nsmallest(MOST_HIGHEST, judged, key=lambda pair: pair[0] or 0)
    ]
    names = ("line", "picture", "style score", "content score")
    return ["## Look at these first", "", *_table(names, cells), "", MEANING]


def _new_pictures(table: Table, output: OutputFolder) -> list[str]:
    """Return a few new pictures, inlined, because the page cannot show files of this machine."""
    new = table.with_status("done")[:MOST_PICTURES]
    pictures = {row.output: _inlined(row.picture, output) for row in new if row.picture}
    shown = {name: picture for name, picture in pictures.items() if picture}
    if not shown:
        return []
    # A table shows the pictures side by side.
    return ["## New pictures", "", *_drawn(map(_escaped, shown), [shown.values()])]


def _inlined(picture: str, output: OutputFolder) -> str:
    try:
        data = encode_jpeg(load(output.root / picture, size=PICTURE_SIDE).rgb)
    except PictureError:
        return ""
    return f"![{_escaped(picture)}](data:image/jpeg;base64,{base64.b64encode(data).decode()})"


def _changes(table: Table, gone: Sequence[str]) -> list[str]:
    counts = Counter(row.change for row in table.rows)
    counted = [f"{counts[change]} {change}" for change in CHANGES[2:] if counts[change]]
    counted += [f"{len(gone)} gone"] if gone else []
    if not counted:
        return []
    rows = list(_moved_most(table))
    losses = _table(("picture", "loss before", "loss now", "moved by"), rows) if rows else []
    names = ", ".join(map(_escaped, gone[:MOST_LISTED]))
    gone_names = [f"\nGone: {names}{', ...' if len(gone) > MOST_LISTED else ''}"] if gone else []
    return ["## Since the previous run", "", ", ".join(counted), "", *losses, *gone_names]


def _moved_most(table: Table) -> Iterator[tuple[str, str, str, str]]:
    """Yield the cells of the rows whose loss moved most."""
    moved = [
        (_share_moved(row.previous_loss, row.total_loss), row)
        for row in table.rows
        if row.change in ("changed", "moved")
        and row.previous_loss is not None
        and row.total_loss is not None
    ]
    for share, row in nlargest(MOST_HIGHEST, moved, key=lambda of_one: abs(of_one[0])):
        yield row.output, _short(row.previous_loss), _short(row.total_loss), f"{share:+.1%}"


def _share_moved(before: float, now: float) -> float:
    """Return the share by which a loss is higher than before, which may have been 0."""
    if before:
        return now / before - 1
    return math.inf if now else 0.0


def _numbers(table: Table) -> list[str]:
    done = table.stylized_here
    targets = Counter(row.style_targets for row in done)
    new = (
        f"* {counted_were(len(done), 'row')} stylized in {table.seconds:.0f} s, added up over all "
        f"devices: the style targets of {targets['computed']} were computed in this run, those of "
        f"{targets['hit']} were in the cache"
    )
    cached = f"* {counted_were(len(table.with_status('cached')), 'row')} already done"
    return ["## Numbers", "", cached, new]


def _highest(title: str, name: str, rows: Iterable[tuple[float | None, TableRow]]) -> list[str]:
    """Return a section of the rows with the highest numbers; `name` is what the numbers are."""
    known = [(number, row) for number, row in rows if number is not None]
    highest = [
        (row.line, row.output, _short(number), row.steps, row.device)
        for number, row in nlargest(MOST_HIGHEST, known, key=lambda of_one: of_one[0])
    ]
    if not highest:
        return []
    return [f"## {title}", "", *_table(("line", "picture", name, "steps", "device"), highest)]


def _table(names: Iterable[str], rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    """Yield a Markdown table of any texts and numbers."""
    return _drawn(names, ([_escaped(str(cell)) for cell in row] for row in rows))


def _drawn(names: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """Yield a Markdown table whose cells are Markdown already."""
    names = list(names)
    yield f"| {' | '.join(names)} |"
    yield f"|{' --- |' * len(names)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _short(number: float | None) -> str:
    return "" if number is None else f"{number:.4g}"


def _escaped(text: str) -> str:
    """Return a text on one line, escaped so that Markdown and its HTML show it literally."""
    in_a_line = " ".join(text.split())
    harmless = in_a_line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]()#!|~])", r"\\\1", harmless)
