"""Features of a picture whose activations are computed again for the gradient, and not kept.

The encoder is split into blocks, each with one convolution. Only the input of each block is kept
until the gradient reaches that block (Chen et al. 2016, "Training Deep Nets with Sublinear Memory
Cost"). The Gram matrices are computed within the blocks, because their gradients need activations,
too. Two gradients are not TensorFlow's own, which need large arrays for a moment.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

from nst_core.networks.encoder import Encoder
from nst_core.networks.forward import apply_layer, preprocessed
from nst_core.networks.topology import Layer
from nst_core.quiet_tensorflow import tf
from nst_core.transfer.styles.statistics import gram_matrix

Tensors = dict[str, tf.Tensor]
Statistics = Callable[[tf.Tensor], Any]


def rematerialized(
    encoder: Encoder,
    pixels: tf.Tensor,
    kept: Iterable[str],
    centers: Mapping[str, tf.Tensor],
    others: Mapping[str, Statistics] = MappingProxyType({}),
) -> tuple[Tensors, Tensors, dict[str, Any]]:
    """Return activations and statistics, by layer, that take little memory in the gradient.

    Args:
        encoder: topology and weights.
        pixels: sRGB in [0, 1], float32, (height, width, 3).
        kept: the layers whose activations are returned.
        centers: by layer with a Gram matrix, the vector to subtract first, float32 (channels,).
        others: by style layer, a function of features to other statistics.

    Returns:
        What `activations` returns for the kept layers, `gram_matrix` for those with a center, and
        the functions in `others`.
    """
    kept = {*kept}
    current = preprocessed(encoder, pixels)
    activations: Tensors = {}
    grams: Tensors = {}
    statistics: dict[str, Any] = {}
    for block in encoder.topology.blocks({*kept, *centers, *others}):
        # TensorFlow runs a block again once it knows the gradient of the first of these values.
        # That of the block's result comes first in them, and is the last to be known.
        run = tf.recompute_grad(partial(_run, encoder, block, pixels.dtype, kept, centers, others))
        current, of_block, grams_of_block, statistics_of_block = run(current)
        activations |= of_block
        grams |= grams_of_block
        statistics |= statistics_of_block
    return activations, grams, statistics


def _run(
    encoder: Encoder,
    block: Sequence[Layer],
    numbers: tf.DType,
    kept: Collection[str],
    centers: Mapping[str, tf.Tensor],
    others: Mapping[str, Statistics],
    features: tf.Tensor,
) -> tuple[tf.Tensor, Tensors, Tensors, dict[str, Any]]:
    """Return a block's result, and within it activations to keep and statistics by layer.

    The result is in the encoder's precision, and all others in `numbers`.
    """
    activations: Tensors = {}
    grams: Tensors = {}
    statistics: dict[str, Any] = {}
    for layer in block:
        features = apply_layer(layer, encoder, features, _convolution)
        found = tf.cast(features[0], numbers)
        if layer.name in kept:
            activations[layer.name] = found
        if layer.name in centers:
            grams[layer.name] = _gram_matrix(found, centers[layer.name])
        if layer.name in others:
            statistics[layer.name] = others[layer.name](found)
    return features, activations, grams, statistics


def _gram_matrix(features: tf.Tensor, center: tf.Tensor) -> tf.Tensor:
    """Return what `gram_matrix` returns; its gradient takes one array of the size of the features.

    TensorFlow's own gradient keeps the features minus the center, and multiplies them twice.
    """

    def gram(features: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            rows = tf.reshape(features, [-1, features.shape[-1]])
            count = tf.cast(tf.shape(rows)[0], rows.dtype)
            both = (upstream + tf.transpose(upstream)) / count
            of_rows = tf.matmul(rows, both) - tf.matmul(center[tf.newaxis], both)
            return tf.reshape(of_rows, tf.shape(features))

        return gram_matrix(features, center), gradient

    return tf.custom_gradient(gram)(features)


def _convolution(
    features: tf.Tensor, weight: tf.Tensor, *, strides: int, padding: str
) -> tf.Tensor:
    """Return what `tf.nn.conv2d` returns; its gradient takes no more memory than its result.

    On many CPUs, TensorFlow's own gradient writes all values under the kernel, at each position,
    into one array, which is then the largest array of all.
    """

    def convolve(features: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            beyond = [weight.shape[0] - 1] * 2
            edges = [[0, 0], beyond, beyond, [0, 0]]
            turned = tf.transpose(weight[::-1, ::-1], [0, 1, 3, 2])
            all_round = padding if padding == "SAME" else edges
            return tf.nn.conv2d(upstream, turned, strides=1, padding=all_round)

        return tf.nn.conv2d(features, weight, strides=strides, padding=padding), gradient

    if strides != 1:
        # The gradient would have gaps between its positions.
        return tf.nn.conv2d(features, weight, strides=strides, padding=padding)
    return tf.custom_gradient(convolve)(features)
