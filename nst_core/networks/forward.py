"""An encoder's forward pass in TensorFlow."""

from collections.abc import Iterable
from functools import cache

import tensorflow as tf

from nst_core.networks.encoder import AveragePool, Convolution, Encoder, Layer


def activations(encoder: Encoder, pixels: tf.Tensor, taps: Iterable[str]) -> dict[str, tf.Tensor]:
    """What the encoder sees at some of its layers.

    Args:
        encoder: layers and weights.
        pixels: sRGB in [0, 1], float32, (height, width, 3); no side below `encoder.smallest_side`.
        taps: layer names; nothing deeper than the deepest of them is computed.

    Returns:
        By layer name, float32 (height / stride, width / stride, channels), rounded down.

    Raises:
        ValueError: the encoder has no such layer.
    """
    wanted = set(taps)
    encoder.check_taps(wanted)
    current = pixels[tf.newaxis]
    seen: dict[str, tf.Tensor] = {}
    for layer in encoder.layers:
        current = _apply(layer, encoder, current)
        if layer.name in wanted:
            seen[layer.name] = current[0]
        if len(seen) == len(wanted):
            break
    return seen


@cache
def _tensors(encoder: Encoder) -> dict[str, tf.Tensor]:
    """The weights outside of any graph, so that compiled functions share them."""
    with tf.init_scope():
        return {name: tf.constant(array) for name, array in encoder.weights.items()}


def _apply(layer: Layer, encoder: Encoder, features: tf.Tensor) -> tf.Tensor:
    if isinstance(layer, Convolution):
        # Zeros around the picture would be a frame that the style never has.
        padded = tf.pad(features, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="REFLECT")
        weight = _tensors(encoder)[f"{layer.name}.weight"]
        bias = _tensors(encoder)[f"{layer.name}.bias"]
        return tf.nn.bias_add(tf.nn.conv2d(padded, weight, strides=1, padding="VALID"), bias)
    if isinstance(layer, AveragePool):
        return tf.nn.avg_pool2d(features, ksize=2, strides=2, padding="VALID")
    return tf.nn.relu(features)
