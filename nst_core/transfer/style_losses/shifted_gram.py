"""Gram matrices between a picture and itself shifted in space (Berger & Memisevic 2016,
"Incorporating long-range consistency in CNN-based texture generation").

A Gram matrix does not know where activations are. One of activations and those some positions
further describes structure that is longer than what a single activation sees.
"""

from nst_core.quiet_tensorflow import tf
from nst_core.transfer.style_losses.pooling import Samples, means
from nst_core.transfer.style_losses.relative import relative_loss
from nst_core.transfer.style_losses.style_loss import LayerTarget, Targets, layer_by_layer

DISTANCES = (2, 4)
"""How many positions of a layer the activations are shifted, to the right and down."""


def shifted_gram_matrices(features: tf.Tensor, target: LayerTarget) -> tf.Tensor:
    """Return G_d = sum of (F(x) - c) (F(x + d) - c)^T / M for each shift d.

    M is the number of positions x for which x + d is in the picture, and c is the target's
    `center`, (channels,). If there is no such position, G_d is 0.

    Args:
        features: float32 (height, width, channels).
        target: has the center.

    Returns:
        float32 (shifts, channels, channels).
    """
    centered = features - target["center"]
    channels = features.shape[-1]
    grams = []
    for distance in DISTANCES:
        for here, there in (
            (centered[:, :-distance], centered[:, distance:]),
            (centered[:-distance], centered[distance:]),
        ):
            rows, shifted = (tf.reshape(part, [-1, channels]) for part in (here, there))
            count = tf.cast(tf.shape(rows)[0], rows.dtype)
            product = tf.matmul(rows, shifted, transpose_a=True)
            grams.append(tf.math.divide_no_nan(product, count))
    return tf.stack(grams)


def _target(features: tf.Tensor) -> dict[str, tf.Tensor]:
    center = {"center": tf.reduce_mean(features, axis=(0, 1))}
    return {**center, "grams": shifted_gram_matrices(features, center)}


def _pooled(samples: Samples) -> Targets:
    centers = means(samples, lambda _, features: tf.reduce_mean(features, axis=(0, 1)))
    grams = means(
        samples,
        lambda layer, features: shifted_gram_matrices(features, {"center": centers[layer]}),
    )
    return {layer: {"center": center, "grams": grams[layer]} for layer, center in centers.items()}


SHIFTED_GRAM = layer_by_layer(
    _target,
    shifted_gram_matrices,
    lambda found, target: relative_loss(found, target["grams"]),
    _pooled,
)
