"""The mathematics once more, in NumPy and float64, written without a look at TensorFlow's."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nst_core.networks.encoder import AveragePool, Convolution, Encoder, Relu

Array = NDArray[np.float64]


def convolve(features: Array, weight: Array, bias: Array) -> Array:
    """3x3, edges mirrored, one shifted product a tap of the kernel."""
    height, width, _ = features.shape
    padded = np.pad(features, ((1, 1), (1, 1), (0, 0)), mode="reflect")
    total = np.zeros((height, width, weight.shape[3])) + bias
    for down in range(3):
        for right in range(3):
            total += padded[down : down + height, right : right + width] @ weight[down, right]
    return total


def pool(features: Array) -> Array:
    height, width = features.shape[0] // 2 * 2, features.shape[1] // 2 * 2
    cut = features[:height, :width]
    return (cut[::2, ::2] + cut[1::2, ::2] + cut[::2, 1::2] + cut[1::2, 1::2]) / 4


def activations(encoder: Encoder, pixels: Array) -> dict[str, Array]:
    seen = {}
    features = pixels
    for layer in encoder.layers:
        if isinstance(layer, Convolution):
            weight = encoder.weights[f"{layer.name}.weight"].astype(np.float64)
            bias = encoder.weights[f"{layer.name}.bias"].astype(np.float64)
            features = convolve(features, weight, bias)
        elif isinstance(layer, Relu):
            features = np.maximum(features, 0)
        elif isinstance(layer, AveragePool):
            features = pool(features)
        seen[layer.name] = features
    return seen


def gram(features: Array) -> Array:
    return np.einsum("hwi,hwj->ij", features, features) / (features.shape[0] * features.shape[1])


def layer_loss(value: Array, target: Array, normalization: str) -> float:
    squares = ((value - target) ** 2).sum()
    return float(squares / ((target**2).sum() if normalization == "relative" else target.size))


def total_variation(pixels: Array) -> float:
    across = np.diff(pixels, axis=1) ** 2
    down = np.diff(pixels, axis=0) ** 2
    return float(across.mean() + down.mean())


def losses(
    encoder: Encoder,
    pixels: Array,
    content: Array,
    grams: Mapping[str, Array],
    content_layers: Mapping[str, float],
    style_layers: Mapping[str, float],
    normalization: str,
    center: float = 0.0,
) -> tuple[float, float, float]:
    """Content, style and total variation loss."""
    seen, wanted = activations(encoder, pixels), activations(encoder, content)
    content_loss = sum(
        weight * layer_loss(seen[layer], wanted[layer], normalization)
        for layer, weight in content_layers.items()
    )
    style_loss = sum(
        weight * layer_loss(gram(seen[layer] - center), grams[layer], normalization)
        for layer, weight in style_layers.items()
    )
    return content_loss, style_loss, total_variation(pixels)
