"""The regions of a color-coded mask: each flat color is one, and black is none.

JPEG changes colors, and borders that are smoothed have colors of their own, which belong to no
region. A pixel therefore shows its color only if its neighbors have it, too; all others belong to
the nearest pixel that does.

This module loads no TensorFlow.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from nst_core.images.levels import to_levels

Color = tuple[int, int, int]
"""Red, green and blue, from 0 to 255."""

BLACK: Color = (0, 0, 0)

TOLERANCE = 48
"""How far two levels of the same color may be from each other, as a distance in RGB."""

FLAT = 32
"""The largest difference between a pixel and its neighbors, in levels, if they have one color."""

NOISE = 0.0002
"""Colors of a smaller share of the pixels are damage, and not a region that somebody painted."""

MOST_REGIONS = 8
"""The most regions that a mask may have. If there is one more, no others are looked for."""

BITS = 3
"""How many low bits of a level are ignored when colors are counted."""


def color_regions(
    pixels: NDArray[np.float32],
) -> tuple[tuple[Color, ...], NDArray[np.float32]]:
    """Return the colors of a mask but black, and how much each pixel belongs to each: 0 or 1.

    Args:
        pixels: the mask, sRGB in [0, 1], (height, width, 3).

    Returns:
        The colors, from that with most pixels to that with least, and float32 (height, width,
        colors).
    """
    levels = to_levels(pixels)
    flat = _is_flat(levels)
    colors = _colors(levels[flat])
    labels = _filled(_labels(levels, flat, colors))
    # Black is listed first.
    weights = labels[..., np.newaxis] == np.arange(1, len(colors))
    return tuple(colors[1:]), weights.astype(np.float32)


def nearest(color: Color, others: Iterable[Color]) -> Color | None:
    """Return the color that is the same as another one, within the tolerance; None if none is."""
    near = min(others, key=lambda other: _distance(color, other), default=None)
    return near if near is not None and _distance(color, near) <= TOLERANCE else None


def as_text(color: Color) -> str:
    """Return a color as in HTML, such as `#ff0000`."""
    return "#" + "".join(f"{level:02x}" for level in color)


def as_color(text: str) -> Color:
    """Return the color that `as_text` wrote."""
    red, green, blue = bytes.fromhex(text.removeprefix("#"))
    return (red, green, blue)


def _distance(color: Color, other: Color) -> float:
    return float(np.linalg.norm(np.subtract(color, other)))


def _is_flat(levels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    from scipy.ndimage import maximum_filter, minimum_filter

    size = (3, 3, 1)
    highest, lowest = maximum_filter(levels, size), minimum_filter(levels, size)
    flat: NDArray[np.bool_] = (highest - lowest).max(axis=-1) <= FLAT
    return flat


def _colors(levels: NDArray[np.uint8]) -> list[Color]:
    """Return black, and the colors of most pixels, each further than the tolerance from others.

    Args:
        levels: those of flat pixels, (pixels, 3).
    """
    side = 256 >> BITS
    bins = np.ravel_multi_index(tuple((levels >> BITS).T), (side,) * 3)
    counts = np.bincount(bins, minlength=side**3).astype(np.float64)
    sums = np.stack([np.bincount(bins, band, side**3) for band in levels.T], axis=-1)
    means = sums / np.maximum(counts, 1)[:, np.newaxis]
    colors = [BLACK]
    counts[np.linalg.norm(means, axis=-1) <= TOLERANCE] = 0
    while counts.max() > 0 and len(colors) <= MOST_REGIONS + 1:
        near = np.linalg.norm(means - means[counts.argmax()], axis=-1) <= TOLERANCE
        members = np.where(near, counts, 0)
        if members.sum() >= NOISE * len(levels):
            red, green, blue = map(round, np.average(means, axis=0, weights=members).tolist())
            colors.append((red, green, blue))
        counts -= members
    return colors


def _labels(
    levels: NDArray[np.uint8], flat: NDArray[np.bool_], colors: list[Color]
) -> NDArray[np.int64]:
    """Return the index of each flat pixel's color; -1 for other pixels."""
    labels = np.full(flat.shape, -1)
    closest = np.full(flat.shape, float(TOLERANCE))
    for index, color in enumerate(colors):
        distance = np.linalg.norm(levels - np.array(color, np.float32), axis=-1)
        nearer = flat & (distance <= closest)
        labels[nearer], closest[nearer] = index, distance[nearer]
    return labels


def _filled(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return labels in which a pixel without one has that of the nearest pixel with one."""
    from scipy.ndimage import distance_transform_edt

    unknown = labels < 0
    if unknown.all():
        return np.zeros_like(labels)
    rows, columns = distance_transform_edt(unknown, return_distances=False, return_indices=True)
    filled: NDArray[np.int64] = labels[rows, columns]
    return filled
