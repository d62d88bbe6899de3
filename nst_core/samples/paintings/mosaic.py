"""A mosaic of koi circling in a pond, in small stones whose rows follow the shapes."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nst_core.samples.paintings.fields import (
    Field,
    Picture,
    Reals,
    blend,
    canvas_grid,
    flow_along_contours,
    nearest,
    noise,
    palette,
    ramp,
    smoothstep,
    to_picture,
)

WATER = palette("06283c", "0a4a66", "0f7890", "39a8a8", "a8dccc")
KOI = palette("fbf3e0", "fbe8c8", "f6a02c", "ee6418", "d8380c")
SUN = palette("fff0b0", "f6c840", "d89020")
OUTLINE = palette("5a1008")[0]
RIM = palette("e6f2e0")[0]
GROUT = palette("1c1a1c")[0]

STONE = 0.0195
"""The side of a stone."""

SETTLING_SIDE = 256
"""Stones settle on a grid of this many points per side, whatever the picture's size."""

OUTLINE_OF_KOI = (
    (-0.1, 0.0, 0.05, 0.2, 0.4, 0.7, 0.92, 1.0, 1.28, 1.34),
    (-0.9, 0.0, 0.45, 0.85, 1.0, 0.66, 0.22, 0.26, 0.95, 0.0),
)
"""Positions along a koi, and half its width there as a share of its greatest half width.

The nose is at 0 and the root of the tail at 1; the positions extend beyond both.
"""


class Laid(NamedTuple):
    """What each point shows; all arrays have the same shape."""

    stone: NDArray[np.int64]
    reach: Reals
    """The distance from the stone's center, along that of its two axes on which it is greater."""
    gap: Reals
    """How much farther away the next stone is."""


class Koi(NamedTuple):
    """A fish that swims on a circle around the pond's center."""

    radius: float
    nose: float
    """The angle of its nose, in radians."""
    length: float
    width: float


def mosaic(size: int, seed: int) -> Picture:
    """Lay the mosaic of the pond as (size, size, 3) uint8 sRGB."""
    rng = np.random.default_rng(seed)
    center = rng.uniform(0.46, 0.54, 2)
    shoal = _shoal(rng)
    angle = flow_along_contours(_rows(center, shoal))
    stones = _settled(_rings(center), angle)
    colors = _stone_colors(stones, center, shoal, rng)
    x, y = canvas_grid(size)
    laid = _lay(stones, angle(*stones.T), x, y)
    return to_picture(_grouted(stones, colors, laid, x, y, rng))


def _shoal(rng: np.random.Generator) -> list[Koi]:
    start = rng.uniform(0, 2 * np.pi)
    inner = [Koi(0.20, start + turn, 0.30, 0.062) for turn in (0.0, np.pi)]
    outer = [Koi(0.40, start + 0.9 + turn, 0.44, 0.078) for turn in (0.0, 2.1, 4.2)]
    return inner + outer


def _outside(koi: Koi, center: Reals, x: Reals, y: Reals) -> Reals:
    """Return the approximate distance from the fish's outline, negative inside it."""
    dx, dy = x - center[0], y - center[1]
    turn = (np.arctan2(dy, dx) - koi.nose + 0.5) % (2 * np.pi) - 0.5
    behind = turn * koi.radius / koi.length
    sway = 0.35 * koi.width * np.sin(5 * behind)
    half_width = np.interp(behind, *OUTLINE_OF_KOI, left=-9.0, right=-9.0) * koi.width
    return np.asarray(np.abs(np.hypot(dx, dy) - koi.radius - sway) - half_width)


def _nearest_koi(shoal: list[Koi], center: Reals, x: Reals, y: Reals) -> Reals:
    return np.asarray(np.min([_outside(koi, center, x, y) for koi in shoal], axis=0))


def _rows(center: Reals, shoal: list[Koi]) -> Field:
    """Return a field whose contours are the rows: along nearby fish, or around the center."""

    def potential(x: Reals, y: Reals) -> Reals:
        ripples = np.hypot(x - center[0], y - center[1])
        outside = _nearest_koi(shoal, center, x, y)
        return np.asarray(ripples + 3 * STONE * np.exp(-((outside / (2.5 * STONE)) ** 2)))

    return potential


