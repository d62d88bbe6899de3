"""The losses of three published recipes, each as its authors wrote it, in NumPy and float64.

Nothing here uses normalized Gram matrices or this project's losses. Features are arrays of height
x width x channels, by layer. F is such an array as a matrix of M positions x N channels, P is that
of the content picture, G = F^T F, and A is the same of the style picture.

`<recipe>_losses` computes losses from activations and raw pixels, and derivatives of the total by
both. `<recipe>` computes losses and the gradient by the pixels from sRGB in [0, 1]. The losses of
content, style and tv are not weighted; the total is.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from nst_core.networks.encoder import Encoder
from tests import reference
from tests.reference import Array

Features = Mapping[str, Array]

RAW_SCALE = 255.0
RAW_MEANS = (123.68, 116.779, 103.939)
"""Means of RGB. The article uses 123, 117, 104, which makes no difference to total variation.

neural-style scales by 256. Here all recipes scale by 255, as the networks' preprocessing does.
"""


class Weights(NamedTuple):
    content: float
    style: float
    tv: float = 0.0


class Losses(NamedTuple):
    content: float
    style: float
    tv: float
    total: float


class Term(NamedTuple):
    """A loss, and its derivative by the features of one layer, or by raw pixels."""

    loss: float
    derivative: Array


Differentiated = tuple[Losses, dict[str, Array], Array]
"""The losses, the weighted total's derivatives by activations, and those of tv by raw pixels."""

ARTICLE_WEIGHTS = Weights(content=1.0, style=1000.0, tv=0.0)
PAPER_WEIGHTS = Weights(content=1e-3, style=1.0)
NEURAL_STYLE_WEIGHTS = Weights(content=5.0, style=100.0, tv=1e-3)


def raw_pixels(pixels: Array) -> Array:
    """Convert sRGB in [0, 1] to 0..255 minus the means of ImageNet."""
    return RAW_SCALE * pixels - np.array(RAW_MEANS)


def gram(features: Array) -> Array:
    """Return F^T F, a plain sum over positions."""
    matrix = features.reshape(-1, features.shape[2])
    return matrix.T @ matrix


def sizes(features: Array) -> tuple[int, int]:
    """Return N channels and M positions."""
    height, width, channels = features.shape
    return channels, height * width


def _combine(
    content: Mapping[str, Term], style: Mapping[str, Term], tv: Term, weights: Weights
) -> Differentiated:
    content_loss = sum(term.loss for term in content.values())
    style_loss = sum(term.loss for term in style.values())
    total = weights.content * content_loss + weights.style * style_loss + weights.tv * tv.loss
    derivatives = {layer: weights.content * term.derivative for layer, term in content.items()}
    for layer, term in style.items():
        derivatives[layer] = derivatives.get(layer, 0) + weights.style * term.derivative
    losses = Losses(content_loss, style_loss, tv.loss, total)
    return losses, derivatives, weights.tv * tv.derivative


# gcucurull/neural-art-transfer, losses.py and style-transf.py


def article_content(features: Array, wanted: Array) -> Term:
    """Return sum (F - P)^2."""
    return Term(((features - wanted) ** 2).sum(), 2 * (features - wanted))


def article_style(features: Array, style: Array, layers: int) -> Term:
    """Return 1 / layers * sum (G - A)^2 / (N^2 M^2), with the M of the picture being made."""
    channels, positions = sizes(features)
    difference = gram(features) - gram(style)
    factor = 1 / layers / (channels**2 * positions**2)
    return Term(factor * (difference**2).sum(), 4 * factor * features @ difference)


def article_tv(raw: Array) -> Term:
    """Return half the sum of squares of all differences, across and down."""
    across, down = raw[:, 1:] - raw[:, :-1], raw[1:] - raw[:-1]
    derivative = np.zeros_like(raw)
    derivative[:, 1:] += across
    derivative[:, :-1] -= across
    derivative[1:] += down
    derivative[:-1] -= down
    return Term(0.5 * (across**2).sum() + 0.5 * (down**2).sum(), derivative)


def article_losses(
    seen: Features,
    content: Features,
    style: Features,
    raw: Array,
    content_layers: Sequence[str],
    style_layers: Sequence[str],
    weights: Weights = ARTICLE_WEIGHTS,
) -> Differentiated:
    """Return the published losses; both pictures have one size, as Gram matrices are plain sums."""
    count = len(style_layers)
    return _combine(
        {layer: article_content(seen[layer], content[layer]) for layer in content_layers},
        {layer: article_style(seen[layer], style[layer], count) for layer in style_layers},
        article_tv(raw),
        weights,
    )


