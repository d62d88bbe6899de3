"""Contact sheets: all results in one picture, a row for each content, a column for each style."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from nst_core.images.resize import fit

Levels = NDArray[np.uint8]

LARGEST_CELL, SMALLEST_CELL = 256, 48
LONGEST_SIDE = 16_000
"""In pixels; viewers refuse larger pictures or have trouble with them."""

GAP = 8
LABEL = 18
PAPER, INK, PALE = (255, 255, 255), (40, 40, 40), (238, 238, 238)


@dataclass(frozen=True)
class Tile:
    """A picture and the label below it.

    Attributes:
        label: text of any length; the middle of a long text is left out.
        rgb: sRGB, uint8, (height, width, 3); None if there is no picture.
    """

    label: str
    rgb: Levels | None


def largest_cell(contents: int, styles: int) -> int:
    """Return the longest side, in pixels, that pictures may have in a sheet of this many pictures.

    Returns:
        0 if the pictures would be too small to see anything.
    """
    room = LONGEST_SIDE // (1 + max(contents, styles)) - GAP - LABEL
    return min(LARGEST_CELL, room) if room >= SMALLEST_CELL else 0


def contact_sheet(
    contents: Sequence[Tile], styles: Sequence[Tile], results: Mapping[tuple[int, int], Tile]
) -> Levels:
    """Return the sheet, with the styles in its first row and the contents in its first column.

    Args:
        contents, styles: in order, and not too many for `largest_cell`.
        results: by the indices of content and style; cells may be missing.

    Returns:
        uint8 (height, width, 3).

    Raises:
        ValueError: there are too many contents or styles.
    """
    room = largest_cell(len(contents), len(styles))
    if not room:
        raise ValueError(f"found {len(contents)} x {len(styles)} pictures, expected fewer")
    tiles = {(0, 1 + number): tile for number, tile in enumerate(styles)}
    tiles |= {(1 + number, 0): tile for number, tile in enumerate(contents)}
    tiles |= {(1 + row, 1 + column): tile for (row, column), tile in results.items()}
    cell = min(room, max(SMALLEST_CELL, _longest_side([*contents, *results.values()])))
    heights = [0] * (1 + len(contents))
    for (row, _), tile in tiles.items():
        heights[row] = max(heights[row], _fitted(tile, cell)[0])
    tops = list(accumulate((height + LABEL + GAP for height in heights), initial=GAP))
    sheet = Image.new("RGB", (GAP + (cell + GAP) * (1 + len(styles)), tops[-1]), PAPER)
    for (row, column), tile in tiles.items():
        _place(sheet, tile, GAP + column * (cell + GAP), tops[row] + heights[row], cell)
    return np.asarray(sheet)


def _longest_side(tiles: Sequence[Tile]) -> int:
    sides = [max(tile.rgb.shape[:2]) for tile in tiles if tile.rgb is not None]
    return min(LARGEST_CELL, max(sides, default=LARGEST_CELL))


def _fitted(tile: Tile, cell: int) -> tuple[int, int]:
    """Return the tile's height and width in the sheet."""
    if tile.rgb is None:
        return cell // 2, cell
    tall, wide = tile.rgb.shape[:2]
    return fit(tall, wide, cell)


def _place(sheet: Image.Image, tile: Tile, left: int, bottom: int, cell: int) -> None:
    """Draw a tile, aligned at the bottom so that the label is close to its picture."""
    height, width = _fitted(tile, cell)
    draw = ImageDraw.Draw(sheet)
    if tile.rgb is None:
        draw.rectangle((left, bottom - height, left + width - 1, bottom - 1), fill=PALE)
    else:
        picture = Image.fromarray(tile.rgb).resize((width, height), Image.Resampling.LANCZOS)
        sheet.paste(picture, (left + (cell - width) // 2, bottom - height))
    font = ImageFont.load_default(max(9.0, min(13.0, cell / 12)))
    label = _shortened(tile.label, font, cell)
    draw.text((left + cell / 2, bottom + LABEL / 2), label, fill=INK, font=font, anchor="mm")


def _shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """Cut as much from the middle of a text as is needed to make it fit."""
    if font.getlength(text) <= width:
        return text
    for length in range(len(text) - 1, 1, -1):
        cut = f"{text[: (length + 1) // 2]}...{text[len(text) - length // 2 :]}"
        if font.getlength(cut) <= width:
            return cut
    return ""
