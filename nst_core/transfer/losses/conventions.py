"""The conventions that define content loss, style loss and total variation, by normalization."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from nst_core.quiet_tensorflow import tf
from nst_core.transfer.losses.variation import (
    VARIATIONS,
    common_variation,
    summed_variation,
    total_variation,
)
from nst_core.transfer.settings import Normalization, TvKind
from nst_core.transfer.style_losses.relative import relative_loss


def mean_squared_loss(value: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Return mean((value - target)^2), a scalar."""
    return tf.reduce_mean(tf.square(value - target))


def squared_loss(value: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Return sum((value - target)^2), a scalar."""
    return tf.reduce_sum(tf.square(value - target))


class Convention(NamedTuple):
    """The definitions of content loss, style loss and total variation.

    Attributes:
        content: function of activations (height, width, channels) and their target.
        style: function of a Gram matrix (channels, channels), divided by positions, and its target.
        variation: function of pixels (height, width, 3).
        in_network_units: whether these pixels are scaled like the network's input, not in [0, 1].
    """

    content: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    style: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    variation: Callable[[tf.Tensor], tf.Tensor]
    in_network_units: bool


def _quarter_mean_squared_loss(value: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    return mean_squared_loss(value, target) / 4


def _half_squared_loss(value: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    return squared_loss(value, target) / 2


def _mean_squared_loss_over_channels(value: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    channels = tf.cast(tf.shape(value)[0], value.dtype)
    return mean_squared_loss(value / channels, target / channels)


CONVENTIONS: Mapping[Normalization, Convention] = {
    "relative": Convention(relative_loss, relative_loss, total_variation, False),
    "mean": Convention(mean_squared_loss, mean_squared_loss, total_variation, False),
    # G. Cucurull, "Neural art style transfer in TensorFlow": sum (F - P)^2 and, for Gram matrices
    # that are sums over M positions of N channels, sum (G - A)^2 / (N^2 M^2).
    "article": Convention(squared_loss, mean_squared_loss, summed_variation, True),
    # Gatys et al. 2016, eq. 1 and 4: the factors are 1/2 and 1 / (4 N^2 M^2).
    "gatys": Convention(_half_squared_loss, _quarter_mean_squared_loss, summed_variation, True),
    # J. Johnson's neural-style: means, with Gram matrices divided by N M.
    "neural-style": Convention(
        mean_squared_loss, _mean_squared_loss_over_channels, common_variation, True
    ),
}


def convention_of(normalization: Normalization, tv_kind: TvKind) -> Convention:
    """Return the convention, with its total variation replaced if it is of another kind."""
    convention = CONVENTIONS[normalization]
    if tv_kind == "l2":
        return convention
    return convention._replace(variation=VARIATIONS[tv_kind], in_network_units=False)
