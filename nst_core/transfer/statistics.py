"""The statistics of features that represent style and content; style targets can be saved."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from nst_core.images.pixels import PictureLike, as_pixels
from nst_core.images.resize import fit, resize
from nst_core.networks.encoder import Encoder
from nst_core.networks.forward import activations
from nst_core.quiet_tensorflow import tf
from nst_core.transfer.colors import ColorStatistics, color_statistics
from nst_core.transfer.octaves import style_sides
from nst_core.transfer.settings import GramKind, Settings
from nst_core.transfer.style_losses.costs import GRAM
from nst_core.transfer.style_losses.losses import STYLE_LOSSES

Array = NDArray[np.float32]
LossTargets = Mapping[str, Mapping[str, Mapping[str, Array]]]
"""The targets of style losses at one octave, by loss, layer and name of the array."""


@dataclass(frozen=True)
class StyleTargets:
    """The targets of a style, by octave and layer, and its colors.

    Attributes:
        grams: one mapping per octave, coarse to fine; layer name -> float32 (channels, channels).
        centers: likewise; the vectors to subtract from activations first, float32 (channels,).
        colors: statistics of the style at its largest working size.
        others: likewise; the targets of the style losses besides `gram`, if the settings name any.
    """

    grams: tuple[Mapping[str, Array], ...]
    centers: tuple[Mapping[str, Array], ...]
    colors: ColorStatistics
    others: tuple[LossTargets, ...] = ()

    def to_bytes(self) -> bytes:
        """Return a safetensors file.

        Its arrays are `<octave>.<layer>.gram` and `.center`, `<octave>.<layer>.<loss>/<array>` for
        other style losses, and `colors.<statistic>`.
        """
        arrays = {
            f"{octave}.{layer}.{kind}": array
            for kind, octaves in (("gram", self.grams), ("center", self.centers))
            for octave, layers in enumerate(octaves)
            for layer, array in layers.items()
        }
        arrays |= {
            f"{octave}.{layer}.{loss}/{name}": array
            for octave, losses in enumerate(self.others)
            for loss, layers in losses.items()
            for layer, named in layers.items()
            for name, array in named.items()
        }
        arrays |= {f"colors.{name}": array for name, array in self.colors._asdict().items()}
        return safetensors.numpy.save(
            {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> "StyleTargets":
        """Read the targets that `to_bytes` wrote."""
        arrays = safetensors.numpy.load(data)
        colors = {name: arrays.pop(f"colors.{name}") for name in ColorStatistics._fields}
        grams: dict[int, dict[str, Array]] = {}
        centers: dict[int, dict[str, Array]] = {}
        others: dict[int, dict[str, dict[str, dict[str, Array]]]] = {}
        for name, array in arrays.items():
            octave, layer, kind = name.split(".")
            loss, _, part = kind.partition("/")
            if part:
                losses = others.setdefault(int(octave), {})
                losses.setdefault(loss, {}).setdefault(layer, {})[part] = array
            else:
                {"gram": grams, "center": centers}[kind].setdefault(int(octave), {})[layer] = array
        return cls(
            *(_in_order(grams), _in_order(centers), ColorStatistics(**colors), _in_order(others))
        )


Item = TypeVar("Item")


def _in_order(octaves: Mapping[int, Item]) -> tuple[Item, ...]:
    return tuple(octaves[octave] for octave in sorted(octaves))


def gram_matrix(features: tf.Tensor, center: tf.Tensor) -> tf.Tensor:
    """Return G = (F - c)^T (F - c) / M, where M is the number of positions.

    With c = 0, it is that of Gatys et al. 2016, eq. 3, divided by the picture's own M, so that it
    does not depend on the picture's size or shape. With the style's mean as c, it distinguishes
    textures that have much in common with every picture (Novak & Nikulin 2016, "Improving the
    Neural Algorithm of Artistic Style", section 3.2, who subtract a constant).

    Args:
        features: float32 (height, width, channels).
        center: float32 (channels,).

    Returns:
        float32 (channels, channels).
    """
    rows = tf.reshape(features - center, [-1, features.shape[-1]])
    return tf.matmul(rows, rows, transpose_a=True) / tf.cast(tf.shape(rows)[0], rows.dtype)


def style_targets(encoder: Encoder, style: PictureLike, settings: Settings) -> StyleTargets:
    """Return the statistics of a style picture at every octave of the settings.

    Args:
        encoder: the feature network.
        style: of any size and in any form that `as_pixels` takes.
        settings: determine the working sizes, the layers, the kind of Gram matrix and the style
            losses.

    Raises:
        ValueError: `style` is not a picture, or its values are out of range.
    """
    style = as_pixels(style, "style")
    layers = tuple(settings.style_layer_weights)
    sized = [at_side(encoder, style, side, layers) for side in style_sides(settings)]
    seen = [activations(encoder, tf.constant(pixels), layers) for pixels in sized]
    centers = [
        {layer: _center(octave[layer], settings.gram) for layer in layers} for octave in seen
    ]
    grams = [
        {layer: gram_matrix(octave[layer], center).numpy() for layer, center in around.items()}
        for octave, around in zip(seen, centers, strict=True)
    ]
    others = [_other_targets(octave, settings) for octave in seen]
    return StyleTargets(
        *(tuple(grams), tuple(centers), color_statistics(sized[-1])),
        others=tuple(others) if any(others) else (),
    )


def _other_targets(features: Mapping[str, tf.Tensor], settings: Settings) -> LossTargets:
    """Return the targets of the style losses besides `gram` at one octave."""
    named = {loss: STYLE_LOSSES[loss] for loss in settings.style_loss_weights if loss != GRAM}
    targets: LossTargets = tf.nest.map_structure(
        lambda tensor: tensor.numpy(),
        {name: loss.targets(features) for name, loss in named.items()},
    )
    return targets


def _center(features: tf.Tensor, kind: GramKind) -> Array:
    mean: Array = tf.reduce_mean(features, axis=(0, 1)).numpy()
    return mean if kind == "centered" else np.zeros_like(mean)


def at_side(encoder: Encoder, style: Array, side: int, layers: tuple[str, ...]) -> Array:
    """Return a style with a longest side, or the smallest that the layers take, in pixels."""
    height, width = fit(style.shape[0], style.shape[1], side)
    smallest = encoder.topology.smallest_side(layers)
    return resize(style, max(height, smallest), max(width, smallest))


def content_targets(
    encoder: Encoder, content: Array, layers: tuple[str, ...]
) -> dict[str, tf.Tensor]:
    """Return the content picture's activations.

    Args:
        encoder: the feature network.
        content: sRGB in [0, 1], float32, (height, width, 3), at the working size.
        layers: names of the content layers.

    Returns:
        By layer name, float32 (height / stride, width / stride, channels).
    """
    return activations(encoder, tf.constant(content), layers)
