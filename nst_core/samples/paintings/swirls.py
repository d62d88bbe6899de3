"""A night of swirling brush strokes: stars with halos, two great eddies, hills, a cypress."""

from typing import NamedTuple

import numpy as np

from nst_core.samples.paintings.fields import (
    Field,
    Picture,
    Reals,
    blend,
    canvas_grid,
    flow_along_contours,
    noise,
    palette,
    ramp,
    scattered,
    smoothstep,
    tabulated,
    to_picture,
)
from nst_core.samples.paintings.strokes import Paint, Strokes, brush, brush_widths, follow, lit

SKY = palette("0b1440", "14277a", "1f4fb0", "2f7fc4", "6fb3d2", "cfe0c8")
HALO = palette("fff6c2", "f9dc5c", "e8a828", "9fc4b0", "4f93c8")
HILLS = palette("081230", "123a5a", "1f6a5e", "5f8f4a", "d0b048")
CYPRESS = palette("050c10", "0e241c", "1d3a22", "4a4a1c", "7a5a20")


class Vortices(NamedTuple):
    """Vortices (count): where they are, how far they reach and which way they turn."""

    x: Reals
    y: Reals
    radius: Reals
    turn: Reals


class Layer(NamedTuple):
    """One pass of the brush."""

    strokes: int
    width: float
    length: float


SKY_LAYERS = (Layer(900, 0.030, 0.20), Layer(2600, 0.015, 0.13), Layer(2200, 0.009, 0.10))
HILL_LAYERS = (Layer(1200, 0.022, 0.12), Layer(2400, 0.012, 0.09))
CYPRESS_LAYERS = (Layer(1800, 0.018, 0.16), Layer(2200, 0.009, 0.12))


def swirls(size: int, seed: int) -> Picture:
    """Paint the night as (size, size, 3) uint8 sRGB."""
    rng = np.random.default_rng(seed)
    eddies, ridge, cypress = _eddies(rng), noise(rng, 3, 2), float(rng.choice([0.14, 0.86]))
    stars = _stars(rng, eddies, cypress)
    x, y = canvas_grid(size)
    paint = Paint(color=ramp(SKY, 0.3 * (1 - y)), thickness=np.zeros_like(x))
    current = _current(stars, eddies, noise(rng, 4, 2))
    paint = _paint_sky(paint, current, stars, rng)
    paint = _paint_hills(paint, ridge, rng)
    paint = _paint_cypress(paint, cypress, rng)
    return to_picture(lit(paint))


def _eddies(rng: np.random.Generator) -> Vortices:
    """Return two great eddies, side by side, that turn in opposite directions, as gears do."""
    middle = rng.uniform(0.4, 0.6)
    x = np.array([middle - 0.15, middle + 0.2])
    y = rng.uniform(0.34, 0.44, 2)
    return Vortices(x, y, np.array([0.17, 0.13]), np.array([1.0, -1.0]))


def _stars(rng: np.random.Generator, eddies: Vortices, cypress: float) -> Vortices:
    """Return up to ten stars in free places; the first, farthest from the tree, is the moon."""
    places = scattered(rng, 300)
    places = places[np.argsort(-np.hypot(places[:, 0] - cypress, 0.7 - places[:, 1]))]
    clear = (np.abs(places - (0.5, 0.34)) < (0.42, 0.27)).all(axis=1)
    clear &= np.abs(places[:, 0] - cypress) > 0.12
    for x, y, radius, _ in zip(*eddies, strict=True):
        clear &= np.hypot(places[:, 0] - x, places[:, 1] - y) > radius + 0.02
    moon, *others = places[clear]
    centers = [moon]
    for place in rng.permutation(others):
        if np.linalg.norm(np.array(centers) - place, axis=1).min() > 0.145:
            centers.append(place)
    x, y = np.array(centers[:10]).T
    radius = np.concatenate([[0.085], rng.uniform(0.035, 0.052, len(x) - 1)])
    return Vortices(x, y, radius, rng.choice([-1.0, 1.0], len(x)))


