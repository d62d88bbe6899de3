"""The mathematics in NumPy and float64, written independently of the TensorFlow code.

Pictures are sRGB in [0, 1] (height, width, 3); features are (height, width, channels).
"""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nst_core.networks.encoder import Encoder
from nst_core.networks.topology import (
    Convolution,
    Layer,
    LocalResponseNormalization,
    Pool,
    PoolKind,
    Preprocessing,
    Relu,
)

Array = NDArray[np.float64]
Edges = Literal["mirrored", "zeros"]


class Tap(NamedTuple):
    """One position of a kernel, and the rows and columns that it sees, one for each result."""

    position: tuple[int, int]
    seen: tuple[slice, slice]


def taps(size: int, stride: int, height: int, width: int) -> Iterator[Tap]:
    """Yield the taps of a kernel whose result has this height and width."""
    for down, right in np.ndindex(size, size):
        rows = slice(down, down + height * stride, stride)
        columns = slice(right, right + width * stride, stride)
        yield Tap((down, right), (rows, columns))


def preprocess(pixels: Array, preprocessing: Preprocessing) -> Array:
    ordered = pixels[..., ::-1] if preprocessing.order == "BGR" else pixels
    return ordered.astype(np.float64) * preprocessing.scale - np.array(preprocessing.means)


def preprocess_gradient(gradient: Array, preprocessing: Preprocessing) -> Array:
    ordered = gradient[..., ::-1] if preprocessing.order == "BGR" else gradient
    return ordered * preprocessing.scale


