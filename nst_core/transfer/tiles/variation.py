"""Total variation of a large picture, strip by strip.

Each kind of total variation is a sum of terms, one for each direction: the mean, or the sum, of
what a function returns for the differences between neighbors in that direction. A strip of rows has
the differences that begin in it, so it is taken with the row below.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from nst_core.quiet_tensorflow import tf
from nst_core.transfer.any_size import AnySize
from nst_core.transfer.losses.variation import (
    absolute_difference,
    absolute_variation,
    common_variation,
    nine_point_variation,
    summed_variation,
    total_variation,
)
from nst_core.transfer.tiles.arrays import Array

ROWS = 64
"""Rows in a strip."""


class Direction(NamedTuple):
    """Differences between neighbors in one direction.

    Attributes:
        down, right: how far the neighbor is; `right` may be negative.
        factor: what the mean or the sum of the differences is multiplied by.
    """

    down: int
    right: int
    factor: float


class Kind(NamedTuple):
    """A kind of total variation.

    Attributes:
        of_difference: the function of each difference.
        is_mean: whether the mean counts, and not the sum.
        directions: those that count.
        reach: how many neighbors below and to the right a pixel needs to count in any direction.
    """

    of_difference: Callable[[tf.Tensor], tf.Tensor]
    is_mean: bool
    directions: tuple[Direction, ...]
    reach: int = 0


ACROSS_AND_DOWN = (Direction(0, 1, 1), Direction(1, 0, 1))
HALVES = (Direction(0, 1, 0.5), Direction(1, 0, 0.5))

KINDS: Mapping[Callable[[tf.Tensor], tf.Tensor], Kind] = {
    total_variation: Kind(tf.square, True, ACROSS_AND_DOWN),
    absolute_variation: Kind(absolute_difference, True, ACROSS_AND_DOWN),
    summed_variation: Kind(tf.square, False, HALVES),
    common_variation: Kind(tf.square, False, HALVES, reach=1),
    nine_point_variation: Kind(
        *(tf.square, True),
        (
            *(Direction(0, 1, 2 / 3), Direction(1, 0, 2 / 3)),
            *(Direction(1, 1, 1 / 6), Direction(1, -1, 1 / 6)),
        ),
    ),
}
"""All functions of `variation`, taken apart."""


class TiledVariation:
    """A total variation of pictures of any size.

    Args:
        variation: a function in `KINDS`.
        scale: what the pixels are multiplied by first.
    """

    def __init__(self, variation: Callable[[tf.Tensor], tf.Tensor], scale: float) -> None:
        self._kind, self._scale = KINDS[variation], scale
        self._strip = AnySize.of(self._of_strip)

    def __call__(
        self, pixels: Array, gradient: Array | None = None, weight: float = 0.0
    ) -> np.float32:
        """Return the loss of a picture (height, width, 3).

        Args:
            pixels: the picture.
            gradient: an array to which the gradient is added, if there is one.
            weight: what the gradient is multiplied by first.
        """
        height, width, _ = pixels.shape
        total = np.float64(0)
        for top in range(0, height, ROWS):
            rows = slice(top, min(top + ROWS + 1, height))
            owned = min(ROWS, height - top)
            loss, of_strip = self._strip(
                *(tf.constant(pixels[rows]), tf.constant(owned)),
                tf.constant(self._factors(height, width), tf.float32),
            )
            total += float(loss)
            if gradient is not None:
                gradient[rows] += np.float32(weight) * of_strip.numpy()
        return np.float32(total)

    def _factors(self, height: int, width: int) -> list[float]:
        """Return what the sum over each direction is multiplied by."""
        if not self._kind.is_mean:
            return [direction.factor for direction in self._kind.directions]
        return [
            factor / (3 * (height - down) * (width - abs(right)))
            for down, right, factor in self._kind.directions
        ]

    def _of_strip(self, strip: tf.Tensor, owned: Any, factors: tf.Tensor) -> Any:
        """Return the loss and the gradient of the differences that begin in the strip's rows."""
        kind = self._kind
        with tf.GradientTape() as tape:
            tape.watch(strip)
            scaled = strip * self._scale
            losses = [
                tf.reduce_sum(kind.of_difference(self._differences(scaled, owned, direction)))
                for direction in kind.directions
            ]
            loss = tf.tensordot(factors, tf.stack(losses), 1)
        return loss, tape.gradient(loss, strip)

    def _differences(self, strip: tf.Tensor, owned: Any, direction: Direction) -> tf.Tensor:
        down, right = direction.down, abs(direction.right)
        below, beyond = max(down, self._kind.reach), max(right, self._kind.reach)
        height = tf.minimum(owned, tf.shape(strip)[0] - below)
        width = tf.shape(strip)[1] - beyond
        from_left, to_left = (right, 0) if direction.right < 0 else (0, right)
        here = strip[:height, from_left : from_left + width]
        return strip[down : down + height, to_left : to_left + width] - here
