"""A rose window: rings of jewel-colored panes in lead, within a field of irregular ones."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nst_core.samples.paintings.fields import (
    Picture,
    Reals,
    blend,
    canvas_grid,
    nearest,
    noise,
    palette,
    scattered,
    smoothstep,
    to_picture,
)

BRIGHT = palette("ffc010", "ff7a10", "18c8c8", "f04098", "7cd838")
DARK = palette("c80828", "1038d0", "0a8a4a", "6418b8", "0c70b0")
LEAD = palette("0a0a10")[0]
RINGS = 8
LEAD_WIDTH = 0.009
BAR_TO_LEAD = 2.0


class Window(NamedTuple):
    """The panes (count) by their sites; those of the rose come first, from its center outward."""

    center: Reals
    sites: Reals
    colors: Reals
    bars: Reals
    """The radii of the iron rings that carry the rose."""


class Panes(NamedTuple):
    """What each canvas pixel shows; arrays of shape (side, side)."""

    pane: NDArray[np.int64]
    edge: Reals
    """The distance to the center line of the nearest lead."""


def stained_glass(size: int, seed: int) -> Picture:
    """Glaze the window as (size, size, 3) uint8 sRGB."""
    rng = np.random.default_rng(seed)
    window = _window(rng)
    x, y = canvas_grid(size)
    wobble_x, wobble_y = noise(rng, 14), noise(rng, 14)
    panes = _panes(window, x + 0.003 * wobble_x(x, y), y + 0.003 * wobble_y(x, y))
    glass = _glass(window, panes, x, y, rng)
    return to_picture(_leaded(glass, panes.edge))


def _window(rng: np.random.Generator) -> Window:
    center = rng.uniform(0.42, 0.58, 2)
    sites, colors, bars = [center[None]], [BRIGHT[:1]], []
    radius, spokes = 0.0, int(rng.choice([8, 10, 12]))
    dark, bright = rng.permutation(DARK), rng.permutation(BRIGHT)
    for ring in range(1, RINGS):
        step = rng.uniform(0.045, 0.075)
        if ring in (3, 5):
            bars.append(radius + step / 2)
        radius += step
        count = spokes * (1 + (ring > 2) + 2 * (ring > 4))
        turns = 2 * np.pi * (np.arange(count) + 0.5 * (ring % 2)) / count
        sites.append(center + radius * np.stack([np.cos(turns), np.sin(turns)], axis=-1))
        pair = np.stack([dark[ring % len(dark)], bright[ring % len(bright)]])
        colors.append(pair[np.arange(count) % 2])
    bars.append(radius + 0.03)
    field_sites = _field_sites(rng, center, bars[-1])
    sites.append(field_sites)
    colors.append(rng.choice(np.concatenate([DARK, DARK, BRIGHT]), len(field_sites)))
    return Window(center, np.concatenate(sites), np.concatenate(colors), np.array(bars))


def _field_sites(rng: np.random.Generator, center: Reals, bar: float) -> Reals:
    sites = scattered(rng, 420) + rng.normal(0, 0.008, (420, 2))
    return np.asarray(sites[np.linalg.norm(sites - center, axis=1) > bar + 0.012])


def _panes(window: Window, x: Reals, y: Reals) -> Panes:
    sites = window.sites
    order = nearest(sites, x, y, 3)
    point = np.stack([x, y], axis=-1)
    own = sites[order[..., 0]]
    edges = []
    for rank in (1, 2):
        toward = sites[order[..., rank]] - own
        halfway = (own + sites[order[..., rank]]) / 2 - point
        edges.append((halfway * toward).sum(axis=-1) / np.linalg.norm(toward, axis=-1))
    radius = np.linalg.norm(point - window.center, axis=-1)
    bars = [np.abs(radius - bar) / BAR_TO_LEAD for bar in window.bars]
    return Panes(order[..., 0], np.min([*edges, *bars], axis=0))


def _glass(window: Window, panes: Panes, x: Reals, y: Reals, rng: np.random.Generator) -> Reals:
    """Color each pane, with uneven light and the streaks of blown glass."""
    count = len(window.sites)
    tilt = rng.uniform(0, 2 * np.pi, count)[panes.pane]
    offset = np.stack([x, y], axis=-1) - window.sites[panes.pane]
    lengthwise = offset[..., 0] * np.cos(tilt) + offset[..., 1] * np.sin(tilt)
    sideways = offset[..., 1] * np.cos(tilt) - offset[..., 0] * np.sin(tilt)
    streaks = noise(rng, 40, 2)((0.25 * lengthwise + x / 8) % 1, (2 * sideways + y / 8) % 1)
    hammered = noise(rng, 60)(x, y)
    light = 0.92 + 9 * lengthwise + 0.24 * streaks + 0.14 * hammered
    light += rng.normal(0, 0.12, count)[panes.pane]
    trace = smoothstep(0.0022, 0.0012, np.abs(panes.edge - 0.013))
    light -= 0.35 * trace
    deep = window.colors[panes.pane] * np.clip(light, 0.3, 1.0)[..., None]
    return blend(deep, np.ones(3), 0.8 * smoothstep(0.9, 1.7, light))


def _leaded(glass: Reals, edge: Reals) -> Reals:
    """Lay rounded lead along the panes' edges; it shades the glass beside it."""
    shaded = glass * smoothstep(-0.5 * LEAD_WIDTH, 1.5 * LEAD_WIDTH, edge)[..., None]
    profile = np.clip(1 - edge / (0.5 * LEAD_WIDTH), 0, 1)
    lead = LEAD + 0.22 * smoothstep(0.55, 1.0, profile)[..., None]
    return blend(shaded, lead, smoothstep(0.0, 0.15, profile))
