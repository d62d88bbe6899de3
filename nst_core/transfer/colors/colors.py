"""Color statistics, and transfers of one picture's colors to another."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nst_core.images.pixels import PictureLike, as_pixels
from nst_core.transfer.settings import ColorMatch

SMALLEST_VARIANCE = 1e-5
"""The floor for a picture's variance in each direction, so that noise in a picture of one color is
not amplified."""

QUANTILES = 4096
"""The number of values in a blended distribution of colors."""

_Matrix = NDArray[np.float64]


class ColorStatistics(NamedTuple):
    """Mean (3,) and covariance (3, 3) of a picture's sRGB values in [0, 1], float32."""

    mean: NDArray[np.float32]
    covariance: NDArray[np.float32]


def color_statistics(
    picture: PictureLike, weights: NDArray[np.float32] | None = None
) -> ColorStatistics:
    """Return the statistics of a picture.

    Args:
        picture: in any form that `pixels.as_pixels` takes.
        weights: how much each pixel counts, (height, width), not all 0; None if all count the same.

    Raises:
        ValueError: it is not a picture, or its values are out of range.
    """
    rows = as_pixels(picture).reshape(-1, 3).astype(np.float64)
    if weights is None:
        mean, covariance = rows.mean(axis=0), np.cov(rows, rowvar=False, bias=True)
    else:
        each = weights.reshape(-1).astype(np.float64)
        mean = np.average(rows, axis=0, weights=each)
        covariance = np.cov(rows, rowvar=False, bias=True, aweights=each)
    return ColorStatistics(mean.astype(np.float32), covariance.astype(np.float32))


def pooled_statistics(found: Sequence[ColorStatistics]) -> ColorStatistics:
    """Return the statistics of all pictures of a style together, each weighing the same."""
    if len(found) == 1:
        return found[0]
    means = np.stack([each.mean for each in found]).astype(np.float64)
    shifts = means - means.mean(axis=0)
    covariances = np.stack([each.covariance for each in found]).astype(np.float64)
    covariance = covariances.mean(axis=0) + shifts.T @ shifts / len(found)
    return ColorStatistics(means.mean(axis=0).astype(np.float32), covariance.astype(np.float32))


def match_colors(
    picture: PictureLike,
    wanted: ColorStatistics,
    smallest_variance: float = SMALLEST_VARIANCE,
    method: ColorMatch = "symmetric",
    weights: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Map a picture's colors linearly to the wanted mean and covariance, then clip them.

    Infinitely many linear maps do this, and `method` chooses one. Of all of them, `symmetric` moves
    colors the least: it is the Monge-Kantorovich map between two normal distributions (Pitie &
    Kokaram 2007, "The linear Monge-Kantorovitch linear colour mapping for example-based colour
    transfer"). `pca` removes the picture's covariance by its symmetric root, and then gives it the
    wanted one; `cholesky` does the same with triangular roots, so that new red depends on old red
    alone. Hertzmann 2001 ("Algorithms for Rendering in Artistic Styles") describes both, and Gatys
    et al. 2016 ("Preserving Color in Neural Artistic Style Transfer") compare them.

    Args:
        picture: in any form that `nst_core.images.pixels.as_pixels` takes.
        wanted: statistics of the picture whose colors `picture` gets.
        smallest_variance: a floor for the picture's variance in each direction, so that noise in
            a picture of one color is not amplified.
        method: the map; `histogram` needs a picture instead of statistics (`match_histograms`).
        weights: how much each pixel counts for the picture's own statistics, as in
            `color_statistics`; all pixels are mapped.

    Returns:
        sRGB in [0, 1], float32, (height, width, 3).

    Raises:
        ValueError: it is not a picture, or its values are out of range, or the method is no map.
    """
    if method not in _MAPS:
        raise ValueError(f"method: found {method!r}, expected one of {', '.join(_MAPS)}")
    pixels = as_pixels(picture)
    found = color_statistics(pixels, weights)
    mapping = _MAPS[method](found.covariance, wanted.covariance, smallest_variance)
    moved = (pixels - found.mean) @ mapping + wanted.mean
    return np.clip(moved, 0, 1).astype(np.float32)


def match_histograms(picture: PictureLike, wanted: PictureLike) -> NDArray[np.float32]:
    """Give each channel of a picture the distribution of values that another picture has.

    Args:
        picture, wanted: of any sizes, in any form that `as_pixels` takes.

    Returns:
        sRGB in [0, 1], float32, (height, width, 3) of `picture`.

    Raises:
        ValueError: one of them is not a picture, or its values are out of range.
    """
    from skimage.exposure import match_histograms as matched

    pixels = matched(as_pixels(picture), as_pixels(wanted, "wanted"), channel_axis=-1)
    return np.asarray(pixels, np.float32).clip(0, 1)


def blended_distribution(
    styles: Sequence[Sequence[NDArray[np.float32]]], shares: Sequence[float]
) -> NDArray[np.float32]:
    """Return a picture whose channels have distributions between those of several styles.

    The values of a channel are the weighted means of the styles' quantiles, which is the
    Wasserstein barycenter. The pictures of one style are pooled.

    Args:
        styles: the pictures of each style, sRGB in [0, 1], float32 (height, width, 3), of any size.
        shares: the weight of each style; they add up to 1.

    Returns:
        float32 (64, 64, 3), the values of each channel in ascending order.
    """
    total = np.zeros((QUANTILES, 3))
    for pictures, share in zip(styles, shares, strict=True):
        if share:
            total += share * _quantiles(pictures)
    return total.clip(0, 1).astype(np.float32).reshape(64, 64, 3)


def _quantiles(pictures: Sequence[NDArray[np.float32]]) -> _Matrix:
    """Return 4096 quantiles of each channel, of all pictures with the same weight."""
    ranks = (np.arange(QUANTILES) + 0.5) / QUANTILES
    each = [np.quantile(picture.reshape(-1, 3), ranks, axis=0) for picture in pictures]
    ascending = np.sort(np.concatenate(each).astype(np.float64), axis=0)
    quantiles: _Matrix = ascending.reshape(QUANTILES, len(pictures), 3).mean(axis=1)
    return quantiles


def _symmetric(
    found: NDArray[np.floating], wanted: NDArray[np.floating], smallest: float
) -> _Matrix:
    root = _power(found, 0.5, smallest)
    inverse_root = _power(found, -0.5, smallest)
    between = _power(root @ wanted @ root, 0.5, 0)
    return inverse_root @ between @ inverse_root


def _pca(found: NDArray[np.floating], wanted: NDArray[np.floating], smallest: float) -> _Matrix:
    return _power(found, -0.5, smallest) @ _power(wanted, 0.5, 0)


def _cholesky(
    found: NDArray[np.floating], wanted: NDArray[np.floating], smallest: float
) -> _Matrix:
    """Return the map for colors as rows, which is why the roots are transposed."""
    # A triangular root needs positive variances, so both covariances have the floor.
    low, high = (np.linalg.cholesky(_power(each, 1, smallest)) for each in (found, wanted))
    mapping: _Matrix = np.linalg.solve(low.T, high.T)
    return mapping


_MAPS: Mapping[str, Callable[[NDArray[np.floating], NDArray[np.floating], float], _Matrix]] = {
    "symmetric": _symmetric,
    "pca": _pca,
    "cholesky": _cholesky,
}


def _power(covariance: NDArray[np.floating], exponent: float, smallest: float) -> _Matrix:
    values, vectors = np.linalg.eigh(np.asarray(covariance, np.float64))
    powered: _Matrix = (vectors * np.maximum(values, smallest) ** exponent) @ vectors.T
    return powered
