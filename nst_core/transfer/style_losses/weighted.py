"""Statistics over positions that have the weights of a region."""

from collections.abc import Callable

from nst_core.quiet_tensorflow import tf


def mean_over_positions(values: tf.Tensor, weights: tf.Tensor | None = None) -> tf.Tensor:
    """Return the mean of each channel over all positions, float32 (channels,).

    Args:
        values: float32 (height, width, channels).
        weights: of the positions, float32 (height, width, 1); None if all count the same.
    """
    if weights is None:
        return tf.reduce_mean(values, axis=(0, 1))
    sums = tf.reduce_sum(weights * values, axis=(0, 1))
    return tf.math.divide_no_nan(sums, tf.reduce_sum(weights))


def guided_gram_matrix(features: tf.Tensor, center: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Return G = sum_i T_i (F_i - c) (F_i - c)^T / sum_i T_i.

    Its gradient keeps nothing but the features, which the encoder keeps anyway.

    Args:
        features: F, float32 (height, width, channels).
        center: c, float32 (channels,).
        weights: T, float32 (height, width, 1).

    Returns:
        float32 (channels, channels).
    """
    total = tf.reduce_sum(weights)

    def gram(features: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            both = tf.math.divide_no_nan(upstream + tf.transpose(upstream), total)
            return weights * tf.tensordot(features - center, both, 1)

        rows, weighted = (
            tf.reshape(each, [-1, features.shape[-1]])
            for each in (features - center, weights * (features - center))
        )
        product = tf.matmul(weighted, rows, transpose_a=True)
        return tf.math.divide_no_nan(product, total), gradient

    return tf.custom_gradient(gram)(features)
