"""An encoder's forward pass in TensorFlow."""

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cache

from nst_core.networks.encoder import Encoder
from nst_core.networks.topology import (
    Convolution,
    Layer,
    LocalResponseNormalization,
    Pool,
)
from nst_core.quiet_tensorflow import tf


def activations(encoder: Encoder, pixels: tf.Tensor, taps: Iterable[str]) -> dict[str, tf.Tensor]:
    """Return the encoder's activations at some of its layers.

    Args:
        encoder: topology and weights.
        pixels: sRGB in [0, 1], float32, (height, width, 3); no side may be shorter than the
            topology's `smallest_side`.
        taps: layer names; the layers after the last of them are not computed.

    Returns:
        The activations by layer name, (height / stride, width / stride, channels), of the same type
        as the pixels, whatever the encoder's precision is.

    Raises:
        ValueError: the encoder has no such layer.
    """
    wanted = set(taps)
    encoder.topology.check_taps(wanted)
    found = _tapped(encoder, preprocessed(encoder, pixels), wanted)
    return {name: tf.cast(of_layer[0], pixels.dtype) for name, of_layer in found}


def activations_of_pictures(
    encoder: Encoder, pictures: tf.Tensor, taps: Collection[str]
) -> dict[str, tf.Tensor]:
    """Return what `activations` returns for each of several pictures, stacked.

    Args:
        encoder, taps: as in `activations`.
        pictures: (pictures, height, width, 3), otherwise like the pixels of `activations`.
    """
    found = _tapped(encoder, preprocessed(encoder, pictures)[0], taps)
    return {name: tf.cast(of_layer, pictures.dtype) for name, of_layer in found}


def _tapped(
    encoder: Encoder, current: tf.Tensor, taps: Collection[str]
) -> Iterator[tuple[str, tf.Tensor]]:
    """Yield the results of layers by name, (pictures, ...), up to the last that is wanted."""
    left = len(taps)
    for layer in encoder.topology.layers:
        current = apply_layer(layer, encoder, current)
        if layer.name in taps:
            left -= 1
            yield layer.name, current
        if not left:
            return


def preprocessed(encoder: Encoder, pixels: tf.Tensor) -> tf.Tensor:
    """Return what an encoder's first layer takes, in its precision, (1, height, width, 3).

    Args:
        encoder: the feature network.
        pixels: sRGB in [0, 1], float32, (height, width, 3).
    """
    preprocessing = encoder.topology.preprocessing
    ordered = pixels[..., ::-1] if preprocessing.order == "BGR" else pixels
    scaled = ordered * preprocessing.scale - tf.constant(preprocessing.means, pixels.dtype)
    return tf.cast(scaled[tf.newaxis], encoder.precision)


def apply_layer(
    layer: Layer,
    encoder: Encoder,
    features: tf.Tensor,
    convolve: Callable[..., tf.Tensor] = tf.nn.conv2d,
) -> tf.Tensor:
    """Return the result of one of an encoder's layers.

    Args:
        layer: the layer.
        encoder: the network that it belongs to, with its weights.
        features: the result of the layer before it, in the encoder's precision, (1, height, width,
            channels).
        convolve: called like `tf.nn.conv2d`, and returns the same.
    """
    if isinstance(layer, Convolution):
        return _convolve(layer, encoder, features, convolve)
    if isinstance(layer, Pool):
        pool = tf.nn.max_pool2d if layer.kind == "max" else tf.nn.avg_pool2d
        return pool(features, ksize=layer.size, strides=layer.stride, padding="VALID")
    if isinstance(layer, LocalResponseNormalization):
        return tf.nn.local_response_normalization(
            features, layer.radius, layer.bias, layer.alpha, layer.beta
        )
    return tf.nn.relu(features)


def _convolve(
    layer: Convolution,
    encoder: Encoder,
    features: tf.Tensor,
    convolve: Callable[..., tf.Tensor],
) -> tf.Tensor:
    padding = "SAME"
    if layer.edges == "mirrored":
        beyond = [layer.kernel // 2, layer.kernel // 2]
        features = tf.pad(features, [[0, 0], beyond, beyond, [0, 0]], mode="REFLECT")
        padding = "VALID"
    tensors = weights_on(encoder, current_device())
    # On a CPU, TensorFlow has no gradient of grouped convolutions, so we split the groups.
    parts = zip(
        tf.split(features, layer.groups, axis=-1),
        tf.split(tensors[f"{layer.name}.weight"], layer.groups, axis=-1),
        strict=True,
    )
    convolved = [
        convolve(part, weight, strides=layer.stride, padding=padding) for part, weight in parts
    ]
    return tf.nn.bias_add(tf.concat(convolved, axis=-1), tensors[f"{layer.name}.bias"])


def current_device() -> str:
    """Return the full name of the device on which TensorFlow now places operations."""
    with tf.init_scope():
        return str(tf.zeros([]).device)


@cache
def weights_on(encoder: Encoder, device: str) -> dict[str, tf.Tensor]:  # noqa: ARG001 - a cache key
    """Return the weights, in the encoder's precision, by name.

    They are outside any graph, so that a device's compiled functions share them.
    """
    with tf.init_scope():
        return {name: tf.cast(array, encoder.precision) for name, array in encoder.weights.items()}
