"""The Wasserstein-2 distance between normal distributions with the features' mean and covariance.

For means m, n and covariances S, T, its square is |m - n|^2 + tr S + tr T - 2 tr (R S R)^(1/2),
where R is the square root of T (Dowson & Landau 1982; the part of the covariances is the squared
Bures distance). K. Crowson's style-transfer-pytorch uses it as a style loss.

The square root comes from an eigendecomposition in float64. Newton-Schulz iterations need only
products of matrices, but they converge slowly for covariances of features, which are nearly
singular. The gradient of the trace is R (R S R)^(-1/2) R, in closed form, because TensorFlow's
gradient of eigenvectors is infinite where eigenvalues are equal.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from nst_core.quiet_tensorflow import tf
from nst_core.transfer.style_losses.pooling import (
    Array,
    Named,
    Samples,
    means,
    measured,
    weighted_mean,
)
from nst_core.transfer.style_losses.style_loss import LayerTarget, Targets, layer_by_layer
from nst_core.transfer.style_losses.weighted import guided_gram_matrix, mean_over_positions

NOISE = 1e-3
"""White noise that is added to both distributions, as a share of the style's mean variance.

Without it, covariances may be singular (at a small octave, a layer has more channels than
positions), and the gradient infinite."""

MOST_ROUNDS = 30
"""The most steps toward a barycenter; a few suffice, and for two styles one does."""

CLOSE_ENOUGH = 1e-6
"""The relative change of a covariance at which it is taken for the barycenter."""

_Matrix = NDArray[np.float64]


def _mean_and_covariance(
    features: tf.Tensor, weights: tf.Tensor | None = None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the mean (channels,) and covariance (channels, channels) of features."""
    if weights is not None:
        mean = mean_over_positions(features, weights)
        # The gradient for this center is 0, because it is the mean.
        return mean, guided_gram_matrix(features, mean, weights)
    rows = tf.reshape(features, [-1, features.shape[-1]])
    mean = tf.reduce_mean(rows, axis=0)
    rows -= mean
    return mean, tf.matmul(rows, rows, transpose_a=True) / tf.cast(tf.shape(rows)[0], rows.dtype)


def _target(features: tf.Tensor, weights: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
    return normal_distribution(*_mean_and_covariance(features, weights))


def normal_distribution(mean: tf.Tensor, covariance: tf.Tensor) -> dict[str, tf.Tensor]:
    """Return the target from a style's mean (channels,) and covariance (channels, channels)."""
    covariance = covariance.numpy().astype(np.float64)
    noise = NOISE * np.trace(covariance) / len(covariance)
    values, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0) + noise)) @ vectors.T
    as_tensor = {"root": root, "noise": noise}
    return {"mean": mean, **{name: tf.constant(it, tf.float32) for name, it in as_tensor.items()}}


