"""`nst-batch plot`: loss curves as pictures."""

from pathlib import PurePosixPath
from typing import Any

import pandas as pd

from flows.cli.exit_codes import SUCCESS
from flows.cli.terminal import Terminal, refuse
from nst_core.errors import UserError
from nst_core.storage.places import Place, name_of, redacted
from tasks.report.finding import NoResultsError, find_row, table_of
from tasks.report.plots import SUFFIXES, plot_row, plot_rows, write_plot
from tasks.store.curves import Point, read_curve
from tasks.store.layout import all_curves_path, plot_path


def plot(terminal: Terminal, output: Place, named: str | None) -> int:
    """Plot a row's losses, or the total losses of all rows."""
    try:
        table = table_of(output)
        paths = _plot_all(table, output) if named is None else _plot_one(table, output, named)
    except UserError as error:
        return refuse(terminal, error)
    except OSError as error:
        wrong = f"{error.filename}: cannot be read or written: {error.strerror}"
        return refuse(terminal, NoResultsError(wrong))
    for path in paths:
        terminal.say(redacted(path))
    terminal.result({path.suffix[1:]: str(path) for path in paths})
    return SUCCESS


def _plot_one(table: pd.DataFrame, output: Place, named: str) -> list[Place]:
    row = find_row(table, output, named)
    if not _has_curve(row):
        raise NoResultsError(
            f"{redacted(output)}: line {row['line']}, {row['output']}, has no loss curve; found "
            f"the status {row['status']!r}: {row['error'] or 'its curve no longer exists'}"
        )
    weights = {name: row[f"{name}_weight"] for name in ("content", "style", "tv")}
    pair = " x ".join(PurePosixPath(row[column]).name for column in ("content", "style"))
    title = f"{row['output']}: {pair}, loss {row['total_loss']:.4g}"
    figure = plot_row(_points(row, output), weights, title)
    paths = [plot_path(output, row["output"], suffix) for suffix in SUFFIXES]
    write_plot(figure, paths)
    return paths


def _plot_all(table: pd.DataFrame, output: Place) -> list[Place]:
    rows = [row for _, row in table.iterrows() if _has_curve(row)]
    if not rows:
        raise NoResultsError(f"{redacted(output)}: none of its {len(table)} rows has a loss curve")
    curves = {row["output"]: _points(row, output) for row in rows}
    figure = plot_rows(curves, f"{name_of(output.absolute())}: {len(rows)} rows")
    paths = [all_curves_path(output, suffix) for suffix in SUFFIXES]
    write_plot(figure, paths)
    return paths


def _has_curve(row: "pd.Series[Any]") -> bool:
    return bool(row["curve"]) and not pd.isna(row["curve"])


def _points(row: "pd.Series[Any]", output: Place) -> list[Point]:
    return read_curve(output / row["curve"])
