"""The distance between the patches of two pictures: multi-scale and sliced.

Rabin et al. 2011 ("Wasserstein Barycenter and Its Application to Texture Mixing") compare patches
by their projections along directions. Karras et al. 2018 ("Progressive Growing of GANs", section 5)
take them from the bands of a Laplacian pyramid, so that each scale counts on its own.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from nst_core.images.resize import resize

Levels = tuple[NDArray[np.float64], ...]
"""Bands of a picture, fine to coarse, each (height, width, 3); the last is what remains."""

Distributions = tuple[NDArray[np.float64], ...]
"""Quantiles of projected patches, each (`DIRECTIONS`, `QUANTILES`), for each band."""

LEVELS = 4
"""The bands that are compared: from patches of 7 pixels up to patches of 56."""

PATCH = 7
"""The side of a patch, in pixels of its band."""

MOST_PATCHES = 4096
"""At most so many patches of a band are compared, from a regular grid."""

DIRECTIONS = 128
"""Directions along which the patches of a band are projected."""

QUANTILES = 128
"""Points at which the distributions of projections are compared."""

SEED = 7

SMALLEST_SPREAD = 1e-3
"""The least standard deviation of a style's band by which differences are divided, in levels from 0
to 1: a quarter of an 8-bit level."""


def possible_bands(shape: tuple[int, ...]) -> int:
    """Return in how many bands a picture of this height and width has patches, at most `LEVELS`."""
    count, (height, width) = 0, shape[:2]
    while count < LEVELS and min(height, width) >= PATCH:
        count, (height, width) = count + 1, _halved((height, width))
    return count


def bands(pixels: NDArray[np.float32], count: int) -> Levels:
    """Return the bands of a picture: what each halving of its size loses, and what remains.

    Args:
        pixels: (height, width, 3).
        count: how many, at least 1.
    """
    found = []
    current = pixels
    for _ in range(count - 1):
        smaller = resize(current, *_halved(current.shape))
        found.append(current.astype(np.float64) - resize(smaller, *current.shape[:2]))
        current = smaller
    return (*found, current.astype(np.float64))


def _halved(shape: tuple[int, ...]) -> tuple[int, int]:
    height, width = shape[:2]
    return max(1, round(height / 2)), max(1, round(width / 2))


def spreads(levels: Levels) -> list[NDArray[np.float64]]:
    """Return the standard deviation of each band and channel, as units for differences."""
    return [np.maximum(level.std(axis=(0, 1)), SMALLEST_SPREAD) for level in levels]


def distributions(levels: Levels, units: Sequence[NDArray[np.float64]]) -> Distributions:
    """Return the distributions of a picture's patches along all directions, band by band.

    Args:
        levels: the bands of the picture.
        units: by what the channels of each band are divided, so that all bands count the same.
    """
    return tuple(_quantiles(level / unit) for level, unit in zip(levels, units, strict=True))


def distance(left: Distributions, right: Distributions) -> float:
    """Return the sliced Wasserstein-2 distance of patches: the mean over bands and directions.

    Args:
        left, right: of two pictures, which may have different sizes, in the same units.
    """
    differences = (one - other for one, other in zip(left, right, strict=True))
    return float(np.mean([np.sqrt(np.square(each).mean(axis=1)).mean() for each in differences]))


def _quantiles(band: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distribution of projected patches along each direction: (directions, quantiles).

    Whole rows are sorted, because that is several times faster than `numpy.quantile`.
    """
    projected = np.sort(_directions() @ _patches(band).T, axis=1)
    last = projected.shape[1] - 1
    points = (np.arange(QUANTILES) + 0.5) / QUANTILES * last
    below = np.floor(points).astype(np.intp)
    above = np.minimum(below + 1, last)
    found: NDArray[np.float64] = projected[:, below] + (points - below) * (
        projected[:, above] - projected[:, below]
    )
    return found


def _patches(band: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the patches at the positions of a regular grid, (patches, numbers of a patch)."""
    windows = np.lib.stride_tricks.sliding_window_view(band, (PATCH, PATCH), axis=(0, 1))
    rows, columns = windows.shape[:2]
    stride = 1
    while -(-rows // stride) * -(-columns // stride) > MOST_PATCHES:
        stride += 1
    chosen = windows[::stride, ::stride]
    return chosen.reshape(-1, PATCH * PATCH * 3)


@cache
def _directions() -> NDArray[np.float64]:
    """Return unit vectors, (directions, numbers of a patch): the same on every machine.

    NumPy keeps the stream of `RandomState` as it is in all its versions, unlike that of its newer
    generators.
    """
    drawn = np.random.RandomState(SEED).standard_normal((DIRECTIONS, PATCH * PATCH * 3))
    found: NDArray[np.float64] = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return found