def _rings(center: Reals) -> Reals:
    """Return stones' centers (count, 2) in rings around `center`, to just beyond the borders."""
    rings = [center[None]]
    for number in range(1, int(0.85 / STONE)):
        turns = 2 * np.pi * (np.arange(6 * number) + 0.5 * (number % 2)) / (6 * number)
        rings.append(center + number * STONE * np.stack([np.cos(turns), np.sin(turns)], axis=-1))
    stones = np.concatenate(rings)
    return stones[(np.abs(stones - 0.5) < 0.55).all(axis=1)]


def _lay(stones: Reals, angles: Reals, x: Reals, y: Reals) -> Laid:
    candidates = nearest(stones, x, y, 5)
    dx = x[..., None] - stones[candidates, 0]
    dy = y[..., None] - stones[candidates, 1]
    cosine, sine = np.cos(angles)[candidates], np.sin(angles)[candidates]
    reaches = np.maximum(np.abs(dx * cosine + dy * sine), np.abs(dy * cosine - dx * sine))
    order = np.argsort(reaches, axis=-1)[..., :2]
    closest = np.take_along_axis(reaches, order, axis=-1)
    stone = np.take_along_axis(candidates, order[..., :1], axis=-1)[..., 0]
    return Laid(stone, closest[..., 0], closest[..., 1] - closest[..., 0])


def _settled(stones: Reals, angle: Field) -> Reals:
    """Move each stone to the center of its own area, repeatedly, so that they lie side by side."""
    centers = 1.1 * (np.arange(SETTLING_SIDE) + 0.5) / SETTLING_SIDE - 0.05
    x, y = np.meshgrid(centers, centers)
    for _ in range(8):
        stone = _lay(stones, angle(*stones.T), x, y).stone.ravel()
        ground = np.bincount(stone, minlength=len(stones))[:, None]
        sums = [np.bincount(stone, axis.ravel(), len(stones)) for axis in (x, y)]
        middles = np.stack(sums, axis=-1) / np.maximum(ground, 1)
        stones = np.where(ground > 0, middles, stones)
    return stones


def _stone_colors(
    stones: Reals, center: Reals, shoal: list[Koi], rng: np.random.Generator
) -> Reals:
    x, y = stones.T
    radius = np.hypot(x - center[0], y - center[1])
    clouds, patches = noise(rng, 4, 2)(x, y), noise(rng, 9)(x, y)
    ripples = 0.5 + 0.5 * np.sin(58 * radius + 3 * clouds)
    colors = ramp(WATER, 0.85 * ripples + rng.normal(0, 0.11, len(x)))
    glow = ramp(SUN, radius / 0.11 + rng.normal(0, 0.2, len(x)))
    colors = blend(colors, glow, (radius < 0.1).astype(float))
    outside = _nearest_koi(shoal, center, x, y)
    scales = ramp(KOI, 0.5 + 1.3 * patches + rng.normal(0, 0.08, len(x)))
    colors = np.where((outside < 0.85 * STONE)[:, None], RIM, colors)
    colors = np.where((outside < 0)[:, None], OUTLINE, colors)
    colors = np.where((outside < -0.75 * STONE)[:, None], scales, colors)
    return colors * rng.uniform(0.82, 1.12, (len(x), 1))


def _grouted(
    stones: Reals, colors: Reals, laid: Laid, x: Reals, y: Reals, rng: np.random.Generator
) -> Reals:
    """Chip the stones, slant each so that it catches the light differently, and add grout."""
    slant = rng.normal(0, 9, (2, len(stones)))[:, laid.stone]
    offset_x, offset_y = x - stones[laid.stone, 0], y - stones[laid.stone, 1]
    grain = noise(rng, 90, 2)(x, y)
    light = 1 + slant[0] * offset_x + slant[1] * offset_y + 0.13 * grain
    light -= 0.3 * smoothstep(0.35 * STONE, 0.55 * STONE, laid.reach)
    chipped = 0.06 * STONE * grain
    set_in = np.minimum(0.5 * laid.gap, 0.64 * STONE - laid.reach) + chipped
    return blend(
        GROUT * (1 + 0.4 * grain[..., None]),
        colors[laid.stone] * light[..., None],
        smoothstep(0.02 * STONE, 0.07 * STONE, set_in),
    )
