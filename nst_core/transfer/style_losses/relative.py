"""The relative loss, in which losses of any unit can be compared."""

from nst_core.quiet_tensorflow import tf


def relative_loss(value: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Return the scalar sum((value - target)^2) / sum(target^2): 0 if equal, 1 if `value` is 0."""
    squared_norm = tf.reduce_sum(tf.square(target))
    return tf.math.divide_no_nan(tf.reduce_sum(tf.square(value - target)), squared_norm)
