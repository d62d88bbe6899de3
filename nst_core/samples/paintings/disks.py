"""Large disks of color: rings in quarters that glow against each other, in thin dry paint."""

from typing import NamedTuple

import numpy as np

from nst_core.samples.paintings.fields import (
    Field,
    Picture,
    Reals,
    blend,
    canvas_grid,
    noise,
    palette,
    smoothstep,
    to_picture,
)

PIGMENTS = palette(
    "f5e9c9", "f6c531", "ef7d22", "d92f2f", "a01f4a", "5b2a80",
    "24479c", "2b8cc4", "2f9e7a", "93b83c", "1d2233", "e9a6b4",
)  # fmt: skip
CENTERS = ((0.34, 0.36), (0.80, 0.74), (0.86, 0.08), (0.10, 0.95))
RINGS = (14, 7, 5)
"""The number of rings of the first disk, of the second, and of all others."""

RING_WIDTH = 0.074
"""The mean width of a ring, in units of the picture's side."""

SECTORS = 4


class Disk(NamedTuple):
    """A disk of rings, each in quarters."""

    x: float
    y: float
    radii: Reals
    """The outer radius of each ring, in units of the picture's side."""
    turn: float
    """The direction in which the first sector begins, in turns."""
    colors: Reals
    """(rings, SECTORS, 3)."""


def disks(size: int, seed: int) -> Picture:
    """Paint the disks as (size, size, 3) uint8 sRGB."""
    rng = np.random.default_rng(seed)
    x, y = canvas_grid(size)
    hand_x, hand_y = noise(rng, 7, 3), noise(rng, 7, 3)
    steady_x, steady_y = x + 0.004 * hand_x(x, y), y + 0.004 * hand_y(x, y)
    streaks, grain = noise(rng, 34, 2), noise(rng, 130)
    canvas = np.zeros((*x.shape, 3))
    for number, disk in enumerate(_disks(rng)):
        painted, depth = _painted(disk, steady_x, steady_y, streaks, grain)
        opacity = smoothstep(0, 0.002, depth) if number else np.ones_like(x)
        canvas = blend(canvas, painted, opacity)
    return to_picture(canvas)


def _disks(rng: np.random.Generator) -> list[Disk]:
    """Return the disks from back to front; the first one reaches beyond the picture."""
    found = []
    for number, center in enumerate(CENTERS):
        place = np.array(center) + rng.uniform(-0.05, 0.05, 2)
        rings = RINGS[min(number, len(RINGS) - 1)]
        radii = np.cumsum(RING_WIDTH * rng.uniform(0.65, 1.4, rings))
        colors = _colors(rings, rng)
        turn = float(rng.uniform(-0.3, 0.3))
        found.append(Disk(float(place[0]), float(place[1]), radii, turn, colors))
    return found


def _colors(rings: int, rng: np.random.Generator) -> Reals:
    """Return colors so that no two neighbors, across or along a ring, are the same."""
    found = np.zeros((rings, SECTORS), np.int64)
    for ring in range(rings):
        for sector in range(SECTORS):
            taken = {found[ring - 1, sector]} if ring else set()
            if sector:
                taken |= {found[ring, sector - 1], found[ring, 0]}
            free = [color for color in range(len(PIGMENTS)) if color not in taken]
            found[ring, sector] = rng.choice(free)
    return np.asarray(PIGMENTS[found])


def _painted(disk: Disk, x: Reals, y: Reals, streaks: Field, grain: Field) -> tuple[Reals, Reals]:
    """Return the colors of a disk, as if it had no end, and the distance to its edge.

    The paint is brushed around the center: it is streaked along the rings, thinner at their
    edges, and each ring turns lighter from one side of a sector to the other.
    """
    right, down = x - disk.x, y - disk.y
    radius = np.hypot(right, down)
    around = (np.arctan2(down, right) / (2 * np.pi) + disk.turn) % 1
    ring = np.minimum(np.searchsorted(disk.radii, radius), len(disk.radii) - 1)
    sector = (around * SECTORS).astype(np.int64) % SECTORS
    color = disk.colors[ring, sector]
    inner = np.concatenate([[0.0], disk.radii])[ring]
    within = ((radius - inner) / (disk.radii[ring] - inner)).clip(0, 1)
    along = (around * SECTORS) % 1
    brushed = streaks((3.0 * radius) % 1, (0.6 * around + 0.31 * ring) % 1)
    light = 0.10 * (along - 0.5) - 0.07 * within + 0.055 * brushed + 0.035 * grain(x, y)
    edge = np.minimum(within, 1 - within) * (disk.radii[ring] - inner)
    thin = 0.35 * smoothstep(0.004, 0.0, edge) * (0.5 + 0.5 * grain(y, x))
    shown = blend(color + light[..., None], np.broadcast_to(PIGMENTS[0], color.shape), thin)
    return shown, disk.radii[-1] - radius
