"""Style losses at one layer in NumPy and float64, written independently of the TensorFlow code.

Each function compares a picture's features with a style's, both (height, width, channels).
"""

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

Array = NDArray[np.float64]


def rows_of(features: Array) -> Array:
    return features.reshape(-1, features.shape[2])


def central_moments(features: Array, style: Array) -> list[Array]:
    """Return the mean and the central moments of orders 2 to 5, after the map to (-1, 1)."""
    rows, of_style = rows_of(features), rows_of(style)
    variance = of_style.var(axis=0)
    normal = (rows - of_style.mean(axis=0)) / np.sqrt(variance + 0.01 * variance.mean())
    bounded = np.sin(np.arctan(normal))
    mean = bounded.mean(axis=0)
    return [mean, *(((bounded - mean) ** order).mean(axis=0) for order in range(2, 6))]


def moments(features: Array, style: Array) -> float:
    found, wanted = central_moments(features, style), central_moments(style, style)
    deviation = np.sqrt(wanted[1])
    losses = [((found[0] - wanted[0]) ** 2).sum() / (deviation**2).sum()]
    for order in range(2, 6):
        unit = np.maximum(np.abs(wanted[order - 1]), deviation**order)
        losses.append(((found[order - 1] - wanted[order - 1]) ** 2).sum() / (unit**2).sum())
    return float(np.mean(losses))


def wasserstein(features: Array, style: Array) -> float:
    """Return the squared distance by the textbook's formula, with SciPy's square root."""
    means = [rows_of(of).mean(axis=0) for of in (features, style)]
    first, second = (np.cov(rows_of(of), rowvar=False, bias=True) for of in (features, style))
    noise = 1e-3 * np.trace(second) / len(second) * np.eye(len(second))
    first, second = first + noise, second + noise
    root = scipy.linalg.sqrtm(second)
    cross = np.real(np.trace(scipy.linalg.sqrtm(root @ first @ root)))
    distance = ((means[0] - means[1]) ** 2).sum() + np.trace(first) + np.trace(second) - 2 * cross
    return float(distance / np.trace(second))


def shifted_gram(features: Array, style: Array) -> float:
    """Return the loss of products with features 2 and 4 positions to the right and down."""
    center = style.mean(axis=(0, 1))
    errors = norms = 0.0
    for down, right in ((0, 2), (2, 0), (0, 4), (4, 0)):
        products = []
        for of in (features - center, style - center):
            height, width, channels = of.shape
            height, width = max(height - down, 0), max(width - right, 0)
            total = np.zeros((channels, channels))
            for y, x in np.ndindex(height, width):
                total += np.outer(of[y, x], of[y + down, x + right])
            products.append(total / max(height * width, 1))
        errors += ((products[0] - products[1]) ** 2).sum()
        norms += (products[1] ** 2).sum()
    return float(errors / norms)


def quantiles(values: Array) -> Array:
    """Return 256 quantiles of a list of numbers, each the mean of equally many of them.

    As many copies of each number as necessary make every other number of quantiles possible, but a
    list whose length 256 does not divide is sampled at the centers of equal intervals.
    """
    each = int(np.ceil(len(values) / 256))
    centers = (np.arange(256 * each) + 0.5) / (256 * each)
    sampled = np.quantile(values, centers, method="inverted_cdf")
    return sampled.reshape(256, each).mean(axis=1)


def distributions(features: Array, style: Array) -> float:
    """Return the loss of the distributions of the last axis, all with their own quantiles."""
    errors = norms = 0.0
    for found, wanted in zip(rows_of(features).T, rows_of(style).T, strict=True):
        errors += ((quantiles(found) - quantiles(wanted)) ** 2).sum()
        norms += ((quantiles(wanted) - wanted.mean()) ** 2).sum()
    return float(errors / norms)


def sliced(features: Array, style: Array) -> float:
    drawn = np.random.default_rng(style.shape).normal(size=(style.shape[2],) * 2)
    directions, _ = np.linalg.qr(drawn)
    return distributions(features @ directions.T, style @ directions.T)


def cells(features: Array) -> Array:
    """Return the means of squares of 4 x 4 positions, as rows; the sides must be multiples of 4."""
    height, width, channels = features.shape
    squares = features.reshape(height // 4, 4, width // 4, 4, channels)
    return squares.mean(axis=(1, 3)).reshape(-1, channels)


def neighbors(features: Array, style: Array) -> float:
    of_style = cells(style)
    found, wanted = (cells(of) - of_style.mean(axis=0) for of in (features, style))
    found, wanted = (
        rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        for rows in (found, wanted)
    )
    return float((1 - (found @ wanted.T).max(axis=1)).mean())


REFERENCES = {
    "moments": moments,
    "wasserstein": wasserstein,
    "shifted-gram": shifted_gram,
    "sliced": sliced,
    "histogram": distributions,
    "neighbors": neighbors,
}
"""Every style loss but that of Gram matrices, by its name."""
