"""Pure functions of pixels, targets and weights: the losses of Gatys et al. (2016), as means.

    content = sum over layers of w_l mean((F_l - P_l)^2)
    style   = sum over layers of w_l mean((G_l - A_l)^2)
    tv      = mean(dx^2) + mean(dy^2)
    total   = content_weight content + style_weight style + tv_weight tv

F: activations of the picture, P: of the content; G: Gram matrices of the picture, A: of the style.
The normalization `relative` divides by the target's own square, sum(A^2), instead of the count.
"""

from typing import NamedTuple

import tensorflow as tf

from nst_core.networks.encoder import Encoder
from nst_core.networks.forward import activations
from nst_core.settings import Normalization, Settings
from nst_core.statistics import gram_matrix


class Targets(NamedTuple):
    """What the picture shall resemble at one octave, by layer name."""

    content: dict[str, tf.Tensor]
    grams: dict[str, tf.Tensor]
    centers: dict[str, tf.Tensor]


class LossWeights(NamedTuple):
    """The weights as tensors, so that other weights need no other compiled function."""

    content: tf.Tensor
    style: tf.Tensor
    tv: tf.Tensor
    content_layers: dict[str, tf.Tensor]
    style_layers: dict[str, tf.Tensor]


class LossTerms(NamedTuple):
    """Float32 scalars; `style_layers` are relative losses, comparable between rows and sizes."""

    total: tf.Tensor
    content: tf.Tensor
    style: tf.Tensor
    tv: tf.Tensor
    style_layers: dict[str, tf.Tensor]


def loss_weights(settings: Settings) -> LossWeights:
    """The weights of these settings as float32 tensors."""
    return LossWeights(
        content=tf.constant(settings.content_weight, tf.float32),
        style=tf.constant(settings.style_weight, tf.float32),
        tv=tf.constant(settings.tv_weight, tf.float32),
        content_layers=_as_tensors(settings.content_layer_weights),
        style_layers=_as_tensors(settings.style_layer_weights),
    )


def _as_tensors(weights: dict[str, float]) -> dict[str, tf.Tensor]:
    return {name: tf.constant(weight, tf.float32) for name, weight in weights.items()}


def relative_loss(value: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """sum((value - target)^2) / sum(target^2), a scalar; 0 is equal, 1 is as far as nothing is."""
    squared_norm = tf.reduce_sum(tf.square(target))
    return tf.math.divide_no_nan(tf.reduce_sum(tf.square(value - target)), squared_norm)


def mean_squared_loss(value: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """mean((value - target)^2), a scalar."""
    return tf.reduce_mean(tf.square(value - target))


LAYER_LOSSES = {"relative": relative_loss, "mean": mean_squared_loss}


def total_variation(pixels: tf.Tensor) -> tf.Tensor:
    """mean(dx^2) + mean(dy^2) of neighboring pixels of (height, width, channels), a scalar."""
    across = pixels[:, 1:] - pixels[:, :-1]
    down = pixels[1:] - pixels[:-1]
    return tf.reduce_mean(tf.square(across)) + tf.reduce_mean(tf.square(down))


def loss_terms(
    encoder: Encoder,
    normalization: Normalization,
    pixels: tf.Tensor,
    targets: Targets,
    weights: LossWeights,
) -> LossTerms:
    """All losses of a picture.

    Args:
        encoder: the network that sees.
        normalization: how a layer's squared error becomes a loss.
        pixels: sRGB in [0, 1], float32, (height, width, 3).
        targets: of an equal height and width where content is concerned.
        weights: of the losses and, within each, of the layers.
    """
    layer_loss = LAYER_LOSSES[normalization]
    seen = activations(encoder, pixels, {*targets.content, *targets.grams})
    grams = {layer: gram_matrix(seen[layer], center) for layer, center in targets.centers.items()}
    content = tf.add_n(
        [
            weights.content_layers[layer] * layer_loss(seen[layer], target)
            for layer, target in targets.content.items()
        ]
    )
    style = tf.add_n(
        [
            weights.style_layers[layer] * layer_loss(grams[layer], target)
            for layer, target in targets.grams.items()
        ]
    )
    tv = total_variation(pixels)
    return LossTerms(
        total=weights.content * content + weights.style * style + weights.tv * tv,
        content=content,
        style=style,
        tv=tv,
        style_layers={
            layer: relative_loss(grams[layer], target) for layer, target in targets.grams.items()
        },
    )