# Gatys, Ecker, Bethge 2016, section 2, equations 1 to 7


def paper_content(features: Array, wanted: Array) -> Term:
    """Return 1/2 sum (F - P)^2 (equation 1)."""
    return Term(0.5 * ((features - wanted) ** 2).sum(), features - wanted)


def paper_style(features: Array, style: Array, layer_weight: float) -> Term:
    """Return w_l E_l, with E_l = 1 / (4 N^2 M^2) sum (G - A)^2 (equations 4 to 6).

    Equation 6 includes the ReLU (0 where F is below 0); here the network's own ReLU does that.
    """
    assert features.shape == style.shape, "the authors resize the style to the content's size"
    channels, positions = sizes(features)
    difference = gram(features) - gram(style)
    layer_loss = (difference**2).sum() / (4 * channels**2 * positions**2)
    derivative = features @ difference / (channels**2 * positions**2)
    return Term(layer_weight * layer_loss, layer_weight * derivative)


def paper_losses(
    seen: Features,
    content: Features,
    style: Features,
    raw: Array,
    content_layers: Sequence[str],
    style_layers: Sequence[str],
    weights: Weights = PAPER_WEIGHTS,
) -> Differentiated:
    """Return alpha * content + beta * style (equation 7); the paper has no tv."""
    assert weights.tv == 0, "the paper has no total variation"
    layer_weight = 1 / len(style_layers)
    return _combine(
        {layer: paper_content(seen[layer], content[layer]) for layer in content_layers},
        {layer: paper_style(seen[layer], style[layer], layer_weight) for layer in style_layers},
        Term(0.0, np.zeros_like(raw)),
        weights,
    )


# jcjohnson/neural-style, neural_style.lua


def neural_style_content(features: Array, wanted: Array) -> Term:
    """Return mean (F - P)^2."""
    difference = features - wanted
    return Term((difference**2).mean(), 2 * difference / difference.size)


def neural_style_style(features: Array, style: Array) -> Term:
    """Return the mean of the N x N entries of (G - A)^2, each of G and A divided by its own N M."""
    channels, _ = sizes(features)
    difference = gram(features) / features.size - gram(style) / style.size
    derivative_by_gram = 2 * difference / channels**2
    return Term((difference**2).mean(), 2 * features @ derivative_by_gram / features.size)


def neural_style_tv(raw: Array) -> Term:
    """Return half the sum of squares of differences; none starts in the last row or column.

    The authors publish the gradient only; this is the loss that has this gradient.
    """
    corner = raw[:-1, :-1]
    across, down = raw[:-1, 1:] - corner, raw[1:, :-1] - corner
    derivative = np.zeros_like(raw)
    derivative[:-1, :-1] -= across + down
    derivative[:-1, 1:] += across
    derivative[1:, :-1] += down
    return Term(0.5 * (across**2 + down**2).sum(), derivative)


def neural_style_losses(
    seen: Features,
    content: Features,
    style: Features,
    raw: Array,
    content_layers: Sequence[str],
    style_layers: Sequence[str],
    weights: Weights = NEURAL_STYLE_WEIGHTS,
) -> Differentiated:
    """Return the published losses: a sum over layers; the style picture may have any size."""
    return _combine(
        {layer: neural_style_content(seen[layer], content[layer]) for layer in content_layers},
        {layer: neural_style_style(seen[layer], style[layer]) for layer in style_layers},
        neural_style_tv(raw),
        weights,
    )


# From pixels to losses and the gradient by the pixels


def _from_pixels(
    losses_of: Callable[..., Differentiated],
    published: Weights,
    encoder: Encoder,
    pixels: Array,
    content: Array,
    style: Array,
    content_layers: Sequence[str],
    style_layers: Sequence[str],
    weights: Weights | None = None,
) -> tuple[Losses, Array]:
    """Return losses, and the gradient by sRGB pixels in [0, 1]; default weights are published."""
    losses, by_features, by_raw = losses_of(
        *(reference.activations(encoder, picture) for picture in (pixels, content, style)),
        raw_pixels(pixels),
        content_layers,
        style_layers,
        weights or published,
    )
    through_network = reference.gradient(encoder, pixels, by_features)
    return losses, through_network + RAW_SCALE * by_raw


article = partial(_from_pixels, article_losses, ARTICLE_WEIGHTS)
paper = partial(_from_pixels, paper_losses, PAPER_WEIGHTS)
neural_style = partial(_from_pixels, neural_style_losses, NEURAL_STYLE_WEIGHTS)
