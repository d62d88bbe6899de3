"""Fields over the unit square (x to the right, y down), and how they become a picture.

Lengths are in units of the picture's side, and random numbers are never drawn per pixel, so a seed
gives the same composition at every size.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates, spline_filter
from scipy.spatial import cKDTree

from nst_core.images.levels import to_levels

Reals = NDArray[np.float64]
Picture = NDArray[np.uint8]
Field = Callable[[Reals, Reals], Reals]
"""A function from coordinates x and y to a number at each point; all arrays have the same shape."""

SUPERSAMPLING = 2
"""Canvas pixels per picture pixel, on each axis; averaging them softens the hard edges."""


def canvas_grid(size: int) -> tuple[Reals, Reals]:
    """Return the coordinates x and y of the canvas pixels' centers for a picture of this size.

    Returns:
        two arrays of shape (side, side), with side = SUPERSAMPLING * size, in (0, 1).
    """
    side = SUPERSAMPLING * size
    centers = (np.arange(side) + 0.5) / side
    x, y = np.meshgrid(centers, centers)
    return x, y


def to_picture(canvas: Reals) -> Picture:
    """Average a canvas (side, side, 3), with values in about [0, 1], to an sRGB picture."""
    size = len(canvas) // SUPERSAMPLING
    blocks = canvas.reshape(size, SUPERSAMPLING, size, SUPERSAMPLING, 3)
    mean: Reals = blocks.mean(axis=(1, 3))
    return to_levels(mean)


def interpolated(lattice: Reals) -> Field:
    """Return the smooth field through values (n, n) at evenly spaced points, corners included.

    Outside the unit square, the field is mirrored.
    """
    scale = len(lattice) - 1
    spline = spline_filter(lattice, mode="mirror")

    def value(x: Reals, y: Reals) -> Reals:
        places = [y * scale, x * scale]
        return np.asarray(map_coordinates(spline, places, mode="mirror", prefilter=False))

    return value


def tabulated(field: Field, cells: int) -> Field:
    """Return nearly the same field, but fast to evaluate, however costly the original is."""
    x, y = np.meshgrid(*[np.linspace(0, 1, cells + 1)] * 2)
    return interpolated(field(x, y))


def noise(rng: np.random.Generator, cells: int, octaves: int = 1) -> Field:
    """Return a smooth random field with values in about [-1, 1].

    Args:
        rng: used only during this call; the field itself is deterministic.
        cells: the number of bumps along a side at the coarsest octave.
        octaves: how many; each has twice the cells and half the amplitude of the one before.
    """
    layers = [interpolated(rng.uniform(-1, 1, (2**o * cells + 1,) * 2)) for o in range(octaves)]

    def value(x: Reals, y: Reals) -> Reals:
        return np.asarray(sum(layer(x, y) / 2**o for o, layer in enumerate(layers)))

    return value


def flow_along_contours(potential: Field) -> Field:
    """Return the direction, in radians, of the divergence-free flow with this stream function."""
    reach = 1e-3

    def angle(x: Reals, y: Reals) -> Reals:
        slope_x = potential(x + reach, y) - potential(x - reach, y)
        slope_y = potential(x, y + reach) - potential(x, y - reach)
        return np.arctan2(-slope_x, slope_y)

    return angle


def scattered(rng: np.random.Generator, count: int) -> Reals:
    """Return evenly spread points (count, 2), some of them just beyond the picture's borders.

    The additive recurrence of the plastic number fills the square without clumps. Any run of
    successive points is also spread out, so strokes painted in this order overlap at random.
    """
    plastic = 1.324717957244746
    steps = np.arange(count)[:, None] * np.array([1 / plastic, 1 / plastic**2])
    return np.asarray(1.1 * ((rng.random(2) + steps) % 1) - 0.05)


def nearest(sites: Reals, x: Reals, y: Reals, count: int) -> NDArray[np.int64]:
    """Return indices (..., count) of the sites (n, 2) nearest to points (...), nearest first."""
    _, numbers = cKDTree(sites).query(np.stack([x, y], axis=-1), k=count)
    return np.asarray(numbers, np.int64)


def palette(*codes: str) -> Reals:
    """Return colors (count, 3) in [0, 1] from codes of six hexadecimal digits each."""
    return np.array([list(bytes.fromhex(code)) for code in codes]) / 255


def ramp(colors: Reals, tone: Reals) -> Reals:
    """Return colors (..., 3) at tones (...), clipped to [0, 1], along a palette (count, 3)."""
    stops = np.linspace(0, 1, len(colors))
    return np.stack([np.interp(tone, stops, colors[:, c]) for c in range(3)], axis=-1)


def smoothstep(low: float, high: float, value: Reals) -> Reals:
    """Return 0 below `low`, 1 above `high`, and a smooth ramp between; `low > high` is allowed."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def blend(below: Reals, above: Reals, opacity: Reals) -> Reals:
    """Blend colors `above` over colors `below` (both (..., 3)) with opacity (...) in [0, 1]."""
    return below + (above - below) * opacity[..., None]
