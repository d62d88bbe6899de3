"""Paper cutouts: leaves and seaweed, cut with scissors from painted paper and pinned on panels."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, shift

from nst_core.samples.paintings.fields import (
    SUPERSAMPLING,
    Picture,
    Reals,
    canvas_grid,
    noise,
    palette,
    to_picture,
)

SHEETS = palette("f6efdf", "f4b41e", "e5482a", "1f4fae", "0e7a5a", "15182c", "ee90b4", "5ab8da")
"""The painted sheets of paper, from which panels and shapes are cut."""

BACKGROUNDS = ((0, 3, 2), (1, 5, 6), (3, 0, 4), (7, 2, 0))
"""Sheets that look well side by side: each row of panels has one of these, in its order."""

PANELS = 3
"""The number of rows and of columns of panels."""

SHADOW = 0.005
"""How far a shape's shadow falls, in units of the picture's side."""


class Leaf(NamedTuple):
    """A leaf with round lobes on both sides of its stem."""

    middle: tuple[float, float]
    turn: float
    """The direction of its stem, in radians."""
    length: float
    lobes: float
    """The number of lobes on each side."""
    narrow: float
    """How wide it is between two lobes, as a share of its width there."""
    bend: float
    paper: int


def cutouts(size: int, seed: int) -> Picture:
    """Pin the cutouts as (size, size, 3) uint8 sRGB."""
    rng = np.random.default_rng(seed)
    x, y = canvas_grid(size)
    hand = noise(rng, 16)(x, y)
    columns, rows = _borders(rng), _borders(rng)
    panels = _panels(columns, rows, x + 0.002 * hand, y + 0.002 * hand, rng)
    sheet, shade = panels, np.ones_like(x)
    for leaf in _leaves(columns, rows, panels, rng):
        inside = _inside(leaf, x, y, hand)
        shade = np.where(inside, 1.0, shade * _shade(inside, size))
        sheet = np.where(inside, leaf.paper, sheet)
    brushed = noise(rng, 30, 2)((x + 0.2 * y) % 1, y / 6) + 0.5 * noise(rng, 110)(x, y)
    return to_picture(SHEETS[sheet] * shade[..., None] + 0.022 * brushed[..., None])


def _borders(rng: np.random.Generator) -> Reals:
    """Return where panels begin and end along a side, from 0 to 1."""
    widths = rng.uniform(0.8, 1.25, PANELS)
    return np.concatenate([[0.0], np.cumsum(widths) / widths.sum()])


def _panels(
    columns: Reals, rows: Reals, x: Reals, y: Reals, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return which sheet of paper each pixel's panel is."""
    order = rng.permutation(len(BACKGROUNDS))[:PANELS]
    papers = np.array([np.roll(BACKGROUNDS[row], rng.integers(PANELS)) for row in order])
    column = np.searchsorted(columns[1:-1], x)
    row = np.searchsorted(rows[1:-1], y)
    return np.asarray(papers[row, column], np.int64)


def _leaves(
    columns: Reals, rows: Reals, panels: NDArray[np.int64], rng: np.random.Generator
) -> Iterator[Leaf]:
    """Yield a large leaf on each panel, with small ones around it, from papers unlike the panel."""
    side = len(panels)
    for row in range(PANELS):
        for column in range(PANELS):
            left, right, top, bottom = *columns[column : column + 2], *rows[row : row + 2]
            middle = ((left + right) / 2, (top + bottom) / 2)
            panel = int(panels[int(side * middle[1]), int(side * middle[0])])
            others = [paper for paper in rng.permutation(len(SHEETS)) if paper != panel]
            room = min(right - left, bottom - top)
            turn = rng.uniform(0, 2 * np.pi)
            yield _leaf(middle, turn, 1.05 * room, int(others[0]), rng)
            for corner in range(4):
                angle = turn + np.pi / 4 + corner * np.pi / 2
                away = 0.40 * room
                place = (middle[0] + away * np.cos(angle), middle[1] + away * np.sin(angle))
                paper = int(others[1 + corner % 2])
                yield _leaf(place, angle + np.pi / 2, rng.uniform(0.36, 0.5) * room, paper, rng)


def _leaf(
    middle: tuple[float, float], turn: float, length: float, paper: int, rng: np.random.Generator
) -> Leaf:
    lobes, narrow = rng.uniform(4, 7), rng.uniform(0.12, 0.26)
    return Leaf(middle, turn, length, lobes, narrow, rng.uniform(-0.35, 0.35), paper)


def _inside(leaf: Leaf, x: Reals, y: Reals, hand: Reals) -> NDArray[np.bool_]:
    """Return which pixels the leaf covers."""
    right, down = x - leaf.middle[0], y - leaf.middle[1]
    along = (right * np.cos(leaf.turn) + down * np.sin(leaf.turn)) / leaf.length
    across = (down * np.cos(leaf.turn) - right * np.sin(leaf.turn)) / leaf.length
    across = across - leaf.bend * (along**2 - 0.08)
    # Lobes point toward the tip, where the last one is.
    phase = np.pi * leaf.lobes * (along - 0.5 - 0.8 * np.abs(across)) + 1.2
    width = 0.52 * np.sqrt((0.5 + along).clip(0)) * (0.5 - along).clip(0) ** 0.4
    lobed = width * (leaf.narrow + (1 - leaf.narrow) * np.abs(np.sin(phase)))
    return np.asarray(np.abs(across) < lobed + 0.012 * hand * (np.abs(along) < 0.5))


def _shade(inside: NDArray[np.bool_], size: int) -> Reals:
    """Return the light, in [0, 1], that a shape leaves on the paper below it."""
    away = SHADOW * size * SUPERSAMPLING
    fallen = shift(inside.astype(np.float64), (away, away), order=1)
    return np.asarray(1 - 0.35 * gaussian_filter(fallen, 0.7 * away))
