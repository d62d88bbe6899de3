"""Central moments of each channel (Kalischek, Wegner & Schindler 2021, "In the light of feature
distributions: moment matching for neural style transfer").

Moments describe more of a distribution than mean and variance do, such as its skewness. High powers
would be dominated by a few extreme activations. As in the paper, activations are therefore first
mapped to a bounded interval, here by u = z / sqrt(1 + z^2), where z is the number of the style's
standard deviations from the style's mean. This function flattens more slowly than a sigmoid, so
that gradients do not vanish for pictures far from the style.
"""

from collections.abc import Sequence
from math import comb

from nst_core.quiet_tensorflow import tf
from nst_core.transfer.style_losses.pooling import Samples, means, measured
from nst_core.transfer.style_losses.style_loss import LayerTarget, Targets, layer_by_layer
from nst_core.transfer.style_losses.weighted import mean_over_positions

HIGHEST = 5
"""The highest moment, as in the paper."""

SMALLEST_SHARE = 0.01
"""A share of the layer's mean variance that is added to each channel's variance, because a channel
that is nearly constant in the style would otherwise turn noise into large values."""


def moments(
    features: tf.Tensor, target: LayerTarget, weights: tf.Tensor | None = None
) -> tf.Tensor:
    """Return mean and central moments of orders 2 to 5 of each channel, mapped to (-1, 1).

    Args:
        features: float32 (height, width, channels).
        target: its `center` and `scale`, each (channels,), define the mapping.
        weights: of the positions, as in `mean_over_positions`.

    Returns:
        float32 (5, channels).
    """
    bounded = mapped(features, target)
    mean = mean_over_positions(bounded, weights)
    powers = [bounded - mean]
    for _ in range(2, HIGHEST + 1):
        powers.append(powers[-1] * powers[0])
    return tf.stack([mean, *(mean_over_positions(power, weights) for power in powers[1:])])


def mapped(features: tf.Tensor, target: LayerTarget) -> tf.Tensor:
    """Return features (..., channels) mapped to (-1, 1); see `moments`."""
    normal = tf.math.divide_no_nan(features - target["center"], target["scale"])
    return normal * tf.math.rsqrt(1 + tf.square(normal))


def mapping(center: tf.Tensor, variance: tf.Tensor) -> dict[str, tf.Tensor]:
    """Return the target's `center` and `scale` from a style's mean and variance, (channels,)."""
    scale = tf.sqrt(variance + SMALLEST_SHARE * tf.reduce_mean(variance))
    return {"center": center, "scale": scale}


def _target(features: tf.Tensor, weights: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
    if weights is None:
        center, variance = tf.nn.moments(features, axes=(0, 1))
    else:
        center = mean_over_positions(features, weights)
        variance = mean_over_positions(tf.square(features - center), weights)
    to_interval = mapping(center, variance)
    return {**to_interval, "moments": moments(features, to_interval, weights)}


def _pooled(samples: Samples) -> Targets:
    centers = means(samples, lambda _, features: tf.reduce_mean(features, axis=(0, 1)))
    variances = means(
        samples,
        lambda layer, features: tf.reduce_mean(
            tf.math.squared_difference(features, centers[layer]), axis=(0, 1)
        ),
    )
    mappings = {layer: mapping(center, variances[layer]) for layer, center in centers.items()}
    found = measured(samples, lambda layer, features: moments(features, mappings[layer]))
    return {
        layer: {**to_interval, "moments": _moments_of_all(found[layer])}
        for layer, to_interval in mappings.items()
    }


def _moments_of_all(found: Sequence[tf.Tensor]) -> tf.Tensor:
    """Return the moments of several equally large sets of values, from those of each set.

    A set whose mean differs by d from that of all has, around the latter, the moment of order k:
    the sum over j of C(k, j) m_j d^(k - j), where m_j are its own central moments.
    """
    each = tf.stack(found)
    mean = tf.reduce_mean(each[:, 0], axis=0)
    shift = each[:, 0] - mean
    own = [tf.ones_like(shift), tf.zeros_like(shift), *tf.unstack(each[:, 1:], axis=1)]
    around_all = [
        tf.reduce_mean(
            tf.add_n([comb(k, j) * own[j] * tf.pow(shift, k - j) for j in range(k + 1)]), axis=0
        )
        for k in range(2, HIGHEST + 1)
    ]
    return tf.stack([mean, *around_all])


def _loss(found: tf.Tensor, target: LayerTarget) -> tf.Tensor:
    """Return the mean of relative squared errors of all orders.

    An error of the mean is relative to the variance. An odd moment, which is 0 for a symmetric
    distribution, is relative to the power of the standard deviation that has its unit.
    """
    wanted = target["moments"]
    orders = tf.range(1, HIGHEST + 1, dtype=wanted.dtype)[:, tf.newaxis]
    usual = tf.pow(wanted[1], orders)
    units = tf.concat([usual[:1], tf.maximum(tf.square(wanted[1:]), usual[1:])], axis=0)
    errors = tf.reduce_sum(tf.square(found - wanted), axis=1)
    return tf.reduce_mean(tf.math.divide_no_nan(errors, tf.reduce_sum(units, axis=1)))


MOMENTS = layer_by_layer(_target, moments, _loss, _pooled)
