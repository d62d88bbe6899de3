"""Losses and gradient of a picture, tile by tile.

A first walk over the tiles adds up sums of activations, and the statistics of the whole picture
follow from them, such as its Gram matrices. The gradient of the style loss with respect to these
sums is small and the same for all tiles. A second walk computes each tile again, and multiplies its
derivatives by that gradient. By the chain rule, the sum over the tiles is the gradient of the whole
picture, except for rounding, and no tile has a seam. The content loss is itself a sum over
positions, so it only needs the second walk. All other losses are computed from the whole picture.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nst_core.networks.encoder import Encoder
from nst_core.networks.forward import activations
from nst_core.quiet_tensorflow import tf
from nst_core.transfer.conventions import convention_of
from nst_core.transfer.descent import Evaluation
from nst_core.transfer.loss_weights import NOTHING, LossWeights
from nst_core.transfer.losses import TERMS, LossTerms, Seen, Targets
from nst_core.transfer.settings import Normalization, Settings, TvKind
from nst_core.transfer.style_losses.costs import COSTS, GRAM
from nst_core.transfer.style_losses.relative import relative_loss
from nst_core.transfer.terms import LOSS_TERMS
from nst_core.transfer.tiles.grid import Grid
from nst_core.transfer.tiles.sums import SUMMED, Sums, added, product
from nst_core.transfer.tiles.walk import Tile, core_of, fold

LayerSums = dict[str, dict[str, Sums]]
"""Sums by layer and style loss."""

NO_LOSS = np.float64(0)

CONTENT_FACTORS: Mapping[Normalization, Callable[[float, int], float]] = {
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

    content: tf.Tensor
    content_factors: dict[str, tf.Tensor]
    grams: dict[str, tf.Tensor]
    centers: dict[str, tf.Tensor]
    others: Mapping[str, Mapping[str, Mapping[str, tf.Tensor]]] = NOTHING


@dataclass(frozen=True)
class TiledLosses:
    """The losses of pictures of any size, as functions of pixels, targets and weights."""

    encoder: Encoder
    normalization: Normalization
    tv_kind: TvKind
    grid: Grid

    def terms(self, pixels: tf.Tensor, targets: TiledTargets, weights: LossWeights) -> LossTerms:
        """Return what `losses.loss_terms` returns without tiles, except for rounding."""
        seen = self._seen(pixels, self._totals(pixels, targets), targets, weights)
        others = {term: TERMS[term](seen) for term in _besides_content()}

        def content(so_far: tf.Tensor, tile: Tile) -> tf.Tensor:
            features = activations(self.encoder, tile.of(pixels), targets.content_factors)
            return added(so_far, self._content(features, tile, targets, weights))

        return _terms(fold(pixels, self.grid, content, NO_LOSS), others, seen)

    def evaluation(
        self, pixels: tf.Tensor, targets: TiledTargets, weights: LossWeights
    ) -> Evaluation:
        """Return the losses of a picture, and the gradient of their weighted sum."""
        totals = self._totals(pixels, targets)
        with tf.GradientTape() as tape:
            tape.watch([pixels, totals])
            seen = self._seen(pixels, totals, targets, weights)
            others = {term: TERMS[term](seen) for term in _besides_content()}
            scaled = weights.scaled(others)
            weighted = tf.add_n([weights.terms[term] * loss for term, loss in scaled.items()])
        of_pixels, of_sums = tape.gradient(
            weighted, (pixels, totals), unconnected_gradients=tf.UnconnectedGradients.ZERO
        )

        def both(so_far: tuple[tf.Tensor, tf.Tensor], tile: Tile) -> tuple[tf.Tensor, tf.Tensor]:
            part = tile.of(pixels)
            with tf.GradientTape() as tape:
                tape.watch(part)
                content, whole = self._tile(part, tile, targets, weights, of_sums)
            return added(so_far[0], content), tile.added(so_far[1], tape.gradient(whole, part))

        content, gradient = fold(pixels, self.grid, both, (NO_LOSS, of_pixels))
        terms = _terms(content, others, seen)
        return Evaluation(terms.total, gradient, terms)

    def _tile(
        self,
        part: tf.Tensor,
        tile: Tile,
        targets: TiledTargets,
        weights: LossWeights,
        of_sums: LayerSums,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the content loss of a tile, and a scalar with the tile's share of the gradient."""
        features = activations(self.encoder, part, {*targets.content_factors, *targets.grams})
        content = self._content(features, tile, targets, weights)
        style = product(self._sums(features, tile, targets), of_sums)
        scaled = weights.scaled({"content": content})["content"]
        return content, weights.terms["content"] * scaled + style

    def _content(
        self,
        features: Mapping[str, tf.Tensor],
        tile: Tile,
        targets: TiledTargets,
        weights: LossWeights,
    ) -> tf.Tensor:
        """Return the content loss of a tile, a float32 scalar."""
        factors = targets.content_factors
        wanted = activations(self.encoder, tile.of(targets.content), factors)
        losses = []
        for layer, factor in factors.items():
            errors = features[layer] - tf.stop_gradient(wanted[layer])
            inner = core_of(errors, tile, self.encoder.topology.stride(layer)).rows
            losses.append(weights.content_layers[layer] * factor * tf.reduce_sum(tf.square(inner)))
        return tf.add_n(losses)

    def _totals(self, pixels: tf.Tensor, targets: TiledTargets) -> LayerSums:
        """Return the sums of the whole picture, float64."""
        topology = self.encoder.topology
        names = [GRAM, *targets.others]
        none = {
            layer: {name: SUMMED[name].none(topology.channels(layer)) for name in names}
            for layer in targets.grams
        }

        def sums(so_far: LayerSums, tile: Tile) -> Any:
            features = activations(self.encoder, tile.of(pixels), targets.grams)
            return added(so_far, self._sums(features, tile, targets))

        totals: LayerSums = fold(pixels, self.grid, sums, none)
        return totals

    def _sums(
        self, features: Mapping[str, tf.Tensor], tile: Tile, targets: TiledTargets
    ) -> LayerSums:
        """Return the sums of a tile."""
        return {
            layer: {
                name: sums_at_layer(self.encoder, name, features[layer], tile, layer, target)
                for name, target in _targets_at(targets, layer).items()
            }
            for layer in targets.grams
        }

    def _seen(
        self, pixels: tf.Tensor, totals: LayerSums, targets: TiledTargets, weights: LossWeights
    ) -> Seen:
        """Return what all terms but the content's are computed from."""
        statistics = {
            layer: {
                name: SUMMED[name].statistic(totals[layer][name], target)
                for name, target in _targets_at(targets, layer).items()
            }
            for layer in targets.grams
        }
        convention = convention_of(self.normalization, self.tv_kind)
        preprocessing = self.encoder.topology.preprocessing
        return Seen(
            pixels=pixels,
            scale=preprocessing.scale if convention.in_network_units else 1.0,
            activations={},
            grams={layer: of_layer[GRAM] for layer, of_layer in statistics.items()},
            statistics=statistics,
            targets=Targets({}, targets.grams, targets.centers, targets.others),
            weights=weights,
            convention=convention,
        )


