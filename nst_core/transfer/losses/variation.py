"""Kinds of total variation, as pure functions of pixels.

All have a gradient everywhere, as L-BFGS needs. Those in `VARIATIONS` are means over the picture,
so that their weight means the same at each size, and about as large as mean(dx^2) + mean(dy^2) or
its root.
"""

from collections.abc import Callable, Mapping

from nst_core.quiet_tensorflow import tf
from nst_core.transfer.settings import TvKind

SMALLEST_STEP = 1 / 255
"""Differences far below this one count by their squares, so that the gradient of the absolute
value does not jump at 0."""


def total_variation(pixels: tf.Tensor) -> tf.Tensor:
    """Return mean(dx^2) + mean(dy^2) between neighbors in (height, width, channels), a scalar."""
    across, down = _differences(pixels)
    return tf.reduce_mean(tf.square(across)) + tf.reduce_mean(tf.square(down))


def summed_variation(pixels: tf.Tensor) -> tf.Tensor:
    """Return sum(dx^2) / 2 + sum(dy^2) / 2, a scalar."""
    across, down = _differences(pixels)
    return tf.nn.l2_loss(across) + tf.nn.l2_loss(down)


def common_variation(pixels: tf.Tensor) -> tf.Tensor:
    """Return `summed_variation` over pixels with a neighbor both to the right and below."""
    across, down = _differences(pixels)
    return tf.nn.l2_loss(across[:-1]) + tf.nn.l2_loss(down[:, :-1])


def _differences(pixels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return pixels[:, 1:] - pixels[:, :-1], pixels[1:] - pixels[:-1]


def absolute_variation(pixels: tf.Tensor) -> tf.Tensor:
    """Return mean |dx| + mean |dy| between neighbors in (height, width, channels), a scalar.

    |d| is sqrt(d^2 + s^2) - s, where s is `SMALLEST_STEP` (Charbonnier et al. 1994).
    """
    across, down = _differences(pixels)
    return tf.reduce_mean(absolute_difference(across)) + tf.reduce_mean(absolute_difference(down))


def absolute_difference(differences: tf.Tensor) -> tf.Tensor:
    """Return |d| for each difference d, as `absolute_variation` defines it."""
    return tf.sqrt(tf.square(differences) + SMALLEST_STEP**2) - SMALLEST_STEP


def nine_point_variation(pixels: tf.Tensor) -> tf.Tensor:
    """Return the mean of squared differences from all eight neighbors, a scalar.

    It is 2/3 (mean(dx^2) + mean(dy^2)) + 1/6 (mean(d1^2) + mean(d2^2)), where d1 and d2 are the
    diagonal differences. Its gradient is the nine-point stencil of the Laplacian, which, unlike
    that of five points, is nearly the same in all directions. For smooth pictures, it equals
    mean(dx^2) + mean(dy^2). K. Crowson's style-transfer-pytorch also uses nine points.

    Args:
        pixels: (height, width, channels), at least 2 pixels on each side.
    """
    across, down = pixels[:, 1:] - pixels[:, :-1], pixels[1:] - pixels[:-1]
    falling, rising = pixels[1:, 1:] - pixels[:-1, :-1], pixels[1:, :-1] - pixels[:-1, 1:]
    edges = tf.reduce_mean(tf.square(across)) + tf.reduce_mean(tf.square(down))
    diagonals = tf.reduce_mean(tf.square(falling)) + tf.reduce_mean(tf.square(rising))
    return edges * (2 / 3) + diagonals / 6


VARIATIONS: Mapping[TvKind, Callable[[tf.Tensor], tf.Tensor]] = {
    "l1": absolute_variation,
    "9-point": nine_point_variation,
}
"""The kinds that take the place of the variation of a convention; `l2` leaves it as it is."""
