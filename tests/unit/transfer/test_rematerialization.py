"""Rematerialization: less memory, and the same losses and gradient except for rounding."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from nst_core.networks.encoder import Encoder
from nst_core.networks.forward import activations
from nst_core.networks.topology import (
    Convolution,
    LocalResponseNormalization,
    Pool,
    Relu,
    Topology,
)
from nst_core.transfer.losses import rematerialization
from nst_core.transfer.losses.loss_weights import loss_weights
from nst_core.transfer.losses.losses import Targets, loss_terms
from nst_core.transfer.losses.rematerialization import rematerialized
from nst_core.transfer.settings import Settings
from nst_core.transfer.styles.statistics import content_targets, gram_matrix, style_targets
from nst_core.transfer.stylize import Outcome, finish, iterates
from tests.encoders import random_encoder, random_pixels, tiny_encoder

SETTINGS = Settings(
    size=48,
    octaves=2,
    steps=10,
    style_layers="relu1_1 conv2_1 relu2_1",
    content_layers="conv2_1 relu2_1",
)
VARIED = Topology(
    "varied",
    (
        Relu("relu0"),
        Convolution("conv1_1", 4, kernel=5, stride=2),
        Relu("relu1_1"),
        LocalResponseNormalization("lrn1"),
        Pool("pool1", "max", size=3),
        Convolution("conv2_1", 6, groups=2),
        Relu("relu2_1"),
    ),
)
PIXELS = random_pixels(41, 48, 3)


@pytest.mark.parametrize(
    "encoder",
    [tiny_encoder(), random_encoder(VARIED), replace(tiny_encoder(), precision="bfloat16")],
    ids=["tiny", "varied", "bfloat16"],
)
def test_losses_and_gradient_are_the_same(encoder: Encoder) -> None:
    style = style_targets(encoder, random_pixels(40, 40, 1), SETTINGS)
    grams, centers = ({**octaves[-1]} for octaves in (style.grams, style.centers))
    layers = tuple(SETTINGS.content_layer_weights)
    targets = Targets(content_targets(encoder, random_pixels(41, 48, 2), layers), grams, centers)
    weights = loss_weights(SETTINGS)

    def evaluate(*, rematerialize: bool) -> tuple[tf.Tensor, tf.Tensor]:
        @tf.function(autograph=False)
        def evaluated(pixels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            with tf.GradientTape() as tape:
                tape.watch(pixels)
                losses = loss_terms(
                    *(encoder, "relative", pixels, targets, weights), rematerialize=rematerialize
                )
            return losses, tape.gradient(losses.total, pixels)

        result: tuple[tf.Tensor, tf.Tensor] = evaluated(tf.constant(PIXELS))
        return result

    (plain, gradient), (again, same) = (evaluate(rematerialize=how) for how in (False, True))
    tf.nest.map_structure(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), plain, again)
    np.testing.assert_allclose(same, gradient, rtol=1e-4, atol=1e-5 * np.abs(gradient).max())


def test_each_convolution_is_computed_once_more_for_the_gradient(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    computed: list[str] = []
    original = rematerialization.apply_layer

    def counted(layer, *arguments):  # type: ignore[no-untyped-def]
        computed.append(layer.name)
        return original(layer, *arguments)

    monkeypatch.setattr(rematerialization, "apply_layer", counted)
    encoder, pixels = tiny_encoder(), tf.constant(PIXELS)
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        seen, grams, _ = rematerialized(encoder, pixels, ["relu2_1"], {"relu1_1": tf.zeros([4])})
        total = tf.reduce_sum(grams["relu1_1"]) + tf.reduce_sum(seen["relu2_1"])
    names = ["conv1_1", "relu1_1", "pool1", "conv2_1", "relu2_1"]
    assert computed == names
    tape.gradient(total, pixels)
    assert computed == [*names, *names[3:], *names[:3]]
    expected = activations(encoder, pixels, ["relu1_1", "relu2_1"])
    np.testing.assert_array_equal(seen["relu2_1"], expected["relu2_1"])
    gram = gram_matrix(expected["relu1_1"], tf.zeros([4]))
    np.testing.assert_allclose(grams["relu1_1"], gram, rtol=1e-6)


@pytest.mark.parametrize("optimizer", ["adam", pytest.param("lbfgs", marks=pytest.mark.nights)])
def test_the_picture_is_the_same(optimizer: str) -> None:
    encoder, content = tiny_encoder(), random_pixels(41, 48, 2)
    settings = SETTINGS.model_copy(update={"optimizer": optimizer})
    targets = style_targets(encoder, random_pixels(40, 40, 1), settings)

    def run(*, rematerialize: bool) -> Outcome:
        arguments = (encoder, content, targets, settings)
        return finish(iterates(*arguments, seed=0, rematerialize=rematerialize))

    plain, again = run(rematerialize=False), run(rematerialize=True)
    assert (again.steps, again.stop_reason) == (plain.steps, plain.stop_reason)
    assert again.losses.total == pytest.approx(plain.losses.total, rel=1e-3)
    difference = np.abs(again.pixels.astype(int) - plain.pixels)
    assert difference.max() <= 2
