"""Plots of loss curves."""

import io
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from nst_core.transfer.losses.terms import LOSS_TERMS
from tasks.report.plots import MOST_NAMED, plot_row, plot_rows, write_plot
from tasks.store.curves import Point

POINTS = [
    Point(1, 32, 24, 0, 1, 2.0, {"content": 0.0, "style": 2.0, "tv": 0.5}),
    Point(1, 32, 24, 10, 12, 1.5, {"content": 10.0, "style": 0.5, "tv": 0.5}),
    Point(2, 64, 48, 10, 13, 3.0, {"content": 8.0, "style": 2.2, "tv": 0.0}),
    Point(2, 64, 48, 20, 24, 0.8, {"content": 6.0, "style": 0.2, "tv": 0.0}),
]
WEIGHTS = {"content": 0.1, "style": 1.0, "tv": 0.0}


def lines_of(figure: object, label: str) -> list[tuple[list[float], list[float]]]:
    """Return the lines in the color of a label: octaves, without the marks between them."""
    (axes,) = figure.axes  # type: ignore[attr-defined]
    drawn = [
        line for line in axes.get_lines() if len(line.get_xdata()) and line.get_linewidth() >= 1
    ]
    color = next(line.get_color() for line in drawn if line.get_label() == label)
    return [
        (list(line.get_xdata()), list(line.get_ydata()))
        for line in drawn
        if line.get_color() == color
    ]


def test_weighted_losses_add_up_at_each_size() -> None:
    figure = plot_row(POINTS, WEIGHTS, "a title")
    assert lines_of(figure, "total loss") == [([0, 10], [2.0, 1.5]), ([10, 20], [3.0, 0.8])]
    assert lines_of(figure, "content loss") == [
        ([0, 10], [0.0, 1.0]),
        ([10, 20], [pytest.approx(0.8), pytest.approx(0.6)]),
    ]
    (axes,) = figure.axes
    assert {text.get_text() for text in axes.texts} == {"32 x 24", "64 x 48"}
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["total loss", "content loss", "style loss"], "a weight of 0 has no line"


def test_every_term_has_a_line_of_its_own_color_if_the_curve_has_the_term() -> None:
    names = ["total loss", "content loss", "style loss", "smoothness loss"]
    figure = plot_row(POINTS, dict.fromkeys(LOSS_TERMS, 1.0), "a title")
    (axes,) = figure.axes
    legend = axes.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == names
    assert len({line.get_color() for line in legend.get_lines()}) == len(names)
    earlier = [
        point._replace(term_losses={"content": 1.0, "style": point.term_losses["style"]})
        for point in POINTS
    ]
    figure = plot_row(earlier, dict.fromkeys(LOSS_TERMS, 1.0), "a title")
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == names[:-1]


@pytest.mark.parametrize("count", [1, MOST_NAMED, MOST_NAMED + 1])
def test_rows_are_named_unless_there_are_too_many(count: int, tmp_path: Path) -> None:
    figure = plot_rows({f"_{number}$x$.png": POINTS for number in range(count)}, "a title")
    (axes,) = figure.axes
    assert len(axes.get_lines()) == 2 * count
    legend = axes.get_legend()
    named = [] if legend is None else [text.get_text().strip() for text in legend.get_texts()]
    assert named == (
        [f"_{number}$x$.png" for number in range(count)] if count <= MOST_NAMED else []
    )
    write_plot(figure, [tmp_path / "p.png"])


def test_files_are_complete_and_reproducible(tmp_path: Path) -> None:
    title = "$x_{ & <b> ]]> \u00e9"
    for folder in ("one", "two"):
        paths = [tmp_path / folder / name for name in ("p.png", "p.svg")]
        write_plot(plot_row(POINTS, WEIGHTS, title), paths)
    png, svg = ((tmp_path / "one" / name).read_bytes() for name in ("p.png", "p.svg"))
    assert svg == (tmp_path / "two" / "p.svg").read_bytes()
    ElementTree.fromstring(svg)
    picture = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    assert picture.shape == (750, 1200, 3)
    assert (picture == 255).mean() > 0.5, "white paper"
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 50, "and something on it"
