"""Statistics of style losses as functions of sums over positions.

The sums of the tiles of a picture add up to those of the picture, from which its statistics follow.
Tiles are added in float64, so that their number does not matter.
"""

import itertools
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from nst_core.quiet_tensorflow import tf
from nst_core.transfer.style_losses.costs import GRAM
from nst_core.transfer.style_losses.moments import HIGHEST, mapped, mapping
from nst_core.transfer.style_losses.shifted_gram import DISTANCES
from nst_core.transfer.style_losses.style_loss import LayerTarget
from nst_core.transfer.style_losses.wasserstein import normal_distribution
from nst_core.transfer.tiles.walk import Core

Sums = dict[str, tf.Tensor]


class Summed(NamedTuple):
    """A style loss whose statistics are made of sums over positions.

    Attributes:
        sums: function of the activations of a tile and the target; it returns float32 tensors.
        statistic: function of these sums over a whole picture, float64, and the target; it returns
            what the loss compares.
        given: function of mean and variance of a style's features, (channels,); it returns the part
            of the target that `sums` needs.
        target: function of a style's statistic and this part; it returns the target.
        shapes: function of a layer's channels; it returns the shapes of the sums.
    """

    sums: Callable[[Core, LayerTarget], Sums]
    statistic: Callable[[Sums, LayerTarget], Any]
    given: Callable[[tf.Tensor, tf.Tensor], dict[str, tf.Tensor]]
    target: Callable[[Any, LayerTarget], dict[str, tf.Tensor]]
    shapes: Callable[[int], dict[str, tuple[int, ...]]]

    def none(self, channels: int) -> Sums:
        """Return the sums of no tiles, in float64."""
        return {name: tf.zeros(shape, tf.float64) for name, shape in self.shapes(channels).items()}


def count(core: Core) -> tf.Tensor:
    """Return the number of positions, as a float32 scalar."""
    return tf.cast(core.height * core.width, tf.float32)


def _gram(core: Core, target: LayerTarget) -> Sums:
    rows = core.rows - target["center"]
    return {"products": tf.matmul(rows, rows, transpose_a=True), "count": count(core)}


def _gram_statistic(totals: Sums, _: LayerTarget) -> tf.Tensor:
    return tf.cast(totals["products"] / totals["count"], tf.float32)


def _normal(core: Core, target: LayerTarget) -> Sums:
    rows = core.rows - target["mean"]
    products = tf.matmul(rows, rows, transpose_a=True)
    return {"sums": tf.reduce_sum(rows, axis=0), "products": products, "count": count(core)}


def _normal_statistic(totals: Sums, target: LayerTarget) -> tuple[tf.Tensor, tf.Tensor]:
    """Return mean and covariance, float64, from sums around the style's mean."""
    moved = totals["sums"] / totals["count"]
    covariance = totals["products"] / totals["count"] - moved[:, tf.newaxis] * moved
    mean = tf.cast(target["mean"], tf.float64) + moved
    return mean, covariance


def _powers(core: Core, target: LayerTarget) -> Sums:
    power = near = mapped(core.rows, target) - _base(target)
    sums = [tf.reduce_sum(near, axis=0)]
    for _ in range(2, HIGHEST + 1):
        power = power * near
        sums.append(tf.reduce_sum(power, axis=0))
    return {"powers": tf.stack(sums), "count": count(core)}


def _base(target: LayerTarget) -> tf.Tensor:
    """Return a value near the mean, so that the powers do not cancel each other out."""
    wanted = target.get("moments")
    return tf.zeros_like(target["center"]) if wanted is None else wanted[0]


def _powers_statistic(totals: Sums, target: LayerTarget) -> tf.Tensor:
    """Return mean and central moments; those of order k are a binomial sum of powers up to k."""
    means = totals["powers"] / totals["count"]
    moved = means[0]
    powers = [tf.ones_like(moved), *tf.unstack(means)]
    # The gradient of TensorFlow's power is not a number at 0.
    back = [*itertools.accumulate([tf.ones_like(moved), *[-moved] * HIGHEST], operator.mul)]
    central = [
        tf.add_n([math.comb(order, k) * powers[order - k] * back[k] for k in range(order + 1)])
        for order in range(2, HIGHEST + 1)
    ]
    mean = tf.cast(_base(target), tf.float64) + moved
    return tf.cast(tf.stack([mean, *central]), tf.float32)


def _shifted(core: Core, target: LayerTarget) -> Sums:
    """Return sums over the pairs whose first position is in the tile; the second may be beyond."""
    centered = core.features - target["center"]
    below, beyond = tf.shape(centered)[0], tf.shape(centered)[1]
    products, counts = [], []
    for distance in DISTANCES:
        width = tf.maximum(tf.minimum(core.width, beyond - distance), 0)
        height = tf.maximum(tf.minimum(core.height, below - distance), 0)
        for here, there in (
            (
                centered[: core.height, :width],
                centered[: core.height, distance : distance + width],
            ),
            (
                centered[:height, : core.width],
                centered[distance : distance + height, : core.width],
            ),
        ):
            rows, shifted = (tf.reshape(part, [-1, centered.shape[-1]]) for part in (here, there))
            products.append(tf.matmul(rows, shifted, transpose_a=True))
            counts.append(tf.cast(tf.shape(rows)[0], tf.float32))
    return {"products": tf.stack(products), "counts": tf.stack(counts)}


def _shifted_statistic(totals: Sums, _: LayerTarget) -> tf.Tensor:
    counts = totals["counts"][:, tf.newaxis, tf.newaxis]
    return tf.cast(tf.math.divide_no_nan(totals["products"], counts), tf.float32)


SUMMED: Mapping[str, Summed] = {
    GRAM: Summed(
        *(_gram, _gram_statistic),
        given=lambda mean, _: {"center": mean},
        target=lambda gram, given: {**given, "gram": gram},
        shapes=lambda channels: {"products": (channels, channels), "count": ()},
    ),
    "moments": Summed(
        *(_powers, _powers_statistic),
        given=mapping,
        target=lambda moments, given: {**given, "moments": moments},
        shapes=lambda channels: {"powers": (HIGHEST, channels), "count": ()},
    ),
    "wasserstein": Summed(
        *(_normal, _normal_statistic),
        given=lambda mean, _: {"mean": mean},
        target=lambda statistic, _: normal_distribution(
            *(tf.cast(it, tf.float32) for it in statistic)
        ),
        shapes=lambda channels: {
            "sums": (channels,),
            "products": (channels, channels),
            "count": (),
        },
    ),
    "shifted-gram": Summed(
        *(_shifted, _shifted_statistic),
        given=lambda mean, _: {"center": mean},
        target=lambda grams, given: {**given, "grams": grams},
        shapes=lambda channels: {
            "products": (2 * len(DISTANCES), channels, channels),
            "counts": (2 * len(DISTANCES),),
        },
    ),
}
"""The style losses that `costs.Cost.is_summed` names."""


def added(totals: Any, sums: Any) -> Any:
    """Return totals in float64 with the sums of one more tile, in structures of the same form."""
    return tf.nest.map_structure(lambda total, it: total + tf.cast(it, tf.float64), totals, sums)


def product(sums: Any, factors: Any) -> tf.Tensor:
    """Return the sum of all sums, each times its factor, as a float32 scalar.

    Args:
        sums, factors: float32 and float64 tensors, in structures of the same form.
    """
    pairs = zip(tf.nest.flatten(sums), tf.nest.flatten(factors), strict=True)
    return tf.add_n([tf.reduce_sum(it * tf.cast(factor, tf.float32)) for it, factor in pairs])
