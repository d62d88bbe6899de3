"""The sliced Wasserstein distance (Heitz et al. 2021, "A sliced Wasserstein loss for neural texture
synthesis"): distributions of features, compared along random directions.

Heitz et al. draw new directions at each step. L-BFGS, the best picture so far and the end at a
plateau compare losses of different steps, which must therefore be the same function. So the
directions are fixed at each octave. They are as many as channels and orthogonal to each other, so
that no part of the features is left out. They are drawn from the shape of the style's features
alone, and not for each row, so that all rows share the targets of a style.
"""

import numpy as np

from nst_core.quiet_tensorflow import tf
from nst_core.transfer.style_losses.quantiles import quantile_loss, quantiles
from nst_core.transfer.style_losses.style_loss import LayerTarget, layer_by_layer


def random_directions(seed: tuple[int, ...], channels: int) -> tf.Tensor:
    """Return orthogonal unit vectors as rows, float32 (channels, channels)."""
    drawn = np.random.default_rng(seed).normal(size=(channels, channels))
    directions, _ = np.linalg.qr(drawn)
    return tf.constant(directions, tf.float32)


def projected_quantiles(features: tf.Tensor, target: LayerTarget) -> tf.Tensor:
    """Return the quantiles of features along each of the target's directions.

    Args:
        features: float32 (height, width, channels).
        target: has `directions`, unit vectors as rows, float32 (directions, channels).

    Returns:
        float32 (directions, 256).
    """
    rows = tf.reshape(features, [-1, features.shape[-1]])
    return quantiles(tf.matmul(target["directions"], rows, transpose_b=True))


def _target(features: tf.Tensor) -> dict[str, tf.Tensor]:
    shape = tuple(features.shape)
    directions = {"directions": random_directions(shape, shape[-1])}
    return {**directions, "quantiles": projected_quantiles(features, directions)}


SLICED = layer_by_layer(
    _target,
    projected_quantiles,
    lambda found, target: quantile_loss(found, target["quantiles"]),
)
