"""Walks over the tiles of a picture, in TensorFlow operations, for pictures of any size."""

from collections.abc import Callable
from typing import Any, NamedTuple

from nst_core.quiet_tensorflow import tf
from nst_core.transfer.tiles.grid import Grid


class Span(NamedTuple):
    """A tile along one side of a picture, in pixels, as int32 scalars.

    Attributes:
        start, stop: where its margins begin and end, within the picture.
        begin, end: where the tile itself begins and ends.
        is_last: whether no tile comes after it, as a boolean scalar.
    """

    start: tf.Tensor
    begin: tf.Tensor
    end: tf.Tensor
    stop: tf.Tensor
    is_last: tf.Tensor

    def positions(self, length: tf.Tensor, stride: int, halo: int) -> tuple[tf.Tensor, ...]:
        """Return begin and end of the tile at a layer, and the end with positions beyond it.

        Args:
            length: number of positions at the layer, of the tile with its margins.
            stride: of the layer, in pixels.
            halo: how many positions beyond the tile are asked for; there may be fewer.
        """
        begin = (self.begin - self.start) // stride
        end = tf.where(self.is_last, length, (self.end - self.start) // stride)
        return begin, end, tf.minimum(end + halo, length)


class Tile(NamedTuple):
    """A tile; its margins are clipped at the edges of the picture."""

    rows: Span
    columns: Span

    def of(self, pixels: tf.Tensor) -> tf.Tensor:
        """Return the tile of a picture (height, width, channels), with its margins."""
        return pixels[self.rows.start : self.rows.stop, self.columns.start : self.columns.stop]

    def added(self, pixels: tf.Tensor, part: tf.Tensor) -> tf.Tensor:
        """Return a picture to which a tile with its margins, as `of` returns it, is added."""
        rows, columns = (tf.range(span.start, span.stop) for span in self)
        places = tf.stack(tf.meshgrid(rows, columns, indexing="ij"), axis=-1)
        return tf.tensor_scatter_nd_add(pixels, places, part)


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


def fold(pixels: tf.Tensor, grid: Grid, add: Callable[[Any, Tile], Any], state: Any) -> Any:
    """Return the state after all tiles of a picture, from the top left to the bottom right.

    Args:
        pixels: the picture, (height, width, channels).
        grid: its tiles.
        add: function of a state and a tile; it returns the next state.
        state: tensors in any structure, whose shapes stay the same.
    """
    height, width = tf.shape(pixels)[0], tf.shape(pixels)[1]
    down, across = (-(-side // grid.core) for side in (height, width))

    def step(index: tf.Tensor, so_far: Any) -> tuple[tf.Tensor, Any]:
        rows = _span(index // across, height, grid)
        return index + 1, add(so_far, Tile(rows, _span(index % across, width, grid)))

    _, final = tf.while_loop(
        lambda index, _: index < down * across, step, (tf.constant(0), state), parallel_iterations=1
    )
    return final


def _span(index: tf.Tensor, side: tf.Tensor, grid: Grid) -> Span:
    begin = index * grid.core
    end = tf.minimum(begin + grid.core, side)
    return Span(
        start=tf.maximum(begin - grid.margin, 0),
        begin=begin,
        end=end,
        stop=tf.minimum(end + grid.margin, side),
        is_last=tf.equal(end, side),
    )
