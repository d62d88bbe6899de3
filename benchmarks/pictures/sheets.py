"""Sheets of results: each with its content and its style beside it, and its scores below."""

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from benchmarks.pictures.catalog import Levels
from nst_core.images.resize import fit

CELL, INSET = 240, 76
"""The longest sides of a result and of the small pictures beside it, in pixels."""

GAP, LINE, FONT = 8, 17, 13
"""The space between pictures, and the height of lines of text and of their letters, in pixels."""

COLUMNS = 4


class Cell(NamedTuple):
    """A result: its pictures are sRGB, uint8, (height, width, 3)."""

    lines: Sequence[str]
    """What is written below it."""
    result: Levels
    insets: Sequence[Levels] = ()
    """Pictures beside it, from top to bottom."""


def sheet(cells: Sequence[Cell], columns: int = COLUMNS) -> Image.Image:
    """Return a picture of all cells, row by row.

    Raises:
        ValueError: there is no cell.
    """
    if not cells:
        raise ValueError("found no result, expected at least one for a sheet")
    rows = [cells[first : first + columns] for first in range(0, len(cells), columns)]
    heights = [max(map(_height, row)) for row in rows]
    tops = [*accumulate((height + GAP for height in heights), initial=GAP)]
    width = INSET + GAP // 2 + CELL
    drawn = Image.new("RGB", (GAP + min(columns, len(cells)) * (width + GAP), tops[-1]), "white")
    for row, top, height in zip(rows, tops, heights, strict=False):
        for number, cell in enumerate(row):
            _draw(drawn, cell, GAP + number * (width + GAP), top + height - LINE * len(cell.lines))
    return drawn


def _height(cell: Cell) -> int:
    beside = sum(_scaled(inset, INSET).height + GAP // 2 for inset in cell.insets)
    return max(_scaled(cell.result, CELL).height, beside) + LINE * len(cell.lines)


def _draw(drawn: Image.Image, cell: Cell, left: int, bottom: int) -> None:
    """Draw a cell whose pictures end at this row, so that its text is close to them."""
    pictures = [_scaled(inset, INSET) for inset in cell.insets]
    top = bottom
    for picture in reversed(pictures):
        top -= picture.height
        drawn.paste(picture, (left + INSET - picture.width, top))
        top -= GAP // 2
    result = _scaled(cell.result, CELL)
    left += INSET + GAP // 2
    drawn.paste(result, (left, bottom - result.height))
    pen, font = ImageDraw.Draw(drawn), ImageFont.load_default(FONT)
    for number, line in enumerate(cell.lines):
        pen.text((left, bottom + LINE * (number + 0.5)), line, "black", font, anchor="lm")


def _scaled(levels: Levels, side: int) -> Image.Image:
    height, width = fit(levels.shape[0], levels.shape[1], side, enlarge=True)
    return Image.fromarray(levels).resize((width, height), Image.Resampling.LANCZOS)
