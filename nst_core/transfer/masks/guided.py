"""Guided Gram matrices: the statistics of regions of a picture (Gatys et al. 2017, "Controlling
perceptual factors in neural style transfer", section 4).

The paper multiplies activations by guidance channels T with sum T^2 = 1, so that positions count by
T^2. Here, they count by the weights of a mask, which are area averages at each layer. A region's
loss is multiplied by the share of the picture that it covers, so that a pixel feels the style as
strongly as without a mask.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from nst_core.quiet_tensorflow import tf
from nst_core.transfer.style_losses.losses import STYLE_LOSSES
from nst_core.transfer.style_losses.weighted import guided_gram_matrices

Tensors = Mapping[str, tf.Tensor]


class Region(NamedTuple):
    """A region of the picture at one octave, with the targets of the style there.

    Attributes:
        share: of the picture that the region covers, a float32 scalar.
        weights: by style layer, in [0, 1], float32 (height, width, 1).
        grams, centers, others: as in `losses.Targets`.
    """

    share: tf.Tensor
    weights: dict[str, tf.Tensor]
    grams: dict[str, tf.Tensor]
    centers: dict[str, tf.Tensor]
    others: Mapping[str, Mapping[str, Tensors]]


class RegionStatistics(NamedTuple):
    """What the style loss of a region compares at one layer: a Gram matrix, others by loss."""

    gram: tf.Tensor
    others: dict[str, Any]


def region_statistics(
    regions: Sequence[Region], layer: str, features: tf.Tensor
) -> tuple[RegionStatistics, ...]:
    """Return what the style losses compare at a layer, in each region.

    Args:
        regions: those of the picture.
        layer: a style layer.
        features: float32 (height, width, channels) of that layer.
    """
    parts = [(region.centers[layer], region.weights[layer]) for region in regions]
    return tuple(
        RegionStatistics(
            gram,
            {
                name: STYLE_LOSSES[name].statistic(features, of_style[layer], region.weights[layer])
                for name, of_style in region.others.items()
            },
        )
        for region, gram in zip(regions, guided_gram_matrices(features, parts), strict=True)
    )
