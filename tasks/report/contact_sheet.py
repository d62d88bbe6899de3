"""The contact sheet, `contact_sheet.png`, made from the gallery's rows if they form a grid.

It is a grid of contents and styles, of blends of styles, or of a sweep of settings.
"""

import logging
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from urllib.parse import unquote

import numpy as np

from nst_core.images.contact_sheet import LARGEST_CELL, Levels, Tile, contact_sheet, largest_cell
from nst_core.images.decoding import MAX_DECODING_THREADS
from nst_core.images.levels import from_levels, to_levels
from nst_core.images.picture_files import PictureError
from nst_core.images.read import load
from nst_core.images.resize import resize
from nst_core.images.write import encode_png
from nst_core.storage.files import remove, write_atomic
from nst_core.transfer.setting_types import parse_style_blend
from tasks.report.gallery.page import GalleryRow, Shown
from tasks.report.sweep_sheet import SweepGrid, sweep_grid
from tasks.store.managed import is_marked
from tasks.store.output_folder import OutputFolder
from tasks.store.style_cells import SEPARATOR

logger = logging.getLogger("nst_batch.contact_sheet")


MARK = {"Software": "nst-batch contact sheet"}
"""The mark in its text chunks, so that no user's own picture is removed as an old contact sheet."""


SMALLEST_HEAD = 128
"""The least width, in pixels, of a content beside its style in the sheet of a sweep."""

NOTHING = Tile("", np.full((1, 1, 3), 255, np.uint8))
"""A place in a contact sheet that stays empty."""


def is_grid(rows: tuple[GalleryRow, ...]) -> bool:
    """Return whether each content is paired with each style exactly once, in two or more rows.

    Blends of the same styles with other weights are different styles.
    """
    pairs = [(row.content.name, _column(row)) for row in rows]
    contents, styles = {content for content, _ in pairs}, {style for _, style in pairs}
    return len(pairs) == len(set(pairs)) == len(contents) * len(styles) > 1


def _column(row: GalleryRow) -> tuple[str, str]:
    """Return what the rows of one column have in common: the styles and their weights."""
    return row.style.name, row.blend


def side_of_square(rows: tuple[GalleryRow, ...]) -> int:
    """Return how many blends are on each side of a square, if rows are squares of blends.

    `nst-batch manifest --blend-steps` makes such squares of three or four styles.

    Args:
        rows: those of a grid.

    Returns:
        0 if they are not.
    """
    columns = dict.fromkeys(map(_column, rows))
    side = math.isqrt(len(columns))
    styles = {name for name, _ in columns}
    has_corners = all(row.blend.count(SEPARATOR) in (2, 3) for row in rows)
    is_square = side**2 == len(columns) and side > 1 and len(styles) == 1
    return side if is_square and has_corners else 0


def write_contact_sheet(rows: tuple[GalleryRow, ...], output: OutputFolder) -> bool:
    """Write the contact sheet if the batch is a grid; otherwise remove that of an earlier batch.

    Args:
        rows: the gallery's rows, whose thumbnails make up the sheet.
        output: the batch's output folder.

    Returns:
        Whether there is a sheet.

    Raises:
        OSError: the sheet cannot be written.
    """
    path = output.contact_sheet
    if is_grid(rows):
        if _fits(*_size(rows)):
            write_atomic(path, _sheet(rows, output))
            return True
    elif (grid := sweep_grid(rows)) and _fits(len(grid.down), len(grid.across)):
        write_atomic(path, _sheet_of_sweep(grid, output))
        return True
    if is_marked(path, MARK):
        remove(path)
    return False


def _fits(down: int, across: int) -> bool:
    if largest_cell(down, across):
        return True
    logger.info("there is no contact sheet, because %d x %d pictures are too many", down, across)
    return False


def _size(rows: tuple[GalleryRow, ...]) -> tuple[int, int]:
    """Return how many pictures are below and beside each other, without the heads."""
    contents, columns = len({row.content.name for row in rows}), len(set(map(_column, rows)))
    side = side_of_square(rows)
    return (contents * side, side) if side else (contents, columns)


