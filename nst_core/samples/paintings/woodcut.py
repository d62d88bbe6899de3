"""A color woodcut: a red sun over mountains and water, seen between birches."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nst_core.samples.paintings.fields import (
    Picture,
    Reals,
    canvas_grid,
    noise,
    palette,
    smoothstep,
    to_picture,
)

BLACK, CREAM, RED, TEAL = palette("14100e", "f4e8cc", "d8361c", "4c9c98")
SUN_RADIUS = 0.13
HORIZON = 0.66
OUTLINE = 0.004


class Region(NamedTuple):
    """A part of the block, and how it is carved; arrays over the canvas (side, side)."""

    depth: Reals
    """The approximate distance to its outline, positive inside it."""
    line: Reals
    """The position across the cuts: cut number n is where this is in [n, n + 1)."""
    along: Reals
    """The position along a cut, in lengths of a cut."""
    light: Reals
    """The share of the wood that is cut away, in [0, 1]."""
    ink: Reals
    """The color (3) printed under the black."""


class Block(NamedTuple):
    """What all regions of one block share."""

    x: Reals
    y: Reals
    grain: Reals
    """The unsteadiness of the carver's hand, in about [-1, 1]."""
    sun: tuple[float, float]


def woodcut(size: int, seed: int) -> Picture:
    """Print the block as (size, size, 3) uint8 sRGB."""
    rng = np.random.default_rng(seed)
    x, y = canvas_grid(size)
    sun = (float(rng.uniform(0.35, 0.65)), float(rng.uniform(0.24, 0.32)))
    block = Block(x, y, noise(rng, 12, 3)(x, y), sun)
    starts = rng.random(1024)
    canvas = np.broadcast_to(BLACK, (*x.shape, 3))
    for region in _regions(block, rng):
        cut = _carved(region, block.grain, starts)
        printed = np.where(cut[..., None], region.ink, BLACK)
        canvas = np.where((region.depth > 0)[..., None], printed, canvas)
    return to_picture(_rubbed(canvas, rng, x, y))


def _regions(block: Block, rng: np.random.Generator) -> Iterator[Region]:
    """Yield the regions from back to front."""
    yield _sky(block)
    yield _sun(block)
    for number, crest in enumerate((0.42, 0.50, 0.58)):
        yield _mountain(block, crest, number, rng)
    yield _water(block)
    for place in (0.06, 0.17, 0.83, 0.95):
        yield _birch(block, place + rng.uniform(-0.03, 0.03), rng)


def _carved(region: Region, grain: Reals, starts: Reals) -> NDArray[np.bool_]:
    """Return where the gouge removed wood; each cut begins and ends in a point."""
    line = region.line + 0.10 * grain
    number = np.floor(line)
    along = region.along + starts[number.astype(np.int64) % len(starts)]
    taper = np.minimum(1, 2.2 * np.sin(np.pi * (along % 1)))
    solid = smoothstep(0.75, 1.0, region.light)
    width = region.light * (taper + (1 - taper) * solid) + 0.06 * grain
    return np.asarray((np.abs(line - number - 0.5) < width / 2) & (region.depth > OUTLINE))


def _from_sun(block: Block) -> tuple[Reals, Reals]:
    dx, dy = block.x - block.sun[0], block.y - block.sun[1]
    return np.hypot(dx, dy), np.arctan2(dy, dx)


def _sky(block: Block) -> Region:
    distance, angle = _from_sun(block)
    light = 0.88 - 0.75 * distance + 0.16 * block.grain
    line = 52 * distance + 0.5 * np.sin(9 * angle)
    return Region(np.ones_like(distance), line, 9 * angle / np.pi, light, CREAM)


def _sun(block: Block) -> Region:
    distance, _ = _from_sun(block)
    height = block.y - block.sun[1]
    light = 0.93 - 0.45 * smoothstep(-0.4, 1.0, height / SUN_RADIUS)
    return Region(SUN_RADIUS - distance, 70 * height, 3 * block.x, light, RED)


def _mountain(block: Block, crest: float, number: int, rng: np.random.Generator) -> Region:
    """Return a mountain: faces toward the sun are light, and the cuts run down the slopes."""
    ridge, spurs = noise(rng, 5, 4), noise(rng, 7, 2)
    ridge_height = 0.09 * ridge(block.x[:1], np.full_like(block.x[:1], 0.5))
    depth = block.y - crest - ridge_height
    folds = spurs(block.x, 0.6 * depth + 0.3)
    slope = np.gradient(folds, axis=1) * len(folds) / 14
    lit = slope * np.sign(block.sun[0] - block.x)
    light = 0.46 + 0.5 * np.tanh(lit) + 0.14 * block.grain
    light = light * (1 - 0.35 * smoothstep(0.0, 0.16, depth)) + 0.05
    line = 62 * (block.x + 0.5 * np.sign(slope) * depth)
    ink = (TEAL, CREAM, TEAL)[number]
    return Region(depth, line, 14 * depth, light, ink)


def _water(block: Block) -> Region:
    """Return the water: waves crowd toward the horizon, and the sun lays a path over them."""
    depth = block.y - HORIZON
    nearness = np.log1p(6 * np.maximum(depth, 0)) * 22
    waves = 0.6 * np.sin(26 * block.x / (0.4 + 3 * np.abs(depth)) + 4 * block.grain)
    path = np.exp(-(((block.x - block.sun[0]) / (0.07 + 0.35 * np.abs(depth))) ** 2))
    light = 0.36 + 0.5 * path + 0.2 * np.sin(nearness / 2) * block.grain
    along = 3.5 * block.x / (0.4 + 2 * np.abs(depth))
    ink = np.where((path + 0.3 * block.grain > 0.5)[..., None], RED, TEAL)
    return Region(depth, nearness + waves, along, light, ink)


def _birch(block: Block, place: float, rng: np.random.Generator) -> Region:
    """Return a birch: white bark with black bands, rounded by cuts that thin toward the shade."""
    heights = block.y[:, :1]
    sway = noise(rng, 3)(np.full_like(heights, 0.5), heights)
    half_width = rng.uniform(0.018, 0.034) * (0.75 + 0.5 * block.y)
    across = (block.x - place - 0.02 * sway) / half_width
    toward_sun = across * np.sign(block.sun[0] - place)
    bands = noise(rng, 26)(0.3 + 0.02 * across, block.y)
    light = 0.72 + 0.45 * toward_sun - 0.9 * smoothstep(0.35, 0.6, bands)
    line = 75 * block.y + 0.8 * across**2
    return Region(half_width * (1 - np.abs(across)), line, 0.4 * across, light, CREAM)


def _rubbed(canvas: Reals, rng: np.random.Generator, x: Reals, y: Reals) -> Reals:
    """Give the ink the grain of the wood, and the paper a tone that is never quite white."""
    fibers = noise(rng, 160)((x + 0.02 * y) % 1, y / 12)
    blotches = noise(rng, 30, 3)(x, y)
    return canvas + (0.045 * fibers + 0.035 * blotches)[..., None]
