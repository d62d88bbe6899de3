"""The statistics of features that represent style and content."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nst_core.devices.tensor_float import decide_tf32
from nst_core.images.pixels import PictureLike, as_pixels
from nst_core.images.resize import fit, resize
from nst_core.networks.encoder import Encoder
from nst_core.networks.forward import activations, current_device
from nst_core.quiet_tensorflow import tf
from nst_core.transfer.colors.colors import color_statistics, pooled_statistics
from nst_core.transfer.masks.mask_checks import style_regions
from nst_core.transfer.masks.masks import WHITE, Weights, scaled
from nst_core.transfer.octaves import style_sides
from nst_core.transfer.settings import GramKind, Settings
from nst_core.transfer.style_losses.costs import GRAM
from nst_core.transfer.style_losses.losses import STYLE_LOSSES
from nst_core.transfer.style_losses.weighted import guided_gram_matrix, mean_over_positions
from nst_core.transfer.styles.styles import Samples, pictures_of
from nst_core.transfer.styles.targets import Array, LossTargets, StyleTargets

_OfRegion = Mapping[str, tf.Tensor]
"""The weights of a region by layer, float32 (height, width, 1); empty if there is no region."""


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
    mask: PictureLike | None = None,
    *,
    to_blend: bool = False,
) -> StyleTargets:
    """Return the statistics of a style at every octave of the settings.

    Args:
        encoder: the feature network.
        style: a picture of any size and in any form that `as_pixels` takes, or several (`Samples`).
        settings: determine the working sizes, the layers, the kind of Gram matrix, the style losses
            and the rotations.
        mask: of a style that is a single picture: what is black does not count for its statistics,
            and each color is a region of its own. Without one, it is the style's transparency if
            the settings say so.
        to_blend: whether the targets are to be blended with those of other styles
            (`blending.blended_targets`).

    Raises:
        ValueError: `style` or `mask` is not a picture, or its values are out of range.
        MaskError: the mask does not fit the style or the settings.
        PrecisionError: on a GPU, this process has used another precision; see `tensor_float`.
    """
    decide_tf32(current_device(), allowed=settings.allows_tf32)
    given = pictures_of(style)
    regions = style_regions(mask, given, settings, to_blend=to_blend)
    octaves = [_Features(encoder, given, side, settings) for side in style_sides(settings)]
    if regions is None:
        return _targets(octaves, settings, to_blend=to_blend)
    whole = _targets(octaves, settings, regions.weights.sum(axis=-1, keepdims=True))
    if regions.colors == (WHITE,):
        return whole
    planes = np.moveaxis(regions.weights, -1, 0)[..., np.newaxis]
    each = (_targets(octaves, settings, plane) for plane in planes)
    return replace(whole, regions=dict(zip(regions.colors, each, strict=True)))


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
            yield at_side(self._encoder, as_pixels(picture, "style"), self._side, self._layers)

    def __iter__(self) -> Iterator[Mapping[str, tf.Tensor]]:
        return iter([self.only]) if self.only is not None else self._computed()

    def _computed(self) -> Iterator[Mapping[str, tf.Tensor]]:
        for pixels in self.pictures():
            for turns in self._turns:
                turned = np.ascontiguousarray(np.rot90(pixels, turns))
                yield activations(self._encoder, tf.constant(turned), self._layers)


def _targets(
    octaves: Sequence[_Features],
    settings: Settings,
    weights: Weights | None = None,
    *,
    to_blend: bool = False,
) -> StyleTargets:
    """Return the statistics of a style, or of a region of it.

    Args:
        octaves: the features of the style at each octave.
        settings, to_blend: as in `style_targets`.
        weights: of the region of a single picture, in [0, 1], (height, width, 1), of any size; None
            for the whole style.
    """
    grams, centers, others = [], [], []
    for octave, features in enumerate(octaves):
        of_region = _weights_at(features, weights)
        gram, center = _grams(features, settings.gram, of_region)
        grams.append(gram)
        centers.append(center)
        others.append(_other_targets(features, settings, octave if to_blend else None, of_region))
    colors = [
        color_statistics(
            pixels, None if weights is None else scaled(weights, *pixels.shape[:2])[..., 0]
        )
        for pixels in octaves[-1].pictures()
    ]
    return StyleTargets(
        *(tuple(grams), tuple(centers), pooled_statistics(colors)),
        others=tuple(others) if any(others) else (),
    )


def _weights_at(samples: _Features, weights: Weights | None) -> _OfRegion:
    """Return a region's weights at each layer of a single picture; nothing without a region."""
    if weights is None:
        return {}
    assert samples.only is not None
    return {
        layer: tf.constant(scaled(weights, *features.shape[:2]))
        for layer, features in samples.only.items()
    }


def _grams(
    samples: Iterable[Mapping[str, tf.Tensor]], kind: GramKind, weights: _OfRegion
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the Gram matrices and centers of a style by layer, each picture weighing the same."""
    found: dict[str, list[tuple[Array, Array]]] = {}
    for features in samples:
        for layer, of_layer in features.items():
            center = _center(of_layer, kind, weights.get(layer))
            gram = _gram(of_layer, center, weights.get(layer))
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


def _other_targets(
    samples: _Features, settings: Settings, octave: int | None, weights: _OfRegion
) -> LossTargets:
    """Return the targets of the style losses besides `gram` at one octave.

    Args:
        samples: the features of the style.
        settings: name the style losses.
        octave: its index if the targets are to be blended; otherwise None.
        weights: those of a region.
    """
    of_region = (weights,) if weights else ()
    targets = {}
    for name in settings.style_loss_weights:
        if name == GRAM:
            continue
        loss = STYLE_LOSSES[name]
        if loss.to_blend and octave is not None:
            targets[name] = loss.to_blend(samples, octave)
        elif samples.only is not None:
            targets[name] = loss.targets(samples.only, *of_region)
        else:
            targets[name] = loss.pooled(samples)
    found: LossTargets = tf.nest.map_structure(lambda tensor: tensor.numpy(), targets)
    return found


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


def at_side(encoder: Encoder, style: Array, side: int, layers: tuple[str, ...]) -> Array:
    """Return a style with a longest side, or the smallest that the layers take, in pixels."""
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
