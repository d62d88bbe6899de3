"""The self-similarity of a picture: how different its parts are from each other (Kolkin et al.
2019, "Style transfer by relaxed optimal transport and self-similarity").

As a content loss, it keeps the relations between the parts of a photograph and leaves their own
features free. The paper compares random positions by absolute differences. Here, the features are
averages over the cells of a grid, and the differences are squared, so that the loss is the same
function at each step and smooth, as L-BFGS needs it.
"""

from nst_core.quiet_tensorflow import tf
from nst_core.transfer.style_losses.averaging import averaged

SMALLEST_DISTANCE = 1e-6
LARGEST_SIDE = 32
"""The most cells along each side of the grid."""


def self_similarity(features: tf.Tensor) -> tf.Tensor:
    """Return the cosine distances between all pairs of cells, each row divided by its sum.

    Args:
        features: float32 (height, width, channels).

    Returns:
        float32 (cells, cells).
    """
    sides = [tf.minimum(tf.shape(features)[axis], LARGEST_SIDE) for axis in (0, 1)]
    rows = tf.reshape(averaged(features, *sides), [-1, features.shape[-1]])
    squares = tf.reduce_sum(tf.square(rows), axis=1, keepdims=True)
    directions = rows * tf.math.rsqrt(squares + 1e-12)
    distances = 1 - tf.matmul(directions, directions, transpose_b=True)
    # In a flat picture, distances are errors of rounding, which this keeps small.
    return distances / tf.reduce_sum(distances + SMALLEST_DISTANCE, axis=1, keepdims=True)


def with_channel(features: tf.Tensor) -> tf.Tensor:
    """Return `self_similarity` as (cells, cells, 1), which `AnySize` takes for a picture."""
    return self_similarity(features)[..., tf.newaxis]
