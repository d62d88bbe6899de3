"""Averages of features over the cells of a grid, with a gradient on every device."""

from collections.abc import Mapping

from nst_core.quiet_tensorflow import tf


def averaged(features: tf.Tensor, height: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    """Return the mean of features over each cell of a grid that divides the picture evenly.

    Args:
        features: float32 (rows, columns, channels), of any size.
        height, width: int32 scalars; the grid may also be finer than the features.

    Returns:
        float32 (height, width, channels).
    """
    down = _shares(tf.shape(features)[0], height)
    across = _shares(tf.shape(features)[1], width)
    of_rows = tf.einsum("hr,rcn->hcn", down, features)
    result: tf.Tensor = tf.einsum("wc,hcn->hwn", across, of_rows)
    return result


def _shares(given: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
    """Return which share of each cell comes from which position, float32 (wanted, given)."""
    size = tf.cast(given / wanted, tf.float32)
    begin = tf.cast(tf.range(wanted), tf.float32)[:, tf.newaxis] * size
    position = tf.cast(tf.range(given), tf.float32)
    overlap = tf.minimum(begin + size, position + 1) - tf.maximum(begin, position)
    return tf.maximum(overlap, 0) / size


def quarter_grid(features: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    """Return height and width of a grid with a quarter of the largest layer's sides."""
    heights, widths = ([tf.shape(of)[axis] for of in features.values()] for axis in (0, 1))
    return tuple(tf.maximum(tf.reduce_max(sides) // 4, 1) for sides in (heights, widths))
