"""Plots of loss curves, as PNG and SVG."""

import io
from collections.abc import Mapping, Sequence
from itertools import cycle, groupby
from typing import TYPE_CHECKING

from nst_core.storage.files import write_atomic
from nst_core.storage.places import Place
from nst_core.transfer.losses.terms import LOSS_TERMS
from tasks.report.shown_terms import label_of
from tasks.store.curves import Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg")
MOST_NAMED = 12
"""The most rows in a legend; the colors of more could not be distinguished."""

# Color-blind people can distinguish these, too (Okabe and Ito 2008).
TOTAL = "#000000"
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""The colors of the loss terms, in their order."""


def plot_row(points: Sequence[Point], weights: Mapping[str, float], title: str) -> "Figure":
    """Plot a row's losses, step by step, each times its weight, so that they add up to the total.

    Args:
        points: the points of its loss curve; at least one.
        weights: the weights of the loss terms, by name.
        title: the title of the plot.
    """
    figure, axes = _empty(title)
    octaves = [list(octave) for _, octave in groupby(points, key=lambda point: point.octave)]
    for number, octave in enumerate(octaves):
        _plot_losses(axes, octave, weights, is_first=number == 0)
        _mark_start(axes, octave[0])
    axes.set_ylabel("loss x weight")
    axes.legend(frameon=False, fontsize=9)
    return figure


def _plot_losses(
    axes: "Axes", octave: Sequence[Point], weights: Mapping[str, float], *, is_first: bool
) -> None:
    """Plot the losses of an octave; only those of the first one are named in the legend."""
    steps = [point.step for point in octave]
    lines = {"total": ([point.total_loss for point in octave], TOTAL)}
    for term, color in zip(LOSS_TERMS, cycle(COLORS), strict=False):
        # The curves of earlier versions may lack a term.
        if term in octave[0].term_losses:
            weighted = [weights[term] * point.term_losses[term] for point in octave]
            lines[label_of(term)] = (weighted, color)
    for name, (losses, color) in lines.items():
        if any(losses):
            axes.plot(
                *(steps, losses),
                color=color,
                linewidth=2 if name == "total" else 1.2,
                marker="." if len(octave) == 1 else None,
                label=f"{name} loss" if is_first else None,
            )


def _mark_start(axes: "Axes", first: Point) -> None:
    """Mark where an octave begins, with its size in pixels."""
    axes.axvline(first.step, color="0.8", linewidth=0.8, zorder=0)
    axes.annotate(
        f"{first.width} x {first.height}",
        (first.step, 1),
        xycoords=("data", "axes fraction"),
        xytext=(3, -3),
        textcoords="offset points",
        va="top",
        fontsize=8,
        color="0.4",
    )


def plot_rows(curves: Mapping[str, Sequence[Point]], title: str) -> "Figure":
    """Plot the total losses of many rows, step by step.

    Args:
        curves: the loss curves, by the names of the rows.
        title: the title of the plot.
    """
    figure, axes = _empty(title)
    is_named = len(curves) <= MOST_NAMED
    for number, (name, points) in enumerate(curves.items()):
        # Matplotlib leaves labels that begin with an underscore out of the legend.
        label = f" {name}"
        for _, octave in groupby(points, key=lambda point: point.octave):
            shown = list(octave)
            axes.plot(
                [point.step for point in shown],
                [point.total_loss for point in shown],
                color=f"C{number % 10}",
                linestyle="-" if number < 10 else "--",
                linewidth=1.5 if is_named else 0.7,
                alpha=1 if is_named else 0.5,
                label=label if is_named else None,
            )
            label = "_"
    axes.set_ylabel("total loss")
    if is_named and curves:
        for text in axes.legend(frameon=False, fontsize=8).get_texts():
            text.set_parse_math(False)
    return figure


def _empty(title: str) -> "tuple[Figure, Axes]":
    # Pyplot is not used, because it keeps figures forever.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=11, loc="left", parse_math=False, wrap=True)
    # Zeros are masked, because a content loss begins with 0 if the content is the start.
    axes.set_yscale("log", nonpositive="mask")
    axes.set_xlabel("step")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.92")
    return figure, axes


def write_plot(figure: "Figure", paths: Sequence[Place]) -> None:
    """Write a plot, each file in the format of its suffix.

    Raises:
        OSError: a file cannot be written.
    """
    from matplotlib import rc_context

    for path in paths:
        data = io.BytesIO()
        # This makes equal plots give equal files.
        with rc_context({"svg.hashsalt": "nst-batch"}):
            date = {"Date": None} if path.suffix == ".svg" else None
            figure.savefig(data, format=path.suffix[1:], dpi=150, metadata=date)
        write_atomic(path, data.getvalue())
