"""The statistics of features that represent style and content; style targets can be saved."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from nst_core.transfer.colors import ColorStatistics, color_statistics, pooled_statistics
from nst_core.transfer.octaves import style_sides
from nst_core.transfer.settings import GramKind, Settings
from nst_core.transfer.style_losses.costs import GRAM
from nst_core.transfer.style_losses.losses import STYLE_LOSSES
from nst_core.transfer.styles import Samples, pictures_of

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


def style_targets(
    encoder: Encoder,
    style: PictureLike | Samples,
    settings: Settings,
    *,
    to_blend: bool = False,
) -> StyleTargets:
    """Return the statistics of a style at every octave of the settings.

    Args:
        encoder: the feature network.
        style: a picture of any size and in any form that `as_pixels` takes, or several (`Samples`).
        settings: determine the working sizes, the layers, the kind of Gram matrix, the style losses
            and the rotations.
        to_blend: whether the targets are to be blended with those of other styles
            (`blending.blended_targets`).

    Raises:
        ValueError: `style` is not a picture, or its values are out of range.
    """
    octaves = [
        _Features(encoder, pictures_of(style), side, settings) for side in style_sides(settings)
    ]
    grams, centers, others = [], [], []
    for octave, features in enumerate(octaves):
        gram, center = _grams(features, settings.gram)
        grams.append(gram)
        centers.append(center)
        others.append(_other_targets(features, settings, octave if to_blend else None))
    colors = pooled_statistics([*map(color_statistics, octaves[-1].pictures())])
    return StyleTargets(
        *(tuple(grams), tuple(centers), colors), others=tuple(others) if any(others) else ()
    )


class _Features:
    """The features of a style at one size: by layer, for each of its pictures and rotations.

    They are computed as it is iterated, and only those of a single picture are kept.
    """

    def __init__(
        self, encoder: Encoder, given: Sequence[PictureLike], side: int, settings: Settings
    ) -> None:
        self._encoder, self._given, self._side = encoder, given, side
        self._layers = tuple(settings.style_layer_weights)
        self._turns = range(0, 4, 4 // settings.style_rotations)
        self.only = next(self._computed()) if len(given) * len(self._turns) == 1 else None

    def pictures(self) -> Iterator[Array]:
        """Yield the pictures at this size, upright."""
        for picture in self._given:
            yield _at_side(self._encoder, as_pixels(picture, "style"), self._side, self._layers)

    def __iter__(self) -> Iterator[Mapping[str, tf.Tensor]]:
        return iter([self.only]) if self.only is not None else self._computed()

    def _computed(self) -> Iterator[Mapping[str, tf.Tensor]]:
        for pixels in self.pictures():
            for turns in self._turns:
                turned = np.ascontiguousarray(np.rot90(pixels, turns))
                yield activations(self._encoder, tf.constant(turned), self._layers)


def _grams(
    samples: Iterable[Mapping[str, tf.Tensor]], kind: GramKind
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the Gram matrices and centers of a style by layer, each picture weighing the same."""
    found: dict[str, list[tuple[Array, Array]]] = {}
    for features in samples:
        for layer, of_layer in features.items():
            center = _center(of_layer, kind)
            gram = gram_matrix(of_layer, center).numpy()
            found.setdefault(layer, []).append((gram, center))
    pooled = {layer: _pooled_gram(each) for layer, each in found.items()}
    return (
        {layer: gram for layer, (gram, _) in pooled.items()},
        {layer: center for layer, (_, center) in pooled.items()},
    )


def _pooled_gram(found: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
    """Return the Gram matrix of all pictures around their common center, and that center.

    It is the mean of their own Gram matrices, and the covariance of their centers.
    """
    if len(found) == 1:
        return found[0]
    grams, centers = (np.asarray(each, np.float64) for each in zip(*found, strict=True))
    center = centers.mean(axis=0)
    shifts = centers - center
    gram = grams.mean(axis=0) + shifts.T @ shifts / len(found)
    return gram.astype(np.float32), center.astype(np.float32)


def _other_targets(samples: _Features, settings: Settings, octave: int | None) -> LossTargets:
    """Return the targets of the style losses besides `gram` at one octave.

    Args:
        samples: the features of the style.
        settings: name the style losses.
        octave: its index if the targets are to be blended; otherwise None.
    """
    targets = {}
    for name in settings.style_loss_weights:
        if name == GRAM:
            continue
        loss = STYLE_LOSSES[name]
        if loss.to_blend and octave is not None:
            targets[name] = loss.to_blend(samples, octave)
        elif samples.only is not None:
            targets[name] = loss.targets(samples.only)
        else:
            targets[name] = loss.pooled(samples)
    found: LossTargets = tf.nest.map_structure(lambda tensor: tensor.numpy(), targets)
    return found


def _center(features: tf.Tensor, kind: GramKind) -> Array:
    mean: Array = tf.reduce_mean(features, axis=(0, 1)).numpy()
    return mean if kind == "centered" else np.zeros_like(mean)


def _at_side(encoder: Encoder, style: Array, side: int, layers: tuple[str, ...]) -> Array:
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
