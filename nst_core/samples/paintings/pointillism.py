"""Poplars by a river at dusk, in dots of unmixed color."""

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
    ramp,
    scattered,
    smoothstep,
    to_picture,
)
from nst_core.samples.paintings.strokes import POINTS, Paint, Strokes, brush, follow, lit

PIGMENTS = palette(
    "fff4c8", "ffd84a", "ff9a2c", "f4602c", "e83c5c", "f49cb4", "c078d0", "6a44b4",
    "2c3ca8", "2c78d8", "7cc4ec", "1c9c9c", "2c8c3c", "8cc83c", "1c3c34", "1c1848",
)  # fmt: skip
SKY = palette("3c5cc0", "8c7cd0", "e88cb4", "ff9c5c", "ffd860", "fff0b0")
LEAVES = palette("201850", "1c3c5c", "1c7040", "7cb030", "f0c040")
MEADOW = palette("1c3c34", "2c8c3c", "8cc83c", "e8d048")
POPPY = palette("e8302c")[0]
CANVAS = palette("d8c8a0")[0]
HORIZON = 0.58


class Layer(NamedTuple):
    """One pass of dots."""

    dots: int
    width: float
    unrest: float
    """The standard deviation of the color noise before matching: how far complements scatter."""


LAYERS = (Layer(5000, 0.022, 0.07), Layer(9000, 0.014, 0.13), Layer(9000, 0.010, 0.16))


class Scene(NamedTuple):
    """What the painter looks at."""

    sun: float
    trees: Reals
    """(count, 3): position, height above the horizon and half width of each poplar."""
    clouds: Field
    foliage: Field


def pointillism(size: int, seed: int) -> Picture:
    """Paint the river in dots as (size, size, 3) uint8 sRGB."""
    rng = np.random.default_rng(seed)
    scene = Scene(float(rng.uniform(0.3, 0.7)), _poplars(rng), noise(rng, 5, 2), noise(rng, 24))
    side = len(canvas_grid(size)[0])
    paint = Paint(np.broadcast_to(CANVAS, (side, side, 3)), np.zeros((side, side)))
    for layer in LAYERS:
        starts = scattered(rng, layer.dots) + rng.normal(0, 0.002, (layer.dots, 2))
        seen = _seen(scene, *starts.T)
        colors = _nearest_pigment(seen + rng.normal(0, layer.unrest, seen.shape))
        paint = brush(paint, _dots(starts, layer.width, colors, scene.clouds, rng), rng, hairs=5)
    return to_picture(lit(paint, 0.25))


def _poplars(rng: np.random.Generator) -> Reals:
    places = np.linspace(-0.02, 1.02, 11) + rng.uniform(-0.04, 0.04, 11)
    heights = 0.30 + 0.16 * np.sin(5 * places + rng.uniform(0, 6)) + rng.uniform(-0.06, 0.06, 11)
    return np.stack([places, heights, rng.uniform(0.024, 0.042, 11)], axis=-1)


def _dots(
    starts: Reals, width: float, colors: Reals, bend: Field, rng: np.random.Generator
) -> Strokes:
    """Return round dabs, a little longer than wide."""
    widths = width * rng.uniform(0.75, 1.15, len(starts))
    paths = follow(lambda x, y: 2 * bend(x, y), starts, 1.15 * widths)
    along = np.linspace(-1, 1, POINTS)
    return Strokes(paths, widths[:, None] * np.sqrt(1.02 - along**2), colors)


def _nearest_pigment(colors: Reals) -> Reals:
    distances = ((colors[:, None] - PIGMENTS) ** 2).sum(axis=-1)
    return np.asarray(PIGMENTS[distances.argmin(axis=1)])


def _seen(scene: Scene, x: Reals, y: Reals) -> Reals:
    """Return colors (count, 3) at points (count): the far bank, its reflection, the near bank."""
    mirrored = y > HORIZON
    ripple = 0.012 * np.sin(150 * y + 3 * scene.clouds(x, y)) * mirrored
    height = np.abs(HORIZON - y)
    above = _far_bank(scene, x + ripple, height)
    above = np.where(mirrored[:, None], 0.82 * above + 0.18 * SKY[0], above)
    bank = y - 0.88 - 0.12 * (x - 0.5) - 0.03 * scene.clouds(x, np.zeros_like(x))
    tufts = scene.foliage(x, y)
    meadow = ramp(MEADOW, 0.45 + 0.5 * tufts)
    meadow = blend(meadow, POPPY, (scene.foliage(y, x) > 0.42).astype(float))
    return blend(above, meadow, smoothstep(-0.01, 0.01, bank))


def _far_bank(scene: Scene, x: Reals, height: Reals) -> Reals:
    """Return the colors at this height above the water."""
    clouds = scene.clouds(x, 2 * height)
    distance = np.hypot(x - scene.sun, height - 0.16)
    color = ramp(SKY, 1.02 - 1.35 * distance + 0.14 * clouds)
    color = blend(color, PIGMENTS[0], smoothstep(0.075, 0.055, distance))
    leaf = scene.foliage(x, height)
    for place, top, half_width in scene.trees:
        up = np.clip(height / top, 0, 1)
        profile = half_width * np.sqrt(np.sin(np.pi * (0.08 + 0.92 * up))) + 0.008 * leaf
        across = (x - place) / half_width * np.sign(scene.sun - place)
        foliage = ramp(LEAVES, 0.35 + 0.3 * across + 0.28 * leaf)
        crown = (np.abs(x - place) < profile) & (height < top)
        color = blend(color, foliage, crown.astype(float))
    shore = ramp(LEAVES, 0.25 + 0.3 * leaf)
    return blend(color, shore, smoothstep(0.035, 0.025, height + 0.012 * leaf))
