"""The contact sheet, `contact_sheet.png`, made from the gallery's rows if they form a grid."""

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from urllib.parse import unquote

from nst_core.images.contact_sheet import LARGEST_CELL, Levels, Tile, contact_sheet, largest_cell
from nst_core.images.decoding import MAX_DECODING_THREADS
from nst_core.images.levels import to_levels
from nst_core.images.picture_files import PictureError
from nst_core.images.read import load
from nst_core.images.write import encode_png
from nst_core.storage.files import remove, write_atomic
from tasks.report.gallery.page import GalleryRow, Shown
from tasks.store.managed import is_marked
from tasks.store.output_folder import OutputFolder

logger = logging.getLogger("nst_batch.contact_sheet")


MARK = {"Software": "nst-batch contact sheet"}
"""The mark in its text chunks, so that no user's own picture is removed as an old contact sheet."""


def is_grid(rows: tuple[GalleryRow, ...]) -> bool:
    """Return whether each content is paired with each style exactly once, in two or more rows."""
    pairs = [(row.content.name, row.style.name) for row in rows]
    contents, styles = {content for content, _ in pairs}, {style for _, style in pairs}
    return len(pairs) == len(set(pairs)) == len(contents) * len(styles) > 1


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
    if is_grid(rows) and _fits(rows):
        write_atomic(path, _sheet(rows, output))
        return True
    if is_marked(path, MARK):
        remove(path)
    return False


def _fits(rows: tuple[GalleryRow, ...]) -> bool:
    contents = len({row.content.name for row in rows})
    styles = len({row.style.name for row in rows})
    if largest_cell(contents, styles):
        return True
    logger.info(
        "there is no contact sheet, because %d x %d pictures are too many", contents, styles
    )
    return False


def _sheet(rows: tuple[GalleryRow, ...], output: OutputFolder) -> bytes:
    contents = {row.content.name: row.content for row in rows}
    styles = {row.style.name: row.style for row in rows}
    down = {name: number for number, name in enumerate(contents)}
    across = {name: number for number, name in enumerate(styles)}
    with ThreadPoolExecutor(MAX_DECODING_THREADS) as pool:
        results = list(pool.map(lambda row: _result(row, output), rows))
        left = list(pool.map(lambda shown: _head(shown, output), contents.values()))
        top = list(pool.map(lambda shown: _head(shown, output), styles.values()))
    cells = {
        (down[row.content.name], across[row.style.name]): tile
        for row, tile in zip(rows, results, strict=True)
    }
    sheet = contact_sheet(left, top, cells)
    return encode_png(sheet, text=MARK)


def _head(shown: Shown, output: OutputFolder) -> Tile:
    return Tile(PurePosixPath(shown.name).name, _pixels(shown, output))


def _result(row: GalleryRow, output: OutputFolder) -> Tile:
    if row.result is None:
        return Tile(row.status, None)
    label = row.status if row.total_loss is None else f"{row.total_loss:.3g}"
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
