"""Published recipes against direct transcriptions of their formulas in float64."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from nst_core.images.resize import resize
from nst_core.networks import CATALOGUE, forward
from nst_core.networks.encoder import Encoder
from nst_core.networks.forward import activations
from nst_core.transfer.losses.loss_weights import loss_weights
from nst_core.transfer.losses.losses import LossTerms, Targets, loss_terms
from nst_core.transfer.presets import PRESETS
from nst_core.transfer.settings import Settings
from nst_core.transfer.styles.statistics import gram_matrix
from tests import recipes
from tests.encoders import random_encoder

RECIPES = {"article": recipes.article, "gatys": recipes.paper, "neural-style": recipes.neural_style}
SIDE = 64


def smooth(seed: int) -> np.ndarray:
    draw = np.random.default_rng(seed).uniform(0, 1, (12, 12, 3)).astype(np.float32)
    return resize(draw, SIDE, SIDE)


CONTENT, STYLE, PICTURE = (smooth(seed) for seed in range(3))


def encoder_of(name: str) -> Encoder:
    """Return the preset's network, with its pooling and random weights."""
    settings = PRESETS[name]
    return random_encoder(CATALOGUE[settings.encoder].topology.with_pooling(settings.pooling))


def losses_and_gradient(
    encoder: Encoder, settings: Settings, dtype: tf.DType
) -> tuple[LossTerms, np.ndarray]:
    """Compute both with the optimization's graph, in single or double precision."""
    precise = replace(encoder, precision=dtype.name)
    content, style, point = (tf.constant(picture, dtype) for picture in (CONTENT, STYLE, PICTURE))
    of_style = activations(precise, style, settings.style_layer_weights)
    targets = Targets(
        activations(precise, content, settings.content_layer_weights),
        {name: gram_matrix(features, tf.zeros([], dtype)) for name, features in of_style.items()},
        {name: tf.zeros(features.shape[-1], dtype) for name, features in of_style.items()},
    )
    weights = tf.nest.map_structure(lambda weight: tf.cast(weight, dtype), loss_weights(settings))
    with tf.GradientTape() as tape:
        tape.watch(point)
        terms = loss_terms(precise, settings.normalization, point, targets, weights)
    return terms, tape.gradient(terms.total, point).numpy()


@pytest.fixture(autouse=True)
def _clear_tensors() -> Iterator[None]:
    yield
    forward.weights_on.cache_clear()


@pytest.mark.parametrize("name", RECIPES)
def test_losses_and_gradient_equal_the_published_formulas(name: str) -> None:
    settings = PRESETS[name]
    encoder = encoder_of(name)
    expected, slope = RECIPES[name](
        encoder,
        *(picture.astype(np.float64) for picture in (PICTURE, CONTENT, STYLE)),
        tuple(settings.content_layer_weights),
        tuple(settings.style_layer_weights),
        recipes.Weights(settings.content_weight, settings.style_weight, settings.tv_weight),
    )
    kinds = ["content", "style", "total"] + ["tv"] * (name != "gatys")  # the paper has no tv
    # In single precision, one unit of thousands may be on the other side of its ReLU's corner. That
    # does not show in the losses, but in the gradient.
    for dtype, loss_tolerance, gradient_tolerance in (
        (tf.float32, 1e-5, 1e-3),
        (tf.float64, 1e-7, 1e-7),  # the weights of layers have single precision
    ):
        terms, gradient = losses_and_gradient(encoder, settings, dtype)
        found = {"total": terms.total, **terms.terms}
        for kind in kinds:
            loss = float(found[kind])
            assert loss == pytest.approx(getattr(expected, kind), rel=loss_tolerance)
        assert np.linalg.norm(gradient - slope) < gradient_tolerance * np.linalg.norm(slope)


@pytest.mark.parametrize(
    ("name", "published"),
    [("article", recipes.ARTICLE_WEIGHTS), ("neural-style", recipes.NEURAL_STYLE_WEIGHTS)],
)
def test_the_weights_of_the_presets_are_the_published_ones(
    name: str, published: recipes.Weights
) -> None:
    preset = PRESETS[name]
    assert (preset.content_weight, preset.style_weight, preset.tv_weight) == published
