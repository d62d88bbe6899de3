"""Statistics and losses against NumPy in float64, gradients against finite differences."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from nst_core.images.resize import resize
from nst_core.networks.forward import activations
from nst_core.networks.loading import load_encoder
from nst_core.transfer.losses.loss_weights import loss_weights
from nst_core.transfer.losses.losses import Targets, loss_terms
from nst_core.transfer.losses.variation import total_variation
from nst_core.transfer.settings import Settings
from nst_core.transfer.styles.statistics import content_targets, gram_matrix, style_targets
from nst_core.transfer.styles.targets import StyleTargets
from tests import reference
from tests.encoders import random_pixels, tiny_encoder
from tests.gradients import check_slopes


def settings_for_tiny(**choices: object) -> Settings:
    layers = {"content_layers": "relu2_1", "style_layers": "relu1_1:1 conv2_1:3"}
    return Settings.model_validate({**layers, "size": 16, "octaves": 1, **choices})


@pytest.mark.parametrize("shape", [(16, 12), (13, 9), (4, 31)])
def test_activations_of_every_layer_equal_the_reference(shape: tuple[int, int]) -> None:
    encoder = tiny_encoder()
    pixels = random_pixels(*shape)
    seen = activations(encoder, tf.constant(pixels), encoder.topology.layer_names)
    expected = reference.activations(encoder, pixels.astype(np.float64))
    assert list(seen) == list(expected)
    for name, features in expected.items():
        np.testing.assert_allclose(seen[name].numpy(), features, rtol=1e-4, atol=1e-6)


def test_activations_of_the_shipped_encoder_equal_the_reference() -> None:
    encoder = load_encoder("compact")
    pixels = random_pixels(24, 32)
    seen = activations(encoder, tf.constant(pixels), encoder.topology.layer_names)
    for name, features in reference.activations(encoder, pixels.astype(np.float64)).items():
        scale = np.abs(features).max()
        np.testing.assert_allclose(seen[name].numpy(), features, rtol=1e-4, atol=1e-5 * scale)


def test_activations_in_bfloat16_are_those_of_the_reference_to_two_digits() -> None:
    encoder, pixels = tiny_encoder(), random_pixels(16, 12)
    low = replace(encoder, precision="bfloat16")
    seen = activations(low, tf.constant(pixels), encoder.topology.layer_names)
    for name, features in reference.activations(encoder, pixels.astype(np.float64)).items():
        error = np.linalg.norm(seen[name].numpy() - features) / np.linalg.norm(features)
        assert seen[name].dtype == tf.float32
        assert 1e-4 < error < 2e-2


def test_nothing_deeper_than_the_deepest_tap_is_computed() -> None:
    encoder = tiny_encoder()
    graph = tf.function(lambda pixels: activations(encoder, pixels, ["relu1_1"]))
    operations = graph.get_concrete_function(tf.TensorSpec((8, 8, 3))).graph.get_operations()
    assert sum(operation.type == "Conv2D" for operation in operations) == 1


def test_an_unknown_layer_is_reported_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match=r"no layer 'relu2_2'; did you mean 'relu2_1'\?"):
        activations(tiny_encoder(), tf.zeros((8, 8, 3)), ["relu2_2"])


def test_gram_matrix_equals_the_reference() -> None:
    features = np.random.default_rng(0).normal(size=(5, 7, 4)).astype(np.float32)
    expected = reference.gram(features.astype(np.float64))
    gram = gram_matrix(tf.constant(features), tf.zeros(4))
    np.testing.assert_allclose(gram, expected, rtol=1e-5, atol=1e-6)


def test_gram_matrix_about_a_center_equals_the_reference() -> None:
    draw = np.random.default_rng(0)
    features, center = draw.normal(size=(5, 7, 4)), draw.normal(size=4)
    gram = gram_matrix(tf.constant(features, tf.float32), tf.constant(center, tf.float32))
    np.testing.assert_allclose(gram, reference.gram(features - center), rtol=1e-4, atol=1e-6)


def test_gram_matrix_does_not_depend_on_size() -> None:
    features = np.random.default_rng(0).normal(size=(5, 7, 4)).astype(np.float32)
    tiled = tf.constant(np.tile(features, (3, 2, 1)))
    np.testing.assert_allclose(
        gram_matrix(tiled, tf.zeros(4)),
        gram_matrix(tf.constant(features), tf.zeros(4)),
        rtol=1e-4,
        atol=1e-6,
    )


@pytest.mark.parametrize("kind", ["raw", "centered"])
def test_style_targets_at_each_octave_equal_the_reference(kind: str) -> None:
    encoder = tiny_encoder()
    style = random_pixels(32, 24, seed=3)
    targets = style_targets(encoder, style, settings_for_tiny(size=32, octaves=2, gram=kind))
    assert [list(grams) for grams in targets.grams] == [["relu1_1", "conv2_1"]] * 2
    full_size = reference.activations(encoder, style.astype(np.float64))
    for layer, gram in targets.grams[1].items():
        features = full_size[layer]
        center = features.mean(axis=(0, 1)) if kind == "centered" else 0
        np.testing.assert_allclose(gram, reference.gram(features - center), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("scale", "shape"), [(0.5, (16, 12)), (1, (32, 24)), (4, (32, 24))])
def test_style_scale_is_the_size_of_the_style_which_is_never_enlarged(
    scale: float, shape: tuple[int, int]
) -> None:
    encoder = tiny_encoder()
    style = random_pixels(32, 24, seed=3)
    settings = settings_for_tiny(size=32, octaves=1, gram="raw", style_scale=scale)
    seen = reference.activations(encoder, resize(style, *shape).astype(np.float64))
    for layer, gram in style_targets(encoder, style, settings).grams[0].items():
        np.testing.assert_allclose(gram, reference.gram(seen[layer]), rtol=1e-4, atol=1e-5)


def test_style_targets_are_read_back_unchanged() -> None:
    targets = style_targets(tiny_encoder(), random_pixels(9, 20), settings_for_tiny(octaves=2))
    again = StyleTargets.from_bytes(targets.to_bytes())
    assert len(again.grams) == len(again.centers) == 2
    np.testing.assert_array_equal(targets.colors.mean, again.colors.mean)
    np.testing.assert_array_equal(targets.colors.covariance, again.colors.covariance)
    for before, after in zip(
        (*targets.grams, *targets.centers), (*again.grams, *again.centers), strict=True
    ):
        assert before.keys() == after.keys()
        for layer in before:
            np.testing.assert_array_equal(before[layer], after[layer])


CENTER = 0.3


@pytest.mark.parametrize("normalization", ["relative", "mean"])
def test_losses_equal_the_reference(normalization: str) -> None:
    encoder = tiny_encoder()
    content, style, pixels = (random_pixels(14, 16, seed) for seed in range(3))
    settings = settings_for_tiny(
        normalization=normalization, content_weight=0.3, style_weight=2, tv_weight=0.7
    )
    grams = {
        layer: reference.gram(features - CENTER)
        for layer, features in reference.activations(encoder, style.astype(np.float64)).items()
    }
    layers = settings.style_layer_weights
    targets = Targets(
        content=content_targets(encoder, content, ("relu2_1",)),
        grams={layer: tf.constant(grams[layer], tf.float32) for layer in layers},
        centers={layer: tf.fill(encoder.topology.channels(layer), CENTER) for layer in layers},
    )
    terms = loss_terms(
        encoder, settings.normalization, tf.constant(pixels), targets, loss_weights(settings)
    )
    expected = reference.losses(
        encoder,
        pixels.astype(np.float64),
        content.astype(np.float64),
        grams,
        {"relu2_1": 1.0},
        {"relu1_1": 0.25, "conv2_1": 0.75},
        normalization,
        CENTER,
    )
    found = [float(terms.terms[name]) for name in ("content", "style", "tv")]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert float(terms.total) == pytest.approx(np.dot([0.3, 2, 0.7], expected), rel=1e-4)
    seen = reference.activations(encoder, pixels.astype(np.float64))
    for layer, loss in terms.style_layers.items():
        relative = reference.layer_loss(
            reference.gram(seen[layer] - CENTER), grams[layer], "relative"
        )
        assert float(loss) == pytest.approx(relative, rel=1e-4)


def test_total_variation_of_a_ramp() -> None:
    ramp = tf.constant(np.broadcast_to(np.arange(5.0)[None, :, None], (4, 5, 3)), tf.float32)
    assert float(total_variation(ramp)) == pytest.approx(1.0)


def test_gradient_equals_finite_differences() -> None:
    encoder = load_encoder("compact")
    content, style, pixels = (random_pixels(16, 16, seed).astype(np.float64) for seed in range(3))
    settings = Settings(size=16, octaves=1, content_weight=0.5, tv_weight=0.1, gram="raw")
    style_of = style_targets(encoder, style.astype(np.float32), settings)
    targets = Targets(
        content=content_targets(encoder, content.astype(np.float32), ("relu3_2",)),
        grams={layer: tf.constant(gram) for layer, gram in style_of.grams[0].items()},
        centers={layer: tf.constant(center) for layer, center in style_of.centers[0].items()},
    )
    weights = loss_weights(settings)
    point = tf.constant(pixels, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(point)
        total = loss_terms(encoder, "relative", point, targets, weights).total
    gradient = tape.gradient(total, point).numpy().astype(np.float64)

    grams = {layer: gram.numpy().astype(np.float64) for layer, gram in targets.grams.items()}

    def value(at: np.ndarray) -> float:
        content_loss, style_loss, tv = reference.losses(
            encoder,
            at,
            content,
            grams,
            settings.content_layer_weights,
            settings.style_layer_weights,
            "relative",
        )
        return 0.5 * content_loss + style_loss + 0.1 * tv

    check_slopes(value, pixels, gradient, rel=2e-3)
