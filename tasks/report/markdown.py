"""What Prefect's page shows of a batch that has ended: a Markdown report, and its first rows."""

import base64
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pandas as pd

from nst_core.images.pictures import PictureError, encode_jpeg, load
from nst_core.storage.places import Place, redacted
from tasks.report.comparison import CHANGES
from tasks.report.table import count_by_status, why_of, with_warnings
from tasks.report.write import Night
from tasks.store.layout import gallery_path, summary_path
from tasks.store.statuses import UNDONE

MOST_ROWS = 500
"""The most rows in the page's table, which the server's database stores and the browser draws."""

MOST_LISTED = 20
MOST_HIGHEST = 5
MOST_PICTURES = 6
PICTURE_SIDE = 192

SHOWN_COLUMNS = (
    *("line", "status", "output", "total_loss", "seconds", "change", "warnings", "error"),
    *("content", "style", "content_loss", "style_loss", "previous_loss"),
    *("stop_reason", "device", "style_targets"),
)
"""The columns on the page, the most important first, because it is not wide enough for all."""


def shown_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return as many rows as the page takes, those not done first; numbers have four digits."""
    wrong = table["status"].isin(UNDONE)
    first = pd.concat([table[wrong], table[~wrong]]).head(MOST_ROWS)
    return [{name: _plain(row[name]) for name in SHOWN_COLUMNS} for _, row in first.iterrows()]


def _plain(value: Any) -> Any:
    """Return a value in a form that JSON has."""
    if pd.isna(value):
        return ""
    return float(f"{value:.4g}") if isinstance(value, float) else value


def markdown_report(night: Night) -> str:
    """Return what came out, what failed and why, what changed, and what to look at first."""
    table = night.table
    parts = [
        [f"# {_escaped(night.manifest)}: {_counted(table)}"],
        _undone(table),
        _warnings(table),
        _new_pictures(table, night.output),
        _changes(table, night.gone),
        _numbers(table),
        _highest("Slowest rows", table[table["status"] == "done"], "seconds"),
        _highest("Highest losses", table, "total_loss"),
        [f"Gallery: {_escaped(redacted(gallery_path(night.output)))}"] if night.has_gallery else [],
        [f"Table: {_escaped(redacted(summary_path(night.output)))}"],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _counted(table: pd.DataFrame) -> str:
    counts = count_by_status(table)
    return ", ".join(f"{count} {status}" for status, count in counts.items())


def _undone(table: pd.DataFrame) -> list[str]:
    wrong = table[table["status"].isin(UNDONE)]
    if wrong.empty:
        return []
    # This is a list, because the page cuts off long table cells.
    listed = [
        f"* line {row['line']}, {row['status']}, {_escaped(row['output'] or row['content'])}: "
        f"{_escaped(why_of(row))}"
        for _, row in wrong.head(MOST_LISTED).iterrows()
    ]
    rest = len(wrong) - len(listed)
    more = [f"\n... and {rest} more in the table"] if rest else []
    return ["## Not done, and why", "", *listed, *more]


def _warnings(table: pd.DataFrame) -> list[str]:
    odd = with_warnings(table)
    if odd.empty:
        return []
    listed = [
        f"* line {row['line']}, {_escaped(row['output'])}: {_escaped(row['warnings'])}"
        for _, row in odd.head(MOST_LISTED).iterrows()
    ]
    rest = len(odd) - len(listed)
    more = [f"\n... and {rest} more in the table"] if rest else []
    return ["## Done, with warnings", "", *listed, *more]


def _new_pictures(table: pd.DataFrame, output: Place) -> list[str]:
    """Return a few new pictures, inlined, because the page cannot show files of this machine."""
    new = table[table["status"] == "done"].head(MOST_PICTURES)
    pictures = {row["output"]: _inlined(row["picture"], output) for _, row in new.iterrows()}
    shown = {name: picture for name, picture in pictures.items() if picture}
    if not shown:
        return []
    # A table shows the pictures side by side.
    return ["## New pictures", "", *_drawn(map(_escaped, shown), [shown.values()])]


def _inlined(picture: str, output: Place) -> str:
    try:
        data = encode_jpeg(load(output / picture, size=PICTURE_SIDE).rgb)
    except PictureError:
        return ""
    return f"![{_escaped(picture)}](data:image/jpeg;base64,{base64.b64encode(data).decode()})"


def _changes(table: pd.DataFrame, gone: Sequence[str]) -> list[str]:
    counts = {change: int((table["change"] == change).sum()) for change in CHANGES[2:]}
    told_counts = [f"{count} {change}" for change, count in counts.items() if count]
    told_counts += [f"{len(gone)} gone"] if gone else []
    if not told_counts:
        return []
    both = table[table["previous_loss"].notna() & table["change"].isin(["changed", "moved"])]
    moved = both.assign(by=both["total_loss"] / both["previous_loss"] - 1)
    moved = moved.sort_values("by", key=abs, ascending=False)
    rows = [
        (
            row["output"],
            _short(row["previous_loss"]),
            _short(row["total_loss"]),
            f"{row['by']:+.1%}",
        )
        for _, row in moved.head(MOST_HIGHEST).iterrows()
    ]
    losses = _table(("picture", "loss before", "loss now", "moved by"), rows) if rows else []
    names = ", ".join(map(_escaped, gone[:MOST_LISTED]))
    gone_names = [f"\nGone: {names}{', ...' if len(gone) > MOST_LISTED else ''}"] if gone else []
    return ["## Against the run before", "", ", ".join(told_counts), "", *losses, *gone_names]


def _numbers(table: pd.DataFrame) -> list[str]:
    done = table[(table["status"] == "done") & table["same_as"].isna()]
    targets = done["style_targets"].value_counts()
    new = (
        f"* {len(done)} rows are new, in {done['seconds'].sum():.0f} s of work: the style of "
        f"{targets.get('computed', 0)} was computed in this run, that of {targets.get('hit', 0)} "
        "was kept from an earlier one"
    )
    cached = f"* {(table['status'] == 'cached').sum()} rows were done before, and kept"
    return ["## Numbers", "", cached, new]


def _highest(title: str, table: pd.DataFrame, column: str) -> list[str]:
    """Return the rows with the highest numbers in a column."""
    highest = table[table[column].notna()].nlargest(MOST_HIGHEST, column)
    if highest.empty:
        return []
    rows = [
        (row["line"], row["output"], _short(row[column]), row["steps"], row["device"])
        for _, row in highest.iterrows()
    ]
    names = ("line", "picture", column.replace("_", " "), "steps", "device")
    return [f"## {title}", "", *_table(names, rows)]


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


def _short(number: float) -> str:
    return f"{number:.4g}"


def _escaped(text: str) -> str:
    """Return a text on one line, escaped so that Markdown and its HTML show it literally."""
    in_a_line = " ".join(text.split())
    harmless = in_a_line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]()#!|~])", r"\\\1", harmless)
