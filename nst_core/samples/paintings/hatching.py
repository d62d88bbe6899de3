"""An etching in two inks: a moon over hills and cypresses, in lines that cross where it is dark."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from nst_core.samples.paintings.fields import (
    Picture,
    Reals,
    blend,
    canvas_grid,
    noise,
    palette,
    smoothstep,
    to_picture,
)

PAPER, INDIGO, SANGUINE = palette("f6ead0", "121a5c", "b4301a")
LINES = 74
"""The number of lines along the picture's side."""

CROSSINGS = ((0.0, 0.0), (0.42, 1.05), (0.66, -0.80))
"""The darkness from which each set of lines begins, and how far it is turned, in radians."""

OUTLINE = 0.0035
MOON_RADIUS = 0.11


class Plate(NamedTuple):
    """What all parts of one plate share."""

    x: Reals
    y: Reals
    hand: Reals
    """The unsteadiness of the etcher's hand, in about [-1, 1]."""
    moon: tuple[float, float]


class Part(NamedTuple):
    """A part of the plate; arrays over the canvas (side, side)."""

    depth: Reals
    """The approximate distance to its outline, positive inside it."""
    turn: float
    """The direction across its first lines, in radians."""
    relief: Reals
    """How far the lines are pushed aside by its form, in units of the picture's side."""
    dark: Reals
    """From 0, bare paper, to 1, nearly closed ink."""
    ink: Reals


def hatching(size: int, seed: int) -> Picture:
    """Print the etching as (size, size, 3) uint8 sRGB."""
    rng = np.random.default_rng(seed)
    x, y = canvas_grid(size)
    moon = (float(rng.uniform(0.3, 0.7)), float(rng.uniform(0.22, 0.3)))
    plate = Plate(x, y, noise(rng, 10, 2)(x, y), moon)
    canvas = np.broadcast_to(PAPER, (*x.shape, 3))
    for part in _parts(plate, rng):
        inked = blend(PAPER, part.ink, _lines(plate, part))
        edge = (np.abs(part.depth) < OUTLINE * (1 + 0.4 * plate.hand)) & (part.depth < 1)
        inked = np.where(edge[..., None], part.ink, inked)
        canvas = np.where((part.depth > -OUTLINE)[..., None], inked, canvas)
    tone = 0.03 * noise(rng, 4, 2)(x, y) + 0.03 * noise(rng, 150)(x, y)
    return to_picture(canvas + tone[..., None])


def _lines(plate: Plate, part: Part) -> Reals:
    """Return the opacity of the ink, in [0, 1]: one set of lines, or up to three that cross."""
    opacity = 0.05 * smoothstep(0.3, 0.9, part.dark)
    for begins, turned in CROSSINGS:
        turn = part.turn + turned
        across = plate.x * np.cos(turn) + plate.y * np.sin(turn) + part.relief * np.cos(turned)
        place = LINES * across + 0.12 * plate.hand
        from_line = np.abs(place - np.floor(place) - 0.5)
        share = 0.62 * smoothstep(begins - 0.1, begins + 0.9, part.dark) + 0.03 * plate.hand
        is_there = part.dark > begins + 0.05 * plate.hand
        opacity = np.maximum(opacity, smoothstep(0.04, -0.04, from_line - share / 2) * is_there)
    return np.asarray(0.95 * opacity)


def _parts(plate: Plate, rng: np.random.Generator) -> Iterator[Part]:
    """Yield the parts from back to front."""
    yield _sky(plate, rng)
    yield _moon(plate)
    for number, crest in enumerate((0.46, 0.55, 0.66, 0.80)):
        yield _hill(plate, crest, number, rng)
        for place in rng.permutation(6)[:3]:
            yield _cypress(plate, (place + rng.uniform(0.2, 0.8)) / 6, crest, number, rng)


def _from_moon(plate: Plate) -> Reals:
    return np.hypot(plate.x - plate.moon[0], plate.y - plate.moon[1])


def _sky(plate: Plate, rng: np.random.Generator) -> Part:
    """Return the sky: lines bend around the moon, and clouds are left white."""
    distance = _from_moon(plate)
    clouds = noise(rng, 4, 3)(0.6 * plate.x, 2.2 * plate.y % 2)
    dark = 0.16 + 0.85 * smoothstep(0.05, 0.75, distance) - 0.62 * smoothstep(0.0, 0.8, clouds)
    relief = 0.05 * np.exp(-((distance / 0.2) ** 2)) + 0.035 * clouds
    return Part(np.ones_like(dark), 1.35, relief, dark.clip(0.02, 1), INDIGO)


def _moon(plate: Plate) -> Part:
    depth = MOON_RADIUS - _from_moon(plate)
    ball = np.sqrt((depth / MOON_RADIUS).clip(0, 1))
    shade = (plate.x - plate.moon[0] + plate.y - plate.moon[1]) / MOON_RADIUS
    dark = 0.10 + 0.30 * smoothstep(-0.4, 1.4, shade)
    return Part(depth, 0.8, 0.03 * ball, dark, SANGUINE)


def _hill(plate: Plate, crest: float, number: int, rng: np.random.Generator) -> Part:
    """Return a hill: its lines run over its form, and its far side from the moon is dark."""
    ridge, form = noise(rng, 4, 3), noise(rng, 5, 2)
    depth = plate.y - crest - 0.085 * ridge(plate.x[:1], np.full_like(plate.x[:1], 0.5))
    folds = form(plate.x, 0.7 * depth + 0.2)
    slope = np.gradient(folds, axis=1) * len(folds) / 12
    away = slope * np.tanh(8 * (plate.x - plate.moon[0]))
    dark = 0.34 + 0.16 * number + 0.42 * np.tanh(1.2 * away) - 0.3 * np.exp(-depth / 0.03)
    turn = 0.5 + rng.uniform(-0.3, 0.3) + 0.9 * (number % 2)
    ink = (INDIGO, SANGUINE)[number % 2]
    return Part(depth, turn, 0.055 * folds, dark.clip(0.03, 1), ink)


def _cypress(
    plate: Plate, place: float, crest: float, number: int, rng: np.random.Generator
) -> Part:
    """Return a cypress: a flame, dark on the side that is turned away from the moon."""
    height = rng.uniform(0.12, 0.17) * (1 + 0.75 * number)
    foot = crest + rng.uniform(0.05, 0.09)
    up = (foot - plate.y) / height
    sway = 0.012 * np.sin(5 * up + rng.uniform(0, 6)) + 0.004 * plate.hand
    within = up.clip(0, 1)
    half = 0.27 * height * within**0.4 * (1 - within) ** 0.8
    across = (plate.x - place - sway) / np.maximum(half, 1e-3)
    side = across * np.sign(place - plate.moon[0])
    depth = np.where((up > 0) & (up < 1), half * (1 - np.abs(across)), -1.0)
    dark = 0.72 + 0.42 * side + 0.12 * plate.hand
    return Part(depth, 0.25, 0.02 * across.clip(-1, 1) ** 2, dark.clip(0.15, 1), INDIGO)
