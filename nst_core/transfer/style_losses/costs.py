"""What each style loss costs in memory and on disk.

This module loads no TensorFlow, and its keys are the names of the style losses.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

GRAM = "gram"
"""The style loss of Gatys et al., whose targets are in every file of style targets."""


class Cost(NamedTuple):
    """What a style loss costs.

    Attributes:
        version: increased whenever its targets change for the same picture and encoder.
        arrays: arrays of the size of a style layer that exist for its gradient; rounded up from
            what was measured at 256 px.
        target: function of a layer's channels, to the most numbers in its target.
        is_local: whether a layer's activations are no longer needed once its statistic is known.
        has_weights: whether its statistics can be those of a region, in which positions have
            weights.
        is_summed: whether its statistics follow from sums over positions, one for each layer, so
            that it can be computed tile by tile (`tiles.sums`).
        halo: how many positions below and to the right such a sum needs besides a position itself.
        differs_in_blends: whether a style that is blended with others has other targets than alone.
    """

    version: int
    arrays: float
    target: Callable[[int], int]
    is_local: bool = True
    has_weights: bool = False
    is_summed: bool = False
    halo: int = 0
    differs_in_blends: bool = False


COSTS: Mapping[str, Cost] = {
    GRAM: Cost(1, 1, lambda channels: channels * (channels + 1), has_weights=True, is_summed=True),
    "moments": Cost(1, 5, lambda channels: 7 * channels, has_weights=True, is_summed=True),
    "wasserstein": Cost(
        1, 1, lambda channels: channels * (channels + 1) + 1, has_weights=True, is_summed=True
    ),
    "shifted-gram": Cost(
        1, 8, lambda channels: channels * (4 * channels + 1), is_summed=True, halo=4
    ),
    "sliced": Cost(1, 3, lambda channels: channels * (channels + 256), differs_in_blends=True),
    "histogram": Cost(1, 3, lambda channels: channels * 256),
    "neighbors": Cost(1, 2, lambda channels: channels * 4097 + 1, is_local=False),
}
"""The costs of each style loss, by its name, in the order in which losses are added up.

The target of Gram matrices is cached for every style, because the table compares them.
"""
