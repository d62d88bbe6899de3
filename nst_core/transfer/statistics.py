"""The statistics of features that represent style and content; style targets can be saved."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from nst_core.images.pixels import PictureLike, as_pixels
from nst_core.images.resize import fit, resize
from nst_core.networks.encoder import Encoder
from nst_core.networks.forward import activations
from nst_core.quiet_tensorflow import tf
from nst_core.transfer.colors import ColorStatistics, color_statistics
from nst_core.transfer.mask_checks import style_regions
from nst_core.transfer.mask_colors import Color, as_color, as_text
from nst_core.transfer.masks import WHITE, Weights, given_mask, scaled
from nst_core.transfer.octaves import style_sides
from nst_core.transfer.settings import GramKind, Settings
from nst_core.transfer.style_losses.costs import GRAM
from nst_core.transfer.style_losses.losses import STYLE_LOSSES
from nst_core.transfer.style_losses.weighted import guided_gram_matrix, mean_over_positions

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
        regions: the targets of each region of a color-coded mask, by its color. Everything else is
            then that of all regions together.
    """

    grams: tuple[Mapping[str, Array], ...]
    centers: tuple[Mapping[str, Array], ...]
    colors: ColorStatistics
    others: tuple[LossTargets, ...] = ()
    regions: Mapping[Color, "StyleTargets"] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Return a safetensors file.

        Its arrays are `<octave>.<layer>.gram` and `.center`, `<octave>.<layer>.<loss>/<array>` for
        other style losses, and `colors.<statistic>`. For each region, there is such a file as an
        array of bytes, `#<color>`.
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
        files = {as_text(color): region.to_bytes() for color, region in self.regions.items()}
        arrays |= {name: np.frombuffer(file, np.uint8) for name, file in files.items()}
        return safetensors.numpy.save(
            {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> "StyleTargets":
        """Read the targets that `to_bytes` wrote."""
        arrays = safetensors.numpy.load(data)
        colors = {name: arrays.pop(f"colors.{name}") for name in ColorStatistics._fields}
        regions = {
            as_color(name): cls.from_bytes(arrays.pop(name).tobytes())
            for name in [*arrays]
            if name.startswith("#")
        }
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
            *(_in_order(grams), _in_order(centers), ColorStatistics(**colors), _in_order(others)),
            regions=regions,
        )

    def with_colors_of(self, other: "StyleTargets") -> "StyleTargets":
        """Return these targets with the colors of others of the same style, in all regions."""
        regions = {
            color: region.with_colors_of(other.regions[color])
            for color, region in self.regions.items()
        }
        return replace(self, colors=other.colors, regions=regions)


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


def style_targets(
    encoder: Encoder, style: PictureLike, settings: Settings, mask: PictureLike | None = None
) -> StyleTargets:
    """Return the statistics of a style picture at every octave of the settings.

    Args:
        encoder: the feature network.
        style: of any size and in any form that `as_pixels` takes.
        settings: determine the working sizes, the layers, the kind of Gram matrix and the style
            losses.
        mask: of the style: what is black does not count for its statistics, and each color is a
            region of its own. Without one, it is the style's transparency if the settings say so.

    Raises:
        ValueError: `style` or `mask` is not a picture, or its values are out of range.
        MaskError: the mask does not fit the style or the settings.
    """
    given, style = given_mask(mask, style, settings), as_pixels(style, "style")
    layers = tuple(settings.style_layer_weights)
    sized = [_at_side(encoder, style, side, layers) for side in style_sides(settings)]
    seen = [activations(encoder, tf.constant(pixels), layers) for pixels in sized]
    regions = None if given is None else style_regions(given, style, settings)
    if regions is None or regions.is_whole:
        return _targets(seen, sized[-1], settings)
    whole = _targets(seen, sized[-1], settings, regions.weights.sum(axis=-1, keepdims=True))
    if regions.colors == (WHITE,):
        return whole
    planes = np.moveaxis(regions.weights, -1, 0)[..., np.newaxis]
    each = (_targets(seen, sized[-1], settings, plane) for plane in planes)
    return replace(whole, regions=dict(zip(regions.colors, each, strict=True)))


def _targets(
    seen: Sequence[Mapping[str, tf.Tensor]],
    pixels: Array,
    settings: Settings,
    weights: Weights | None = None,
) -> StyleTargets:
    """Return the statistics of a style, or of a region of it.

    Args:
        seen: the features of the style layers at each octave.
        pixels: the style at the last octave.
        settings: as in `style_targets`.
        weights: of the region, in [0, 1], (height, width, 1), of any size.
    """
    positions = [_weights_at(octave, weights) for octave in seen]
    centers = [
        {layer: _center(of, settings.gram, at.get(layer)) for layer, of in octave.items()}
        for octave, at in zip(seen, positions, strict=True)
    ]
    grams = [
        {layer: _gram(octave[layer], center, at.get(layer)) for layer, center in around.items()}
        for octave, around, at in zip(seen, centers, positions, strict=True)
    ]
    others = [
        _other_targets(octave, settings, at) for octave, at in zip(seen, positions, strict=True)
    ]
    of_pixels = None if weights is None else scaled(weights, *pixels.shape[:2])[..., 0]
    return StyleTargets(
        *(tuple(grams), tuple(centers), color_statistics(pixels, of_pixels)),
        others=tuple(others) if any(others) else (),
    )


def _weights_at(
    features: Mapping[str, tf.Tensor], weights: Weights | None
) -> Mapping[str, tf.Tensor]:
    """Return a region's weights at each layer; nothing if there is no region."""
    if weights is None:
        return {}
    return {layer: tf.constant(scaled(weights, *of.shape[:2])) for layer, of in features.items()}


def _other_targets(
    features: Mapping[str, tf.Tensor], settings: Settings, weights: Mapping[str, tf.Tensor]
) -> LossTargets:
    """Return the targets of the style losses besides `gram` at one octave."""
    named = {loss: STYLE_LOSSES[loss] for loss in settings.style_loss_weights if loss != GRAM}
    of_region = (weights,) if weights else ()
    targets: LossTargets = tf.nest.map_structure(
        lambda tensor: tensor.numpy(),
        {name: loss.targets(features, *of_region) for name, loss in named.items()},
    )
    return targets


def _gram(features: tf.Tensor, center: Array, weights: tf.Tensor | None) -> Array:
    if weights is None:
        gram = gram_matrix(features, center)
    else:
        gram = guided_gram_matrix(features, center, weights)
    matrix: Array = gram.numpy()
    return matrix


def _center(features: tf.Tensor, kind: GramKind, weights: tf.Tensor | None) -> Array:
    mean: Array = mean_over_positions(features, weights).numpy()
    return mean if kind == "centered" else np.zeros_like(mean)


def _at_side(encoder: Encoder, style: Array, side: int, layers: tuple[str, ...]) -> Array:
    height, width = fit(style.shape[0], style.shape[1], side)
    smallest = encoder.topology.smallest_side(layers)
    return resize(style, max(height, smallest), max(width, smallest))


def octave_targets(
    targets: StyleTargets, octave: int, layers: Iterable[str]
) -> dict[str, dict[str, Any]]:
    """Return the targets of the style loss at an octave, by the names of the fields of `Targets`.

    Args:
        targets: those of a style.
        octave: its index.
        layers: the style layers.
    """
    return {
        "grams": {layer: tf.constant(targets.grams[octave][layer]) for layer in layers},
        "centers": {layer: tf.constant(targets.centers[octave][layer]) for layer in layers},
        "others": tf.nest.map_structure(
            tf.constant, targets.others[octave] if targets.others else {}
        ),
    }


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
