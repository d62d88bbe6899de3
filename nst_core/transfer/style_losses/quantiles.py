"""Distributions in one dimension as quantiles, and the Wasserstein-2 distance between them.

In one dimension, that distance compares sorted values. A picture and a style have different numbers
of values, so both are reduced to as many quantiles: means of equally many sorted values. Each value
of the picture is in one of these means, and so has a gradient.
"""

from collections.abc import Sequence

from nst_core.quiet_tensorflow import tf

COUNT = 256
"""The number of quantiles."""


def quantiles(rows: tf.Tensor) -> tf.Tensor:
    """Return 256 quantiles of each row, from the lowest to the highest.

    Args:
        rows: float32 (rows, values), of any number of values.

    Returns:
        float32 (rows, 256).
    """
    ascending = tf.sort(rows, axis=-1)
    values = tf.shape(rows)[1]
    of_each = -(-values // COUNT)
    # If the values cannot be divided evenly, some count twice.
    samples = COUNT * of_each
    ranks = tf.cast(tf.range(samples), tf.float64) + 0.5
    ranks = tf.cast(ranks * tf.cast(values / samples, tf.float64), tf.int32)
    sampled = tf.gather(ascending, tf.minimum(ranks, values - 1), axis=1)
    return tf.reduce_mean(tf.reshape(sampled, [-1, COUNT, of_each]), axis=2)


def quantiles_of_all(found: Sequence[tf.Tensor]) -> tf.Tensor:
    """Return the quantiles of equally large sets of values, from those of each set.

    Each quantile stands for 1/256 of the values of its set.

    Args:
        found: float32 (rows, 256), for each set.

    Returns:
        float32 (rows, 256).
    """
    return quantiles(tf.concat(found, axis=1))


def quantile_loss(found: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
    """Return the squared distance between distributions, relative to the variance of `wanted`.

    Args:
        found, wanted: float32 (rows, 256), a distribution in each row.

    Returns:
        A float32 scalar: 0 if they are equal, and 1 if `found` is the mean of `wanted`.
    """
    spread = wanted - tf.reduce_mean(wanted, axis=1, keepdims=True)
    errors = tf.reduce_sum(tf.square(found - wanted))
    return tf.math.divide_no_nan(errors, tf.reduce_sum(tf.square(spread)))
