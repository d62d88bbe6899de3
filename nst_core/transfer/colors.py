"""Color statistics, and a transfer of one picture's mean and covariance of colors to another."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nst_core.images.pixels import PictureLike, as_pixels


class ColorStatistics(NamedTuple):
    """Mean (3,) and covariance (3, 3) of a picture's sRGB values in [0, 1], float32."""

    mean: NDArray[np.float32]
    covariance: NDArray[np.float32]


def color_statistics(picture: PictureLike) -> ColorStatistics:
    """Return the statistics of a picture, in any form that `pixels.as_pixels` takes.

    Raises:
        ValueError: it is not a picture, or its values are out of range.
    """
    rows = as_pixels(picture).reshape(-1, 3).astype(np.float64)
    covariance = np.cov(rows, rowvar=False, bias=True)
    return ColorStatistics(rows.mean(axis=0).astype(np.float32), covariance.astype(np.float32))


def match_colors(
    picture: PictureLike, wanted: ColorStatistics, smallest_variance: float = 1e-5
) -> NDArray[np.float32]:
    """Map a picture's colors linearly to the wanted mean and covariance, then clip them.

    Of all such linear maps, this one moves colors the least: the Monge-Kantorovich map between
    two normal distributions (Pitie & Kokaram 2007, "The linear Monge-Kantorovitch linear colour
    mapping for example-based colour transfer").

    Args:
        picture: in any form that `nst_core.images.pixels.as_pixels` takes.
        wanted: statistics of the picture whose colors `picture` gets.
        smallest_variance: a floor for the picture's variance in each direction, so that noise in
            a picture of one color is not amplified.

    Returns:
        sRGB in [0, 1], float32, (height, width, 3).

    Raises:
        ValueError: it is not a picture, or its values are out of range.
    """
    pixels = as_pixels(picture)
    found = color_statistics(pixels)
    root = _power(found.covariance, 0.5, smallest_variance)
    inverse_root = _power(found.covariance, -0.5, smallest_variance)
    between = _power(root @ wanted.covariance @ root, 0.5, 0)
    mapping = inverse_root @ between @ inverse_root
    moved = (pixels - found.mean) @ mapping + wanted.mean
    return np.clip(moved, 0, 1).astype(np.float32)


def _power(
    covariance: NDArray[np.floating], exponent: float, smallest: float
) -> NDArray[np.float64]:
    values, vectors = np.linalg.eigh(np.asarray(covariance, np.float64))
    powered: NDArray[np.float64] = (vectors * np.maximum(values, smallest) ** exponent) @ vectors.T
    return powered
