"""Features -> the statistics that stand for style and content; style targets are a saved value."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import safetensors.numpy
import tensorflow as tf
from numpy.typing import NDArray

from nst_core.networks.encoder import Encoder
from nst_core.networks.forward import activations
from nst_core.octaves import style_sides
from nst_core.pictures import fit, resize
from nst_core.settings import Settings


@dataclass(frozen=True)
class StyleTargets:
    """What a style is to the optimization: Gram matrices, by octave and layer.

    Attributes:
        grams: one mapping an octave, coarse to fine; layer name -> float32 (channels, channels).
    """

    grams: tuple[Mapping[str, NDArray[np.float32]], ...]

    def to_bytes(self) -> bytes:
        """A safetensors file with one array an octave and layer, `<octave>.<layer>`."""
        return safetensors.numpy.save(
            {
                f"{octave}.{layer}": np.ascontiguousarray(gram)
                for octave, grams in enumerate(self.grams)
                for layer, gram in grams.items()
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> "StyleTargets":
        """The targets that `to_bytes` wrote."""
        octaves: dict[int, dict[str, NDArray[np.float32]]] = {}
        for name, gram in safetensors.numpy.load(data).items():
            octave, _, layer = name.partition(".")
            octaves.setdefault(int(octave), {})[layer] = gram
        return cls(tuple(octaves[octave] for octave in sorted(octaves)))


def gram_matrix(features: tf.Tensor) -> tf.Tensor:
    """G = F^T F / M, M the number of positions (Gatys et al. 2016, eq. 3, divided by M).

    Divided by the picture's own M, it does not depend on the picture's size or shape.

    Args:
        features: float32 (height, width, channels).

    Returns:
        float32 (channels, channels).
    """
    rows = tf.reshape(features, [-1, features.shape[-1]])
    return tf.matmul(rows, rows, transpose_a=True) / tf.cast(tf.shape(rows)[0], rows.dtype)


def style_targets(encoder: Encoder, style: NDArray[np.float32], settings: Settings) -> StyleTargets:
    """The Gram matrices of a style picture at every octave that the settings work through.

    Args:
        encoder: the network that sees.
        style: sRGB in [0, 1], float32, (height, width, 3), at any size.
        settings: give the working sizes and the layers.
    """
    layers = tuple(settings.style_layer_weights)
    return StyleTargets(
        tuple(
            _grams(encoder, _at_side(encoder, style, side, layers), layers)
            for side in style_sides(settings)
        )
    )


def _at_side(
    encoder: Encoder, style: NDArray[np.float32], side: int, layers: tuple[str, ...]
) -> NDArray[np.float32]:
    height, width = fit(style.shape[0], style.shape[1], side)
    smallest = encoder.stride(layers)
    return resize(style, max(height, smallest), max(width, smallest))


def _grams(
    encoder: Encoder, pixels: NDArray[np.float32], layers: tuple[str, ...]
) -> dict[str, NDArray[np.float32]]:
    seen = activations(encoder, tf.constant(pixels), layers)
    return {layer: gram_matrix(seen[layer]).numpy() for layer in layers}


def content_targets(
    encoder: Encoder, content: NDArray[np.float32], layers: tuple[str, ...]
) -> dict[str, tf.Tensor]:
    """The content picture's activations.

    Args:
        encoder: the network that sees.
        content: sRGB in [0, 1], float32, (height, width, 3), at the working size.
        layers: names of the content layers.

    Returns:
        By layer name, float32 (height / stride, width / stride, channels).
    """
    return activations(encoder, tf.constant(content), layers)