def _current(stars: Vortices, eddies: Vortices, unrest: Field) -> Field:
    """Return the sky's stream function: wind from the left that every eddy and star stirs."""

    def wind(x: Reals, y: Reals) -> Reals:
        return y + 0.09 * unrest(x, y)

    current: Field = wind
    for vortex in (*zip(*eddies, strict=True), *zip(*stars, strict=True)):
        current = _stirred(current, *vortex)
    return tabulated(current, 256)


def _stirred(current: Field, cx: float, cy: float, radius: float, turn: float) -> Field:
    """Add one vortex to the current; its center must be calm so that it turns in full circles."""
    calm = current(np.array([cx]), np.array([cy]))

    def stirred(x: Reals, y: Reals) -> Reals:
        distance = np.hypot(x - cx, y - cy) / radius
        around = current(x, y)
        shelter = 0.85 * np.exp(-((distance / 1.4) ** 4))
        return around + shelter * (calm - around) + 1.9 * turn * radius * np.exp(-0.7 * distance**2)

    return stirred


def _paint_sky(paint: Paint, current: Field, stars: Vortices, rng: np.random.Generator) -> Paint:
    clouds = noise(rng, 5, 2)
    for layer in SKY_LAYERS:
        starts = scattered(rng, layer.strokes)
        x, y = starts.T
        bands = 0.5 + 0.5 * np.sin(38 * current(x, y) + 2 * clouds(x, y))
        tone = 0.66 * bands + 0.2 * clouds(x, y) + rng.normal(0, 0.09, layer.strokes) + 0.1
        colors = ramp(SKY, tone)
        for cx, cy, radius, _ in zip(*stars, strict=True):
            distance = np.hypot(x - cx, y - cy) / radius
            glow = ramp(HALO, distance / 1.9 + rng.normal(0, 0.07, layer.strokes))
            colors = blend(colors, glow, smoothstep(1.9, 1.2, distance))
        paint = _pass(paint, layer, flow_along_contours(current), starts, colors, rng)
    return paint


def _paint_hills(paint: Paint, ridge: Field, rng: np.random.Generator) -> Paint:
    def depth(x: Reals, y: Reals) -> Reals:
        return y - 0.78 - 0.09 * ridge(x, np.zeros_like(x)) + 0.05 * ridge(x, y)

    for layer in HILL_LAYERS:
        starts = scattered(rng, layer.strokes)
        starts = starts[depth(*starts.T) > 0]
        furrows = 0.5 + 0.5 * np.sin(55 * depth(*starts.T))
        tone = 0.85 * furrows + rng.normal(0, 0.14, len(starts))
        paint = _pass(paint, layer, flow_along_contours(depth), starts, ramp(HILLS, tone), rng)
    return paint


def _paint_cypress(paint: Paint, center: float, rng: np.random.Generator) -> Paint:
    """Paint a dark flame at one side, against which the sky looks bright."""
    sway = noise(rng, 4)

    def offset(x: Reals, y: Reals) -> Reals:
        return x - center - 0.035 * sway(np.full_like(y, 0.5), y)

    def upward(x: Reals, y: Reals) -> Reals:
        return -np.pi / 2 + 0.9 * sway(x, 2 * y) - 4 * offset(x, y)

    for layer in CYPRESS_LAYERS:
        starts = scattered(rng, layer.strokes)
        x, y = starts.T
        half_width = 0.085 * np.sqrt(np.clip((y - 0.16) / 0.6, 0, 1))
        starts = starts[np.abs(offset(x, y)) < half_width]
        tone = np.abs(rng.normal(0, 0.42, len(starts)))
        paint = _pass(paint, layer, upward, starts, ramp(CYPRESS, tone), rng)
    return paint


def _pass(
    paint: Paint,
    layer: Layer,
    angle: Field,
    starts: Reals,
    colors: Reals,
    rng: np.random.Generator,
) -> Paint:
    variation = rng.uniform(0.6, 1.1, (2, len(starts)))
    paths = follow(angle, starts, layer.length * variation[0])
    widths = brush_widths(layer.width * variation[1])
    return brush(paint, Strokes(paths, widths, colors), rng)