def _sheet(rows: tuple[GalleryRow, ...], output: OutputFolder) -> bytes:
    contents = {row.content.name: row.content for row in rows}
    columns = {_column(row): row for row in rows}
    down = {name: number for number, name in enumerate(contents)}
    across = {name: number for number, name in enumerate(columns)}
    side = side_of_square(rows)
    with ThreadPoolExecutor(MAX_DECODING_THREADS) as pool:
        results = list(pool.map(lambda row: _result(row, output), rows))
        left = list(pool.map(lambda shown: _head(shown, output), contents.values()))
        if side:
            corners = [*columns.values()][: side : side - 1]
            top = [_head_of_blend(row, output) for row in corners]
        else:
            top = list(pool.map(lambda row: _head_of_blend(row, output), columns.values()))
    cells = {}
    for row, tile in zip(rows, results, strict=True):
        place = (down[row.content.name], across[_column(row)])
        if side:
            place = (place[0] * side + place[1] // side, place[1] % side)
            tile = Tile(_weights_label(row.blend), tile.rgb)
        cells[place] = tile
    if side:
        # The first two styles are above their corners, and each content beside its square.
        left = [tile for head in left for tile in (head, *[NOTHING] * (side - 1))]
        top = [top[0], *[NOTHING] * (side - 2), top[1]]
    return encode_png(contact_sheet(left, top, cells), text=MARK)


def _sheet_of_sweep(grid: SweepGrid, output: OutputFolder) -> bytes:
    with ThreadPoolExecutor(MAX_DECODING_THREADS) as pool:
        tiles = list(pool.map(lambda row: _result(row, output), grid.cells.values()))
        sides = [max(tile.rgb.shape[:2]) for tile in tiles if tile.rgb is not None]
        width = max([SMALLEST_HEAD, *sides])
        heads = range(len(grid.down))
        left = list(pool.map(lambda line: _head_of_line(grid, line, width, output), heads))
    # Losses with other weights cannot be compared, so they are not shown.
    labels = [
        grid.across[column] if tile.rgb is not None else f"{grid.across[column]}: {tile.label}"
        for (_, column), tile in zip(grid.cells, tiles, strict=True)
    ]
    cells = {
        place: Tile(label, tile.rgb)
        for place, label, tile in zip(grid.cells, labels, tiles, strict=True)
    }
    top = [Tile(label, NOTHING.rgb) for label in grid.across]
    return encode_png(contact_sheet(left, top, cells), text=MARK)


def _head_of_line(grid: SweepGrid, line: int, width: int, output: OutputFolder) -> Tile:
    """Return the head of a line: the whole content beside its whole style, together this wide."""
    (content, style), settings = grid.down[line]
    names = " in ".join(PurePosixPath(name).stem for name in (content, style))
    row = grid.first(line)
    shown = (_pixels(each, output) for each in (row.content, row.style))
    pictures = [picture for picture in shown if picture is not None]
    aspects = [picture.shape[1] / picture.shape[0] for picture in pictures]
    height = max(1, min(width, round(width / sum(aspects)))) if aspects else 1
    parts = [
        to_levels(resize(from_levels(picture), height, max(1, round(height * aspect))))
        for picture, aspect in zip(pictures, aspects, strict=True)
    ]
    label = f"{names}, {settings}" if settings else names
    return Tile(label, np.concatenate(parts, axis=1) if parts else None)


def _head(shown: Shown, output: OutputFolder) -> Tile:
    return Tile(PurePosixPath(shown.name).name, _pixels(shown, output))


def _head_of_blend(row: GalleryRow, output: OutputFolder) -> Tile:
    """Return the head of a column: a style, or several side by side, as wide as they weigh."""
    styles = row.shown_styles
    if len(styles) == 1:
        return _head(styles[0], output)
    given = parse_style_blend(row.blend) or (1.0,) * len(styles)
    names = " + ".join(PurePosixPath(shown.name).name for shown in styles)
    label = _weights_label(row.blend) if row.blend else names
    # Styles without a weight are not among those that are shown.
    weights = [weight for weight in given if weight]
    if len(weights) != len(styles):
        return Tile(label, None)
    pictures = [_pixels(shown, output) for shown in styles]
    parts = [
        _strip(picture, round(LARGEST_CELL * weight / sum(weights)))
        for picture, weight in zip(pictures, weights, strict=True)
        if picture is not None
    ]
    return Tile(label, np.concatenate(parts, axis=1) if parts else None)


def _weights_label(blend: str) -> str:
    """Return weights with as few digits as are worth reading."""
    return "; ".join(f"{weight:.3g}" for weight in parse_style_blend(blend))


def _strip(picture: Levels, width: int) -> Levels:
    """Return the middle of a picture, scaled to the height of a cell, in this width."""
    height, _, _ = picture.shape
    whole = max(width, round(picture.shape[1] * LARGEST_CELL / height), 1)
    scaled = resize(from_levels(picture), LARGEST_CELL, whole)
    left = (whole - width) // 2
    return to_levels(scaled[:, left : left + width])


def _result(row: GalleryRow, output: OutputFolder) -> Tile:
    if row.result is None:
        return Tile(row.status, None)
    label = row.status if row.total_loss is None else f"loss {row.total_loss:.3g}"
    return Tile(label, _pixels(row.result, output))


def _pixels(shown: Shown, output: OutputFolder) -> Levels | None:
    if not shown.thumbnail:
        return None
    try:
        rgb = load(output.root / unquote(shown.thumbnail), size=LARGEST_CELL).rgb
    except PictureError as error:
        logger.warning("not shown in the contact sheet: %s", error)
        return None
    return to_levels(rgb)
