"""The parts that every style loss has."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from nst_core.quiet_tensorflow import tf
from nst_core.transfer.style_losses.pooling import (
    Array,
    Named,
    Samples,
    Shares,
    blended_by_layer,
    mean_of_each,
)

LayerTarget = Mapping[str, tf.Tensor]
"""The target of a style at one layer: named float32 tensors, which are cached in a file."""

Targets = dict[str, dict[str, tf.Tensor]]
"""The targets of a style by layer."""

Pool = Callable[[Samples], Targets]
BlendLayer = Callable[[Sequence[Named], Sequence[float]], Mapping[str, Array]]


class StyleLoss(NamedTuple):
    """A style loss as pure functions.

    Attributes:
        targets: function of a style's features by layer, float32 (height, width, channels); it
            returns the targets by layer.
        pooled: the same for a style of several pictures (`pooling`).
        blended: function of the targets of several styles, as arrays by layer, and of the share of
            each by layer; it returns the targets of their blend, as arrays by layer.
        statistic: function of a picture's features at a layer and the target there; it returns what
            the loss compares. If `COSTS` says that the loss has weights, both functions also take
            those of a region, in [0, 1], float32 (height, width, 1), `targets` by layer.
        loss: function of statistics, targets and weights, all by layer; it returns a float32
            scalar, which is 0 for the style itself, and about 1 for a picture without structure.
        renewed: function of statistics, targets and weights, all by layer; it returns the targets
            with what depends on the picture and stays the same for a few steps. None if there is
            nothing of this kind. New targets must never raise the loss.
        to_blend: function of samples and of the octave's index; like `pooled`, for a style that is
            blended with others. None if its targets are then the same as without others.
    """

    targets: Callable[..., Targets]
    statistic: Callable[..., Any]
    loss: Callable[[Mapping[str, Any], Mapping[str, LayerTarget], Mapping[str, Any]], tf.Tensor]
    pooled: Pool
    blended: Callable[[Sequence[Mapping[str, Named]], Shares], Mapping[str, Mapping[str, Array]]]
    renewed: (
        Callable[[Mapping[str, Any], Mapping[str, LayerTarget], Mapping[str, Any]], Any] | None
    ) = None
    to_blend: Callable[[Samples, int], Targets] | None = None


def layer_by_layer(
    target: Callable[..., dict[str, tf.Tensor]],
    statistic: Callable[..., Any],
    loss: Callable[[Any, LayerTarget], tf.Tensor],
    pooled: Pool,
    blend: BlendLayer = mean_of_each,
    to_blend: Callable[[Samples, int], Targets] | None = None,
) -> StyleLoss:
    """Return the weighted sum of a loss at each layer.

    Args:
        target: function of a style's features at a layer, and of weights, as in `StyleLoss`; it
            returns the target.
        statistic: as in `StyleLoss`.
        loss: function of a statistic and the target; it returns a float32 scalar.
        pooled, to_blend: as in `StyleLoss`.
        blend: function of the targets of several styles at a layer, as arrays by name, and of their
            shares, none of which is 0; by default, arrays are averaged.
    """

    def targets(
        features: Mapping[str, tf.Tensor], weights: Mapping[str, tf.Tensor] | None = None
    ) -> Targets:
        if weights is None:
            return {layer: target(of_layer) for layer, of_layer in features.items()}
        return {layer: target(of_layer, weights[layer]) for layer, of_layer in features.items()}

    def weighted(
        statistics: Mapping[str, Any],
        targets: Mapping[str, LayerTarget],
        weights: Mapping[str, tf.Tensor],
    ) -> tf.Tensor:
        return tf.add_n(
            [weights[layer] * loss(statistics[layer], target) for layer, target in targets.items()]
        )

    blended = partial(blended_by_layer, blend)
    return StyleLoss(targets, statistic, weighted, pooled, blended, to_blend=to_blend)
