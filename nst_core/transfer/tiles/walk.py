"""Walks over the tiles of a picture, and the activations of a tile without its margins."""

from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nst_core.quiet_tensorflow import tf
from nst_core.transfer.tiles.grid import Grid


class Span(NamedTuple):
    """A tile along one side of a picture, in pixels.

    Each is an integer, or an int32 scalar; compiled functions take them as tensors.

    Attributes:
        start, stop: where its margins begin and end, within the picture.
        begin, end: where the tile itself begins and ends.
        is_last: 1 if no tile comes after it, or else 0.
    """

    start: Any
    begin: Any
    end: Any
    stop: Any
    is_last: Any

    @property
    def whole(self) -> slice:
        """Where the tile is with its margins."""
        return slice(self.start, self.stop)

    def positions(self, length: tf.Tensor, stride: int, halo: int) -> tuple[tf.Tensor, ...]:
        """Return begin and end of the tile at a layer, and the end with positions beyond it.

        Args:
            length: number of positions at the layer, of the tile with its margins.
            stride: of the layer, in pixels.
            halo: how many positions beyond the tile are asked for; there may be fewer.
        """
        begin = (self.begin - self.start) // stride
        end = tf.where(tf.equal(self.is_last, 1), length, (self.end - self.start) // stride)
        return begin, end, tf.minimum(end + halo, length)


class Tile(NamedTuple):
    """A tile; its margins are clipped at the edges of the picture."""

    rows: Span
    columns: Span

    def of(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the tile of a picture (height, width, channels), with its margins, as a view."""
        return pixels[self.rows.whole, self.columns.whole]

    def as_tensors(self) -> "Tile":
        """Return the same with int32 scalars as tensors."""
        tile: Tile = tf.nest.map_structure(tf.constant, self)
        return tile


def tiles_of(pixels: NDArray[np.float32], grid: Grid) -> Iterator[Tile]:
    """Yield the tiles of a picture (height, width, 3), from the top left to the bottom right."""
    rows, columns = ([*_spans(side, grid)] for side in pixels.shape[:2])
    yield from (Tile(*spans) for spans in product(rows, columns))


def _spans(side: int, grid: Grid) -> Iterator[Span]:
    for begin in range(0, side, grid.core):
        end = min(begin + grid.core, side)
        start, stop = max(begin - grid.margin, 0), min(end + grid.margin, side)
        yield Span(start, begin, end, stop, int(end == side))


class Core(NamedTuple):
    """The activations of a tile without its margins.

    Attributes:
        features: float32 (rows, columns, channels), with some positions below and to the right.
        height, width: int32 scalars, without these positions; they may be 0.
    """

    features: tf.Tensor
    height: tf.Tensor
    width: tf.Tensor

    @property
    def rows(self) -> tf.Tensor:
        """The activations as rows, float32 (height x width, channels)."""
        inner = self.features[: self.height, : self.width]
        return tf.reshape(inner, [-1, self.features.shape[-1]])


def core_of(features: tf.Tensor, tile: Tile, stride: int, halo: int = 0) -> Core:
    """Return the activations of a tile, from those of the tile with its margins.

    Args:
        features: float32 (height, width, channels).
        tile: the tile.
        stride: of the layer, in pixels.
        halo: how many positions below and to the right are asked for; at the edges of the picture,
            there are fewer.
    """
    (top, bottom, below), (left, right, beyond) = (
        span.positions(tf.shape(features)[axis], stride, halo) for axis, span in enumerate(tile)
    )
    return Core(features[top:below, left:beyond], bottom - top, right - left)