def padding(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return the padding on both sides that ceil(side / stride) positions of a kernel need."""
    positions = -(-side // stride)
    total = max((positions - 1) * stride + kernel - side, 0)
    return total // 2, total - total // 2


def pad(features: Array, kernel: int, stride: int, edges: Edges) -> Array:
    assert edges == "zeros" or stride == 1, "mirrored edges are defined for stride 1 only"
    height, width, _ = features.shape
    widths = (padding(height, kernel, stride), padding(width, kernel, stride), (0, 0))
    return np.pad(features, widths, mode="reflect" if edges == "mirrored" else "constant")


def pad_gradient(
    gradient: Array, shape: tuple[int, ...], kernel: int, stride: int, edges: Edges
) -> Array:
    """Undo `pad` for features of this shape: mirrored edges add their gradient, zeros add none."""
    (top, bottom), (left, right) = (padding(side, kernel, stride) for side in shape[:2])
    if edges == "zeros":
        return gradient[top : top + shape[0], left : left + shape[1]]
    rows = np.pad(np.arange(shape[0]), (top, bottom), mode="reflect")
    columns = np.pad(np.arange(shape[1]), (left, right), mode="reflect")
    folded = np.zeros(shape)
    np.add.at(folded, np.ix_(rows, columns), gradient)
    return folded


def convolve_group(features: Array, weight: Array, stride: int, edges: Edges) -> Array:
    """Return the convolution as a sum of one shifted product for each tap of the kernel."""
    kernel, _, _, channels = weight.shape
    height, width = (-(-side // stride) for side in features.shape[:2])
    padded = pad(features, kernel, stride, edges)
    total = np.zeros((height, width, channels))
    for position, seen in taps(kernel, stride, height, width):
        total += np.tensordot(padded[seen], weight[position], axes=1)
    return total


def convolve(
    features: Array,
    weight: Array,
    bias: Array,
    stride: int = 1,
    groups: int = 1,
    edges: Edges = "mirrored",
) -> Array:
    parts = zip(np.split(features, groups, axis=2), np.split(weight, groups, axis=3), strict=True)
    return np.concatenate([convolve_group(*part, stride, edges) for part in parts], axis=2) + bias


def convolve_group_gradient(
    gradient: Array, features: Array, weight: Array, stride: int, edges: Edges
) -> Array:
    kernel, height, width = weight.shape[0], *gradient.shape[:2]
    padded = np.zeros_like(pad(features, kernel, stride, edges))
    for position, seen in taps(kernel, stride, height, width):
        padded[seen] += np.tensordot(gradient, weight[position].T, axes=1)
    return pad_gradient(padded, features.shape, kernel, stride, edges)


def convolve_gradient(
    gradient: Array,
    features: Array,
    weight: Array,
    stride: int = 1,
    groups: int = 1,
    edges: Edges = "mirrored",
) -> Array:
    """Return the gradient with respect to the features."""
    parts = zip(
        np.split(gradient, groups, axis=2),
        np.split(features, groups, axis=2),
        np.split(weight, groups, axis=3),
        strict=True,
    )
    return np.concatenate([convolve_group_gradient(*part, stride, edges) for part in parts], axis=2)


def pool(features: Array, size: int = 2, stride: int = 2, kind: PoolKind = "average") -> Array:
    height, width = (max((side - size) // stride + 1, 0) for side in features.shape[:2])
    squares = [features[seen] for _, seen in taps(size, stride, height, width)]
    return np.mean(squares, axis=0) if kind == "average" else np.max(squares, axis=0)


def pool_gradient(
    gradient: Array, features: Array, size: int = 2, stride: int = 2, kind: PoolKind = "average"
) -> Array:
    """Return the gradient with respect to the features; the first of equal maxima gets all of it.

    "First" is meant row by row. Equal maxima that a ReLU cut to 0 do not matter: the ReLU's own
    gradient is 0 there.
    """
    result = np.zeros_like(features)
    unclaimed = np.ones(gradient.shape, bool)
    largest = pool(features, size, stride, "max")
    for _, seen in taps(size, stride, *gradient.shape[:2]):
        if kind == "average":
            result[seen] += gradient / size**2
        else:
            claimed = unclaimed & (features[seen] == largest)
            result[seen] += np.where(claimed, gradient, 0)
            unclaimed &= ~claimed
    return result


def sum_of_neighbors(features: Array, radius: int) -> Array:
    """Return the sum over the channels within the radius, as far as they exist."""
    channels = np.arange(features.shape[2])
    near = np.abs(channels[:, None] - channels) <= radius
    return features @ near.astype(np.float64)


def normalize(features: Array, radius: int, alpha: float, beta: float, bias: float) -> Array:
    """Return the local response normalization of features."""
    return features / (bias + alpha * sum_of_neighbors(features**2, radius)) ** beta


def normalize_gradient(
    gradient: Array, features: Array, radius: int, alpha: float, beta: float, bias: float
) -> Array:
    """Return the gradient of y_c = x_c s_c**-beta, where x_c also occurs in its neighbors' s."""
    scale = bias + alpha * sum_of_neighbors(features**2, radius)
    own = gradient * scale**-beta
    through_scales = sum_of_neighbors(gradient * features * scale ** (-beta - 1), radius)
    return own - 2 * alpha * beta * features * through_scales


def weight_of(layer: Convolution, encoder: Encoder) -> Array:
    return encoder.weights[f"{layer.name}.weight"].astype(np.float64)


def apply(layer: Layer, features: Array, encoder: Encoder) -> Array:
    match layer:
        case Convolution():
            bias = encoder.weights[f"{layer.name}.bias"].astype(np.float64)
            weight = weight_of(layer, encoder)
            return convolve(features, weight, bias, layer.stride, layer.groups, layer.edges)
        case Relu():
            return np.maximum(features, 0)
        case Pool():
            return pool(features, layer.size, layer.stride, layer.kind)
        case LocalResponseNormalization():
            return normalize(features, layer.radius, layer.alpha, layer.beta, layer.bias)


def apply_gradient(layer: Layer, gradient: Array, features: Array, encoder: Encoder) -> Array:
    """Return the gradient with respect to the layer's input; 0 where a ReLU's input is 0."""
    match layer:
        case Convolution():
            weight = weight_of(layer, encoder)
            edges = layer.edges
            return convolve_gradient(gradient, features, weight, layer.stride, layer.groups, edges)
        case Relu():
            return gradient * (features > 0)
        case Pool():
            return pool_gradient(gradient, features, layer.size, layer.stride, layer.kind)
        case LocalResponseNormalization():
            numbers = (layer.radius, layer.alpha, layer.beta, layer.bias)
            return normalize_gradient(gradient, features, *numbers)


def activations(encoder: Encoder, pixels: Array) -> dict[str, Array]:
    """Return the activations of every layer, in order."""
    seen = {}
    features = preprocess(pixels, encoder.topology.preprocessing)
    for layer in encoder.topology.layers:
        features = apply(layer, features, encoder)
        seen[layer.name] = features
    return seen


def gradient(encoder: Encoder, pixels: Array, tap_gradients: Mapping[str, Array]) -> Array:
    """Return a loss's gradient with respect to the pixels, from derivatives by activations.

    Each derivative is taken as if no other tap depended on that activation.
    """
    seen = activations(encoder, pixels)
    assert set(tap_gradients) <= set(seen), "a derivative for a layer that there is not"
    preprocessing = encoder.topology.preprocessing
    features = [preprocess(pixels, preprocessing), *seen.values()]
    flowing = np.zeros_like(features[-1])
    steps = zip(encoder.topology.layers, pairwise(features), strict=True)
    for layer, (given, result) in reversed(list(steps)):
        at_tap = tap_gradients.get(layer.name, np.zeros_like(result))
        assert at_tap.shape == result.shape, f"derivatives of another shape at {layer.name}"
        flowing = apply_gradient(layer, flowing + at_tap, given, encoder)
    return preprocess_gradient(flowing, preprocessing)


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
    """Return content, style and total variation loss."""
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
