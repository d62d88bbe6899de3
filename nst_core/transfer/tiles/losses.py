"""Losses and gradient of a picture, tile by tile.

A first walk over the tiles adds up sums of activations, and the statistics of the whole picture
follow from them, such as its Gram matrices. The gradient of the style loss with respect to these
sums is small and the same for all tiles. A second walk computes each tile again, and multiplies its
derivatives by that gradient. By the chain rule, the sum over the tiles is the gradient of the whole
picture, except for rounding, and no tile has a seam. The content loss is itself a sum over
positions, so it only needs the second walk. Total variation has strips of its own.

Whole pictures are NumPy arrays in the computer's memory, and only tiles are on the device.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nst_core.networks.encoder import Encoder
from nst_core.quiet_tensorflow import tf
from nst_core.transfer.any_size import AnySize
from nst_core.transfer.losses.loss_weights import NOTHING, LossWeights
from nst_core.transfer.losses.losses import LossTerms
from nst_core.transfer.optimizers.descent import Evaluation
from nst_core.transfer.settings import Normalization, Settings, TvKind
from nst_core.transfer.tiles.grid import Grid
from nst_core.transfer.tiles.sums import added
from nst_core.transfer.tiles.tile import LayerSums, TileLosses
from nst_core.transfer.tiles.variation import TiledVariation
from nst_core.transfer.tiles.walk import tiles_of

Pixels = NDArray[np.float32]
"""sRGB in [0, 1], or a gradient with respect to it, (height, width, 3)."""

CONTENT_FACTORS: Mapping[Normalization, Callable[[float, float], float]] = {
    "relative": lambda squares, _: 1 / squares if squares else 0.0,
    "mean": lambda _, count: 1 / count,
    "article": lambda _, __: 1.0,
    "gatys": lambda _, __: 0.5,
    "neural-style": lambda _, count: 1 / count,
}
"""By convention, what the sum of squared errors at a content layer is multiplied by; a function of
the sum of the squares of the target and of the number of activations."""


class TiledTargets(NamedTuple):
    """What the losses compare the picture with at one octave.

    Attributes:
        content: the content's pixels, of the height and width of the picture, instead of its
            activations, which may be many times larger.
        content_factors: by content layer, see `CONTENT_FACTORS`, as float32 scalars.
        grams, centers, others: as in `losses.Targets`.
    """

    content: Pixels
    content_factors: dict[str, tf.Tensor]
    grams: dict[str, tf.Tensor]
    centers: dict[str, tf.Tensor]
    others: Mapping[str, Mapping[str, Mapping[str, tf.Tensor]]] = NOTHING

    @property
    def small(self) -> "TiledTargets":
        """The same without the content's pixels, for compiled functions of tiles."""
        return self._replace(content=np.zeros([1, 1, 3], np.float32))


@dataclass(frozen=True)
class _Style:
    """The style loss of a whole picture."""

    loss: Any
    layers: dict[str, Any]
    of_sums: LayerSums


class TiledLosses:
    """The losses of pictures of any size, as functions of pixels, targets and weights.

    With `bfloat16`, the pictures' activations are in that precision, and targets are not.
    """

    def __init__(
        self,
        encoder: Encoder,
        normalization: Normalization,
        tv_kind: TvKind,
        grid: Grid,
        *,
        bfloat16: bool = False,
    ) -> None:
        tile = TileLosses(encoder, normalization, tv_kind, bfloat16)
        self._grid, self._none = grid, tile.no_sums
        self._sums, self._gradient = AnySize.of(tile.sums), AnySize.of(tile.gradient)
        self._content, self._style = AnySize.of(tile.content), AnySize.of(tile.style)
        units = tile.convention.in_network_units
        scale = encoder.topology.preprocessing.scale if units else 1.0
        self._variation = TiledVariation(tile.convention.variation, scale)

    def terms(self, pixels: Pixels, targets: TiledTargets, weights: LossWeights) -> LossTerms:
        """Return what `losses.loss_terms` returns without tiles, except for rounding."""
        small, content = _tensors(targets.small), np.float64(0)
        for tile in tiles_of(pixels, self._grid):
            parts = (tf.constant(tile.of(each)) for each in (pixels, targets.content))
            content += float(self._content(*parts, tile.as_tensors(), small, weights))
        style, variation = self._of_style(pixels, small, weights), self._variation(pixels)
        return _terms(content, style, variation, weights)

    def evaluation(self, pixels: Pixels, targets: TiledTargets, weights: LossWeights) -> Evaluation:
        """Return the losses of a picture, and the gradient of their weighted sum, as arrays."""
        small, content, gradient = _tensors(targets.small), np.float64(0), np.zeros_like(pixels)
        merged = weights.merged
        variation = self._variation(pixels, gradient, float(merged.terms["tv"]))
        style = self._of_style(pixels, small, merged)
        for tile in tiles_of(pixels, self._grid):
            parts = (tf.constant(tile.of(each)) for each in (pixels, targets.content))
            loss, of_tile = self._gradient(
                *(*parts, tile.as_tensors(), small, merged, style.of_sums)
            )
            content += float(loss)
            place = tile.of(gradient)
            place += of_tile.numpy()
        terms = _terms(content, style, variation, weights)
        return Evaluation(terms.total, gradient, terms)

    def _of_style(self, pixels: Pixels, small: TiledTargets, weights: LossWeights) -> _Style:
        totals = self._none(small)
        for tile in tiles_of(pixels, self._grid):
            part = tf.constant(tile.of(pixels))
            totals = added(totals, self._sums(part, tile.as_tensors(), small))
        return _Style(*self._style(totals, small, weights))


def _tensors(targets: TiledTargets) -> TiledTargets:
    tensors: TiledTargets = tf.nest.map_structure(tf.convert_to_tensor, targets)
    return tensors


def _terms(
    content: np.float64, style: _Style, variation: np.float32, weights: LossWeights
) -> LossTerms:
    """Return all losses as NumPy scalars, float32; those that are not tiled have the weight 0."""
    found = {"content": np.float32(content), "style": np.float32(style.loss), "tv": variation}
    before = {term: found.get(term, np.float32(0)) for term in weights.terms}
    terms = {term: np.float32(loss) for term, loss in weights.scaled(before).items()}
    factors = {term: np.float32(weight) for term, weight in weights.terms.items()}
    return LossTerms(
        total=reduce(add, (factors[term] * loss for term, loss in terms.items())),
        terms=terms,
        style_layers={layer: np.float32(loss) for layer, loss in style.layers.items()},
    )


def tiled_content(
    encoder: Encoder, content: Pixels, settings: Settings, grid: Grid
) -> dict[str, Any]:
    """Return the targets of the content loss, by the names of the fields of `TiledTargets`.

    Args:
        encoder: the feature network.
        content: sRGB in [0, 1], float32, (height, width, 3), at the working size.
        settings: determine the layers and the convention.
        grid: the tiles.
    """
    layers = tuple(settings.content_layer_weights)
    losses = TileLosses(encoder, settings.normalization, settings.tv_kind)
    found = {layer: np.zeros(2) for layer in layers}
    for tile in tiles_of(content, grid):
        for layer, squares in losses.squares(tf.constant(tile.of(content)), tile, layers).items():
            found[layer] += squares.numpy()
    factor = CONTENT_FACTORS[settings.normalization]
    factors = {
        layer: tf.constant(factor(float(squares), float(count)), tf.float32)
        for layer, (squares, count) in found.items()
    }
    return {"content": content, "content_factors": factors}
