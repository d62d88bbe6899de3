"""The grid of tiles that covers a picture, and the rows that can be computed tile by tile.

This module loads no TensorFlow.
"""

from collections.abc import Collection
from dataclasses import dataclass

from nst_core.networks.topology import Convolution, Topology
from nst_core.transfer.losses.terms import term_weights, terms_of
from nst_core.transfer.settings import Settings
from nst_core.transfer.style_losses.costs import COSTS

TILE = 512
"""The side of a tile without its margins, in pixels. With the default layers of `compact`, margins
add a quarter to the pixels; a larger tile needs more memory, and a smaller one more time."""


TILED_TERMS = ("content", "style", "tv")
"""The loss terms that can be computed tile by tile."""


@dataclass(frozen=True)
class Tiles:
    """How a row is computed tile by tile.

    Attributes:
        side: of a tile, in pixels.
        pairs: how many earlier steps L-BFGS remembers; None for as many as usual. With fewer, it
            takes less memory, and more steps for the same loss.
    """

    side: int = TILE
    pairs: int | None = None


@dataclass(frozen=True)
class Grid:
    """A grid of square tiles, from the top left corner of a picture.

    Attributes:
        core: the side of a tile, in pixels, which is a multiple of the stride of every layer.
        margin: how many pixels around a tile are computed with it, likewise such a multiple. It is
            as wide as what the layers see, so that the activations in the tile are those of the
            whole picture. There is no margin beyond the edges of the picture, where the network's
            own padding applies.
    """

    core: int
    margin: int

    @classmethod
    def of(cls, topology: Topology, settings: Settings, tiles: Tiles = Tiles()) -> "Grid":
        """Return the grid for an encoder, and for the layers and style losses of these settings."""
        layers = layers_of(settings)
        stride = max(map(topology.stride, layers))
        halo = max(COSTS[name].halo for name in settings.style_loss_weights)
        margin = topology.reach(layers) + halo * stride
        return cls(_rounded_up(tiles.side, stride), _rounded_up(margin, stride))

    @property
    def region(self) -> int:
        """The side of a tile with its margins, in pixels."""
        return self.core + 2 * self.margin

    def shape(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width of the largest tile with its margins in a picture, in pixels."""
        return min(height, self.region), min(width, self.region)


def is_worth_it(topology: Topology, settings: Settings, shape: tuple[int, int]) -> bool:
    """Return whether a picture of this height and width is much larger than one of its tiles."""
    height, width = Grid.of(topology, settings).shape(*shape)
    return shape[0] * shape[1] > 2 * height * width


def layers_of(settings: Settings) -> Collection[str]:
    """Return the layers of the content and style losses."""
    return {*settings.content_layer_weights, *settings.style_layer_weights}


def _rounded_up(number: int, unit: int) -> int:
    return -(-number // unit) * unit


def can_be_tiled(topology: Topology, settings: Settings, *, is_frame: bool = False) -> bool:
    """Return whether the losses of a row are made of sums over positions.

    Sorted activations, nearest neighbors and self-similarities are not, and neither are the loss
    terms that are not in `TILED_TERMS`, such as the temporal loss of a row that is a frame
    (`terms_of`).
    """
    weights = term_weights(settings)
    others = any(weights[term] for term in terms_of(is_frame=is_frame) if term not in TILED_TERMS)
    is_of_features = settings.content_measure == "features"
    return is_of_features and not others and style_can_be_tiled(topology, settings)


def style_can_be_tiled(topology: Topology, settings: Settings) -> bool:
    """Return whether the style losses of a row are made of sums over the positions of each layer.

    Networks whose convolutions have strides are left out, because there the padding depends on the
    size of the picture.
    """
    layers = topology.up_to(layers_of(settings))
    strides = {layer.stride for layer in layers if isinstance(layer, Convolution)}
    return strides <= {1} and all(COSTS[name].is_summed for name in settings.style_loss_weights)