def trace_of_root(covariance: tf.Tensor, root: tf.Tensor) -> tf.Tensor:
    """Return tr (R S R)^(1/2) of positive definite matrices S and R.

    Args:
        covariance: S, float64 (channels, channels).
        root: R, likewise; it is a constant for the gradient.
    """

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def trace(covariance: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        product = root @ covariance @ root
        # TensorFlow ends the program if there is no decomposition; the loss is not finite then.
        is_finite = tf.reduce_all(tf.math.is_finite(product))
        values, vectors = tf.linalg.eigh(tf.where(is_finite, product, tf.zeros_like(product)))
        # Rounding may make the smallest eigenvalues negative.
        smallest = np.finfo(np.float64).eps * values[-1]
        roots = tf.sqrt(tf.maximum(values, smallest))

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            turned = root @ vectors
            inverse = tf.math.divide_no_nan(turned, roots) @ tf.transpose(turned)
            return upstream * inverse / 2

        return tf.reduce_sum(roots), gradient

    result: tf.Tensor = trace(covariance)
    return result


def _loss(found: tuple[tf.Tensor, tf.Tensor], target: LayerTarget) -> tf.Tensor:
    """Return the squared distance, relative to the style's variance."""
    mean, covariance = (tf.cast(tensor, tf.float64) for tensor in found)
    wanted, root, noise = (tf.cast(target[name], tf.float64) for name in ("mean", "root", "noise"))
    noisy = covariance + noise * tf.eye(root.shape[0], dtype=tf.float64)
    variance = tf.reduce_sum(tf.square(root))
    bures = tf.linalg.trace(noisy) + variance - 2 * trace_of_root(noisy, root)
    distance = tf.reduce_sum(tf.square(mean - wanted)) + bures
    return tf.cast(tf.math.divide_no_nan(distance, variance), tf.float32)


def _pooled(samples: Samples) -> Targets:
    centers = means(samples, lambda _, features: tf.reduce_mean(features, axis=(0, 1)))
    found = measured(samples, lambda _, features: _mean_and_covariance(features))
    targets = {}
    for layer, of_pictures in found.items():
        # The covariance around the mean of all is the mean one, and that of the means.
        shifts = tf.stack([mean - centers[layer] for mean, _ in of_pictures])
        within = tf.add_n([covariance for _, covariance in of_pictures]) / len(of_pictures)
        between = tf.matmul(shifts, shifts, transpose_a=True) / len(of_pictures)
        targets[layer] = normal_distribution(centers[layer], within + between)
    return targets


def barycenter(covariances: Sequence[_Matrix], shares: Sequence[float]) -> _Matrix:
    """Return the covariance of the Wasserstein barycenter of normal distributions.

    It is the fixed point of S -> T S T, where T is the weighted mean of the optimal maps from S to
    each covariance S_k, R^-1 (R S_k R)^(1/2) R^-1, and R is the root of S (Agueh & Carlier 2011;
    Alvarez-Esteban et al. 2016, "A fixed-point approach to barycenters in Wasserstein space"). Its
    mean is the weighted mean of the means.

    Args:
        covariances: positive definite, float64 (channels, channels).
        shares: their weights, which add up to 1.
    """
    current = covariances[0]
    for _ in range(MOST_ROUNDS):
        root, inverse = _power(current, 0.5), _power(current, -0.5)
        between = [
            share * _power(root @ covariance @ root, 0.5)
            for covariance, share in zip(covariances, shares, strict=True)
        ]
        mapping = inverse @ sum(between) @ inverse
        following = mapping @ current @ mapping
        change = np.linalg.norm(following - current)
        current = (following + following.T) / 2
        if change <= CLOSE_ENOUGH * np.linalg.norm(current):
            break
    return current


def _power(matrix: _Matrix, exponent: float) -> _Matrix:
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    # Rounding may make the smallest eigenvalues of a product negative.
    powered: _Matrix = (
        vectors * np.maximum(values, np.finfo(np.float64).eps * values[-1]) ** exponent
    ) @ vectors.T
    return powered


def _blended(targets: Sequence[Named], shares: Sequence[float]) -> dict[str, Array]:
    roots = [target["root"].astype(np.float64) for target in targets]
    if not all(map(np.any, roots)):
        # A style without any structure is a point, and the maps from and to it do not exist.
        root = weighted_mean([target["root"] for target in targets], shares).astype(np.float64)
    else:
        root = _power(barycenter([root @ root for root in roots], shares), 0.5)
    noise = NOISE / (1 + NOISE) * np.sum(root**2) / len(root)
    return {
        "mean": weighted_mean([target["mean"] for target in targets], shares),
        "root": root.astype(np.float32),
        # A scalar that was read from a file is an array of one number.
        "noise": np.asarray(noise, np.float32).reshape(targets[0]["noise"].shape),
    }


WASSERSTEIN = layer_by_layer(
    _target,
    lambda features, _, weights=None: _mean_and_covariance(features, weights),
    _loss,
    _pooled,
    _blended,
)
