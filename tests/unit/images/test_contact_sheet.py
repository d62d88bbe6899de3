"""The contact sheet: every picture in its place."""

import numpy as np
import pytest

from nst_core.images import contact_sheet as module
from nst_core.images.contact_sheet import PALE, SMALLEST_CELL, Tile, contact_sheet
from tasks.report.contact_sheet import is_grid
from tests.gallery_rows import row


def plain(color: tuple[int, int, int], height: int = 40, width: int = 60) -> np.ndarray:
    return np.full((height, width, 3), color, np.uint8)


def center_and_count(sheet: np.ndarray, color: tuple[int, int, int]) -> tuple[float, float, int]:
    """Return the center of the pixels of exactly this color, and their number."""
    found = np.argwhere((sheet == color).all(axis=-1))
    return (*found.mean(axis=0), len(found))


COLORS = {
    "content a": (200, 0, 0),
    "content b": (0, 200, 0),
    "style s": (0, 0, 200),
    "style t": (200, 200, 0),
    "a s": (200, 0, 200),
    "a t": (0, 200, 200),
    "b s": (100, 50, 0),
}


def test_contents_are_rows_and_styles_are_columns() -> None:
    tiles = {name: Tile(name, plain(color)) for name, color in COLORS.items()}
    sheet = contact_sheet(
        [tiles["content a"], tiles["content b"]],
        [tiles["style s"], tiles["style t"]],
        {
            (0, 0): tiles["a s"],
            (0, 1): tiles["a t"],
            (1, 0): tiles["b s"],
            (1, 1): Tile("failed", None),
        },
    )
    assert sheet is not None
    seen = {name: center_and_count(sheet, color) for name, color in COLORS.items()}
    assert all(count >= 0.9 * 40 * 60 for _, _, count in seen.values())
    rows = [("style s", "style t"), ("content a", "a s", "a t"), ("content b", "b s")]
    for names in rows:
        assert len({round(seen[name][0]) for name in names}) == 1, "not in a line"
    columns = [("content a", "content b"), ("style s", "a s", "b s"), ("style t", "a t")]
    for names in columns:
        assert len({round(seen[name][1]) for name in names}) == 1, "not one below the other"
    tops = [seen[name][0] for name in ("style s", "content a", "content b")]
    lefts = [seen[name][1] for name in ("content a", "style s", "style t")]
    assert tops == sorted(tops)
    assert lefts == sorted(lefts)
    assert center_and_count(sheet, PALE)[2] > 500, "a row that failed has an empty field"


def test_labels_are_drawn_and_cut_to_their_cells() -> None:
    long = Tile("a-very-long-name-that-cannot-fit-in-so-small-a-cell-of-a-contact-sheet.png", None)
    sheet = contact_sheet([long], [Tile("s", None)], {(0, 0): Tile("0.123", None)})
    empty = contact_sheet([Tile("", None)], [Tile("", None)], {(0, 0): Tile("", None)})
    assert sheet is not None
    assert empty is not None
    assert sheet.shape == empty.shape
    changed = np.argwhere((sheet != empty).any(axis=-1))
    left = changed[changed[:, 1] < sheet.shape[1] // 2]
    assert len(left) > 100
    assert left[:, 1].max() - left[:, 1].min() <= module.LARGEST_CELL


@pytest.mark.parametrize(("side", "is_made"), [(150, True), (300, False)])
def test_a_sheet_that_would_be_too_large_is_not_made(side: int, is_made: bool) -> None:
    contents = [Tile("", plain((9, 9, 9), 64, 64))] * side
    assert bool(module.largest_cell(side, 1)) == is_made
    if not is_made:
        with pytest.raises(ValueError, match=f"found {side} x 1 pictures"):
            contact_sheet(contents, contents[:1], {})
        return
    sheet = contact_sheet(contents, contents[:1], {})
    assert max(sheet.shape) <= module.LONGEST_SIDE
    assert max(sheet.shape) >= side * SMALLEST_CELL


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        (["as", "at", "bs", "bt"], True),
        (["bt", "as", "at", "bs"], True),
        (["as", "bs"], True),
        (["as", "at"], True),
        (["as"], False),
        (["as", "bt"], False),
        (["as", "at", "bs"], False),
        (["as", "at", "bs", "bt", "bt"], False),
        ([], False),
    ],
)
def test_complete_grids_are_recognized(pairs: list[str], expected: bool) -> None:
    rows = tuple(row(content=pair[0], style=pair[1]) for pair in pairs)
    assert is_grid(rows) is expected
