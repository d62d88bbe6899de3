"""The share of one tile in the losses and the gradient of a picture, in TensorFlow operations."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nst_core.networks.encoder import Encoder, in_bfloat16
from nst_core.networks.forward import activations
from nst_core.quiet_tensorflow import tf
from nst_core.transfer.losses.conventions import Convention, convention_of
from nst_core.transfer.losses.loss_weights import LossWeights
from nst_core.transfer.losses.losses import TERMS, Seen, Targets
from nst_core.transfer.settings import Normalization, TvKind
from nst_core.transfer.style_losses.costs import COSTS, GRAM
from nst_core.transfer.style_losses.relative import relative_loss
from nst_core.transfer.tiles.sums import SUMMED, Sums, product
from nst_core.transfer.tiles.walk import Tile, core_of

LayerSums = dict[str, dict[str, Sums]]
"""Sums by layer and style loss."""


@dataclass(frozen=True)
class TileLosses:
    """Functions of tiles, with their margins, of any size; `targets` are `TiledTargets`.

    Attributes:
        encoder: the feature network.
        normalization, tv_kind: choose the formulas of the losses.
        bfloat16: whether the activations of the picture are in that precision. Those of the content
            are not.
    """

    encoder: Encoder
    normalization: Normalization
    tv_kind: TvKind
    bfloat16: bool = False

    @property
    def convention(self) -> Convention:
        """The formulas of the losses."""
        return convention_of(self.normalization, self.tv_kind)

    def _features(self, part: tf.Tensor, layers: Iterable[str]) -> dict[str, tf.Tensor]:
        """Return the activations of a tile of the picture."""
        encoder = in_bfloat16(self.encoder) if self.bfloat16 else self.encoder
        return activations(encoder, part, layers)

    def no_sums(self, targets: Any) -> LayerSums:
        """Return the sums of no tiles, float64."""
        topology = self.encoder.topology
        return {
            layer: {
                name: SUMMED[name].none(topology.channels(layer))
                for name in _targets_at(targets, layer)
            }
            for layer in targets.grams
        }

    def sums(self, part: tf.Tensor, tile: Tile, targets: Any) -> LayerSums:
        """Return the sums of a tile (height, width, 3), float32."""
        return self._sums(self._features(part, targets.grams), tile, targets)

    def _sums(self, features: Mapping[str, tf.Tensor], tile: Tile, targets: Any) -> LayerSums:
        return {
            layer: {
                name: sums_at_layer(self.encoder, name, features, tile, layer, target)
                for name, target in _targets_at(targets, layer).items()
            }
            for layer in targets.grams
        }

    def style(
        self, totals: LayerSums, targets: Any, weights: LossWeights
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor], LayerSums]:
        """Return the style loss, the relative loss of each layer, and a gradient.

        Args:
            totals: the sums of the whole picture, float64.
            targets: those of the style.
            weights: of the losses.

        Returns:
            The gradient is that of the loss times its weight, with respect to the sums.
        """
        with tf.GradientTape() as tape:
            tape.watch(totals)
            seen = self._seen(totals, targets, weights)
            loss = TERMS["style"](seen)
            weighted = weights.terms["style"] * loss
        zero = tf.UnconnectedGradients.ZERO
        gradient: LayerSums = tape.gradient(weighted, totals, unconnected_gradients=zero)
        layers = {
            layer: relative_loss(seen.grams[layer], it) for layer, it in targets.grams.items()
        }
        return loss, layers, gradient

    def _seen(self, totals: LayerSums, targets: Any, weights: LossWeights) -> Seen:
        """Return what the style loss is computed from."""
        statistics = {
            layer: {
                name: SUMMED[name].statistic(totals[layer][name], target)
                for name, target in _targets_at(targets, layer).items()
            }
            for layer in targets.grams
        }
        return Seen(
            pixels=tf.zeros([1, 1, 3]),
            scale=1.0,
            activations={},
            grams={layer: of_layer[GRAM] for layer, of_layer in statistics.items()},
            statistics=statistics,
            targets=Targets({}, targets.grams, targets.centers, targets.others),
            weights=weights,
            convention=self.convention,
        )

    def content(
        self, part: tf.Tensor, content: tf.Tensor, tile: Tile, targets: Any, weights: LossWeights
    ) -> tf.Tensor:
        """Return the share of a tile in the content loss, from its pixels and the content's."""
        features = self._features(part, targets.content_factors)
        return self._content(features, content, tile, targets, weights)

    def _content(
        self,
        features: Mapping[str, tf.Tensor],
        content: tf.Tensor,
        tile: Tile,
        targets: Any,
        weights: LossWeights,
    ) -> tf.Tensor:
        factors = targets.content_factors
        wanted = activations(self.encoder, content, factors)
        losses = []
        for layer, factor in factors.items():
            errors = core_of(features[layer] - wanted[layer], tile, self._stride(layer)).rows
            squares = tf.reduce_sum(tf.square(errors))
            losses.append(weights.content_layers[layer] * factor * squares)
        return tf.add_n(losses)

    def gradient(
        self,
        part: tf.Tensor,
        content: tf.Tensor,
        tile: Tile,
        targets: Any,
        weights: LossWeights,
        of_sums: LayerSums,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the shares of a tile in the content loss and in the gradient of the total.

        Args:
            part, content: the tile of the picture and of the content, (height, width, 3).
            tile: where it is.
            targets, weights: those of the losses.
            of_sums: the third result of `style`.
        """
        with tf.GradientTape() as tape:
            tape.watch(part)
            features = self._features(part, {*targets.content_factors, *targets.grams})
            loss = self._content(features, content, tile, targets, weights)
            style = product(self._sums(features, tile, targets), of_sums)
            whole = weights.terms["content"] * loss + style
        return loss, tape.gradient(whole, part)

    def squares(self, part: tf.Tensor, tile: Tile, layers: Iterable[str]) -> dict[str, tf.Tensor]:
        """Return the sum of squared activations of a tile at each layer, and their number."""
        features = activations(self.encoder, part, layers)
        found = {}
        for layer, of_layer in features.items():
            rows = core_of(of_layer, tile, self._stride(layer)).rows
            found[layer] = tf.stack([tf.reduce_sum(tf.square(rows)), tf.size(rows, tf.float32)])
        return found

    def _stride(self, layer: str) -> int:
        return self.encoder.topology.stride(layer)


def _targets_at(targets: Any, layer: str) -> dict[str, Mapping[str, tf.Tensor]]:
    """Return the target of each style loss at a layer; `gram` comes first."""
    gram = {"center": targets.centers[layer]}
    return {GRAM: gram, **{name: of_style[layer] for name, of_style in targets.others.items()}}


def sums_at_layer(
    encoder: Encoder,
    name: str,
    features: Mapping[str, tf.Tensor],
    tile: Tile,
    layer: str,
    target: Mapping[str, tf.Tensor],
) -> Sums:
    """Return the sums of a style loss over the positions of a tile at a layer."""
    stride, halo = encoder.topology.stride(layer), COSTS[name].halo
    return SUMMED[name].sums(core_of(features[layer], tile, stride, halo), target)
