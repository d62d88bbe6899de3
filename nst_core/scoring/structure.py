"""How much of a content's structure a picture has: its large parts, and its edges."""

import numpy as np
from numpy.typing import NDArray

from nst_core.images.resize import fit, resize

PARTS_SIDE = 32
"""The longest side of the version whose pixels are the parts of a picture."""

EDGES_SIDE = 128
"""The longest side of the version in which edges are looked for."""

SMALLEST_VARIATION = 1e-6
"""The standard deviation below which there is nothing but rounding, of numbers from 0 to 100."""


def self_similarity_kept(result: NDArray[np.float32], content: NDArray[np.float32]) -> float:
    """Return how well the differences between a content's parts are kept, from -1 to 1.

    It is the correlation between the distances, in CIELAB, of all pairs of pixels in small versions
    of both pictures (Shechtman & Irani 2007: a picture's layout is what its parts have in common).
    Which colors they are does not matter, only which parts are similar.
    """
    return _correlation(_distances(_small(result)), _distances(_small(content)))


def edges_kept(result: NDArray[np.float32], content: NDArray[np.float32]) -> float:
    """Return how well a content's edges are kept, from -1 to 1.

    It is the correlation between the strengths of edges (Sobel's operator on lightness) in versions
    of both pictures that are too small to show brush strokes.
    """
    return _correlation(_edges(result), _edges(content))


def _small(pixels: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the pixels of a small version in CIELAB, (pixels, 3)."""
    from skimage.color import rgb2lab

    height, width = fit(pixels.shape[0], pixels.shape[1], PARTS_SIDE)
    lab: NDArray[np.float64] = rgb2lab(resize(pixels, height, width).astype(np.float64))
    return lab.reshape(-1, 3)


def _distances(points: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.spatial.distance import pdist

    found: NDArray[np.float64] = pdist(points)
    return found


def _edges(pixels: NDArray[np.float32]) -> NDArray[np.float64]:
    from scipy.ndimage import gaussian_filter, sobel
    from skimage.color import rgb2lab

    height, width = fit(pixels.shape[0], pixels.shape[1], EDGES_SIDE)
    lab = rgb2lab(resize(pixels, height, width).astype(np.float64))
    lightness = gaussian_filter(lab[..., 0], sigma=1)
    strengths = np.hypot(sobel(lightness, axis=0), sobel(lightness, axis=1))
    found: NDArray[np.float64] = gaussian_filter(strengths, sigma=1)
    return found


def _correlation(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    """Return Pearson's correlation; if a picture has no variation, 1 if neither has, else 0."""
    one, other = left - left.mean(), right - right.mean()
    flat = [values.std() < SMALLEST_VARIATION for values in (left, right)]
    if any(flat):
        return float(all(flat))
    return float(np.vdot(one, other) / np.linalg.norm(one) / np.linalg.norm(other))
