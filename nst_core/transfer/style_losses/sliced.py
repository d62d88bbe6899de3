"""The sliced Wasserstein distance (Heitz et al. 2021, "A sliced Wasserstein loss for neural texture
synthesis"): distributions of features, compared along random directions.

Heitz et al. draw new directions at each step. L-BFGS, the best picture so far and the end at a
plateau compare losses of different steps, which must therefore be the same function. So the
directions are fixed at each octave. They are as many as channels and orthogonal to each other, so
that no part of the features is left out. They are drawn from the shape of the style's features
alone, and not for each row, so that all rows share the targets of a style. Styles that are blended
need the same directions, whatever their shapes are; these are drawn for each octave.
"""

from collections.abc import Sequence

import numpy as np

from nst_core.quiet_tensorflow import tf
from nst_core.transfer.style_losses.pooling import Array, Named, Samples, measured, weighted_mean
from nst_core.transfer.style_losses.quantiles import quantile_loss, quantiles, quantiles_of_all
from nst_core.transfer.style_losses.style_loss import LayerTarget, Targets, layer_by_layer


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


def _pooled(samples: Samples) -> Targets:
    first = next(iter(samples))
    drawn = {
        layer: random_directions(tuple(features.shape), features.shape[-1])
        for layer, features in first.items()
    }
    return _along(drawn, samples)


def _to_blend(samples: Samples, octave: int) -> Targets:
    first = next(iter(samples))
    drawn = {
        layer: random_directions((octave, features.shape[-1]), features.shape[-1])
        for layer, features in first.items()
    }
    return _along(drawn, samples)


def _along(drawn: dict[str, tf.Tensor], samples: Samples) -> Targets:
    """Return the targets of samples along the given directions of each layer."""
    found = measured(
        samples,
        lambda layer, features: projected_quantiles(features, {"directions": drawn[layer]}),
    )
    return {
        layer: {"directions": directions, "quantiles": quantiles_of_all(found[layer])}
        for layer, directions in drawn.items()
    }


def _blended(targets: Sequence[Named], shares: Sequence[float]) -> dict[str, Array]:
    """Return the means of quantiles: the Wasserstein barycenter along each direction."""
    directions = targets[0]["directions"]
    if not all(np.array_equal(target["directions"], directions) for target in targets):
        raise ValueError("found targets along different directions, expected those of a blend")
    quantiles = weighted_mean([target["quantiles"] for target in targets], shares)
    return {"directions": directions, "quantiles": quantiles}


SLICED = layer_by_layer(
    _target,
    projected_quantiles,
    lambda found, target: quantile_loss(found, target["quantiles"]),
    _pooled,
    _blended,
    _to_blend,
)