def tiled_content(
    encoder: Encoder, content: NDArray[np.float32], settings: Settings, grid: Grid
) -> dict[str, Any]:
    """Return the targets of the content loss, by the names of the fields of `TiledTargets`.

    Args:
        encoder: the feature network.
        content: sRGB in [0, 1], float32, (height, width, 3), at the working size.
        settings: determine the layers and the convention.
        grid: the tiles.
    """
    pixels, topology = tf.constant(content), encoder.topology
    layers = [*settings.content_layer_weights]

    def squares(so_far: Any, tile: Tile) -> Any:
        features = activations(encoder, tile.of(pixels), layers)
        inner = {
            layer: core_of(features[layer], tile, topology.stride(layer)).rows for layer in layers
        }
        sums = {
            layer: (tf.reduce_sum(tf.square(rows)), tf.size(rows, out_type=tf.int64))
            for layer, rows in inner.items()
        }
        return added(so_far, sums)

    found = fold(pixels, grid, squares, dict.fromkeys(layers, (NO_LOSS, NO_LOSS)))
    factor = CONTENT_FACTORS[settings.normalization]
    factors = {
        layer: tf.constant(factor(float(total), int(count)), tf.float32)
        for layer, (total, count) in found.items()
    }
    return {"content": pixels, "content_factors": factors}


def _targets_at(targets: TiledTargets, layer: str) -> dict[str, Mapping[str, tf.Tensor]]:
    """Return the target of each style loss at a layer; `gram` comes first."""
    gram = {"center": targets.centers[layer]}
    return {GRAM: gram, **{name: of_style[layer] for name, of_style in targets.others.items()}}


def sums_at_layer(
    encoder: Encoder,
    name: str,
    features: tf.Tensor,
    tile: Tile,
    layer: str,
    target: Mapping[str, tf.Tensor],
) -> Sums:
    """Return the sums of a style loss over the positions of a tile at a layer."""
    stride, halo = encoder.topology.stride(layer), COSTS[name].halo
    return SUMMED[name].sums(core_of(features, tile, stride, halo), target)


def _besides_content() -> list[str]:
    return [term for term in LOSS_TERMS if term != "content"]


def _terms(content: tf.Tensor, others: Mapping[str, tf.Tensor], seen: Seen) -> LossTerms:
    """Return all losses from the content loss, float64, and the others by term."""
    found = {**others, "content": tf.cast(content, tf.float32)}
    terms = seen.weights.scaled({term: found[term] for term in LOSS_TERMS})
    weights = seen.weights.terms
    return LossTerms(
        total=reduce(add, (weights[term] * loss for term, loss in terms.items())),
        terms=terms,
        style_layers={
            layer: relative_loss(seen.grams[layer], target)
            for layer, target in seen.targets.grams.items()
        },
    )
