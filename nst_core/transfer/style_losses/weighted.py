"""Statistics over positions that have the weights of a region."""

from collections.abc import Callable, Sequence

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

    Args:
        features: F, float32 (height, width, channels).
        center: c, float32 (channels,).
        weights: T, float32 (height, width, 1).

    Returns:
        float32 (channels, channels).
    """
    (gram,) = guided_gram_matrices(features, [(center, weights)])
    return gram


def guided_gram_matrices(
    features: tf.Tensor, regions: Sequence[tuple[tf.Tensor, tf.Tensor]]
) -> tuple[tf.Tensor, ...]:
    """Return the guided Gram matrix of each region.

    The gradient keeps nothing but the features, which the encoder keeps anyway. Regions follow one
    after the other, so that eight take no more memory than two.

    Args:
        features: as in `guided_gram_matrix`.
        regions: center and weights of each region, likewise.
    """

    def grams(features: tf.Tensor) -> tuple[tuple[tf.Tensor, ...], Callable[..., tf.Tensor]]:
        def gradient(*upstreams: tf.Tensor) -> tf.Tensor:
            total = tf.zeros_like(features)
            for upstream, (center, weights) in zip(upstreams, regions, strict=True):
                with tf.control_dependencies([total]):
                    sums = upstream + tf.transpose(upstream)
                    both = tf.math.divide_no_nan(sums, tf.reduce_sum(weights))
                    total += weights * tf.tensordot(features - center, both, 1)
            return total

        found: list[tf.Tensor] = []
        for center, weights in regions:
            with tf.control_dependencies(found[-1:]):
                found.append(_guided_gram(features - center, weights))
        return tuple(found), gradient

    result: tuple[tf.Tensor, ...] = tf.custom_gradient(grams)(features)
    return result


def _guided_gram(centered: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    rows, weighted = (
        tf.reshape(each, [-1, centered.shape[-1]]) for each in (centered, weights * centered)
    )
    product = tf.matmul(weighted, rows, transpose_a=True)
    return tf.math.divide_no_nan(product, tf.reduce_sum(weights))
