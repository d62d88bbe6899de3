"""Brush strokes: paths through a flow, the pixels they cover, and paint with bristle marks."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nst_core.samples.paintings.fields import Field, Reals

POINTS = 16
"""The number of points of a path; the curves between them are short enough to be straight."""

SAMPLES_PER_PIXEL = 1.5
"""The density of the points that fill a stroke; below about 1.4, bends show pinholes."""

STROKES_AT_ONCE = 128
"""The number of strokes filled together; more would only take more memory."""


class Strokes(NamedTuple):
    """Strokes in painting order: the last one lies on top."""

    paths: Reals
    """(count, points, 2): x and y in units of the picture's side."""
    widths: Reals
    """(count, points): full widths in the same unit."""
    colors: Reals
    """(count, 3) in [0, 1]."""


class Coverage(NamedTuple):
    """What lies on top at each canvas pixel; arrays of shape (side, side)."""

    stroke: NDArray[np.int64]
    """The index of the stroke, or -1 if there is none."""
    along: Reals
    """The position along the stroke, from 0 at its start to 1 at its end."""
    across: Reals
    """The position across the stroke, from -1 at one edge to 1 at the other."""


class Paint(NamedTuple):
    """A canvas of wet paint: color (side, side, 3), and thickness (side, side) in canvas sides."""

    color: Reals
    thickness: Reals


def follow(angle: Field, starts: Reals, lengths: Reals) -> Reals:
    """Return paths (count, POINTS, 2) of lengths (count) from points (count, 2) along a flow."""
    step = lengths / (POINTS - 1)
    points = [starts]
    for _ in range(POINTS - 1):
        x, y = points[-1].T
        heading = angle(x, y)
        midway = angle(x + 0.5 * step * np.cos(heading), y + 0.5 * step * np.sin(heading))
        move = step[:, None] * np.stack([np.cos(midway), np.sin(midway)], axis=-1)
        points.append(points[-1] + move)
    return np.stack(points, axis=1)


def brush_widths(widths: Reals) -> Reals:
    """Return stroke widths (count, POINTS) that start round, thin a little and end in a point."""
    along = np.linspace(0, 1, POINTS)
    return widths[:, None] * np.sqrt(np.minimum(1, 8 * along + 0.1)) * (1 - along**4) ** 0.5


def _normals(paths: Reals) -> Reals:
    tangents = np.gradient(paths, axis=1)
    normals = np.stack([-tangents[..., 1], tangents[..., 0]], axis=-1)
    norms = np.linalg.norm(normals, axis=-1, keepdims=True)
    return np.asarray(normals / np.maximum(norms, 1e-9))


def _densely(values: Reals, along: Reals) -> Reals:
    """Interpolate values (count, points, k) at positions (samples) in [0, 1] along paths."""
    position = along * (values.shape[1] - 1)
    left = np.minimum(position.astype(np.int64), values.shape[1] - 2)
    fraction = (position - left)[:, None]
    return np.asarray(values[:, left] * (1 - fraction) + values[:, left + 1] * fraction)


def _sample_positions(strokes: Strokes, side: int) -> tuple[Reals, Reals]:
    lengths = np.linalg.norm(np.diff(strokes.paths, axis=1), axis=-1).sum(axis=1)
    longest, widest = lengths.max(), strokes.widths.max()
    count_along = int(SAMPLES_PER_PIXEL * side * longest) + 2
    count_across = int(SAMPLES_PER_PIXEL * side * widest) + 2
    return np.linspace(0, 1, count_along), np.linspace(-1, 1, count_across)


def _pixels(coordinates: Reals, side: int) -> NDArray[np.int64]:
    """Return pixel indices in a canvas whose one-pixel margin collects all that is outside."""
    return np.clip(coordinates, 0, side + 1).astype(np.int64)


def cover(strokes: Strokes, side: int) -> Coverage:
    """Fill strokes on a canvas with this side.

    Each stroke is a grid of points that write their numbers to the pixels under them. NumPy
    keeps the last one written, which is the one on top.
    """
    along, across = _sample_positions(strokes, side)
    spread = _normals(strokes.paths) * strokes.widths[..., None] / 2
    per_stroke = len(along) * len(across)
    numbers = np.arange(per_stroke).reshape(len(along), len(across))
    top = np.full((side + 2, side + 2), -1)
    for first in range(0, len(strokes.paths), STROKES_AT_ONCE):
        batch = slice(first, first + STROKES_AT_ONCE)
        spine = _densely(strokes.paths[batch], along) * side + 1
        reach = _densely(spread[batch], along) * side
        column, row = (
            _pixels(spine[:, :, axis, None] + reach[:, :, axis, None] * across, side)
            for axis in (0, 1)
        )
        stroke = first + np.arange(len(spine))
        top[row, column] = stroke[:, None, None] * per_stroke + numbers
    number = top[1:-1, 1:-1]
    within = number % per_stroke
    return Coverage(
        stroke=np.where(number < 0, -1, number // per_stroke),
        along=along[within // len(across)],
        across=across[within % len(across)],
    )


def brush(paint: Paint, strokes: Strokes, rng: np.random.Generator, hairs: int = 12) -> Paint:
    """Paint strokes over a canvas, each with the furrows of its own bristles."""
    coverage = cover(strokes, len(paint.color))
    furrows = rng.random((len(strokes.paths), hairs + 1))
    position = (coverage.across + 1) / 2 * (hairs - 1e-6)
    hair = position.astype(np.int64)
    left, right = furrows[coverage.stroke, hair], furrows[coverage.stroke, hair + 1]
    bristles = left + (right - left) * (position - hair)
    painted = coverage.stroke >= 0
    body = (1 - coverage.across**4) * (0.45 + 0.55 * bristles) * (1.1 - 0.4 * coverage.along)
    width = strokes.widths.max(axis=1)[coverage.stroke]
    color = strokes.colors[coverage.stroke] * (0.82 + 0.34 * bristles)[..., None]
    return Paint(
        color=np.where(painted[..., None], color, paint.color),
        thickness=np.where(painted, 0.3 * width * body, paint.thickness),
    )


def lit(paint: Paint, strength: float = 0.35) -> Reals:
    """Return the colors (side, side, 3) of the paint under a lamp at the upper left."""
    slope_y, slope_x = np.gradient(paint.thickness * len(paint.color))
    shine = np.clip(slope_x + slope_y, -1, 1) * strength
    bright, dark = np.maximum(shine, 0)[..., None], np.maximum(-shine, 0)[..., None]
    return np.asarray(paint.color + (1 - paint.color) * bright - paint.color * dark)
