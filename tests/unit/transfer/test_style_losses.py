"""Style losses against NumPy in float64, by their properties, and as parts of the total loss."""

from functools import cache

import numpy as np
import pytest
import tensorflow as tf

from nst_core.networks import CATALOGUE
from nst_core.transfer.losses.loss_weights import loss_weights
from nst_core.transfer.losses.losses import LossTerms, Targets
from nst_core.transfer.memory import peak_memory
from nst_core.transfer.settings import Settings
from nst_core.transfer.style_losses.costs import COSTS, GRAM
from nst_core.transfer.style_losses.losses import STYLE_LOSSES, renewed
from nst_core.transfer.styles.statistics import content_targets, style_targets
from nst_core.transfer.styles.targets import StyleTargets
from nst_core.transfer.stylize import iterates, stylize
from tests.encoders import random_pixels, tiny_encoder
from tests.gradients import check_slopes, loss_and_gradient
from tests.style_references import REFERENCES, Array

NAMES = [name for name in COSTS if name != GRAM]
PIXELS = random_pixels(26, 33, 3)


def draw_features(height: int, width: int, seed: int, channels: int = 5) -> Array:
    """Return features with some structure in space, correlated channels, and zeros from a ReLU."""
    draw = np.random.default_rng(seed)
    coarse = draw.normal(0, 1, (height // 2 + 1, width // 2 + 1, channels))
    fine = coarse.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
    mixed = (fine + 0.3 * draw.normal(0, 1, fine.shape)) @ draw.normal(0, 1, (channels, channels))
    return np.maximum(mixed + 0.5, 0)


def evaluate(name: str, features: Array, style: Array) -> tuple[float, Array]:
    """Return the loss of features at one layer, and its gradient."""
    loss = STYLE_LOSSES[name]
    targets = loss.targets({"layer": tf.constant(style, tf.float32)})
    point = tf.constant(features, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(point)
        statistics = {"layer": loss.statistic(point, targets["layer"])}
        if loss.renewed:
            targets = loss.renewed(statistics, targets, {"layer": tf.constant(1.0)})
        value = loss.loss(statistics, targets, {"layer": tf.constant(1.0)})
    return float(value), tape.gradient(value, point).numpy().astype(np.float64)


def test_every_style_loss_has_a_cost_and_a_reference() -> None:
    assert [*STYLE_LOSSES] == NAMES
    assert set(REFERENCES) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(8, 12), (12, 4), (20, 24)])
def test_a_loss_equals_the_reference(name: str, shape: tuple[int, int]) -> None:
    features, style = draw_features(*shape, 1), draw_features(16, 12, 2)
    value, _ = evaluate(name, features, style)
    assert value == pytest.approx(REFERENCES[name](features, style), rel=1e-3)
    assert value > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_with_itself_has_no_loss_and_no_gradient(name: str) -> None:
    style = draw_features(16, 12, 2)
    value, gradient = evaluate(name, style, style)
    _, elsewhere = evaluate(name, draw_features(16, 12, 1), style)
    assert value == pytest.approx(0, abs=1e-6)
    assert np.abs(gradient).max() < 1e-3 * np.abs(elsewhere).max()


@pytest.mark.parametrize("name", NAMES)
def test_a_flat_picture_has_a_loss_of_about_1(name: str) -> None:
    style = draw_features(16, 12, 2)
    flat = np.broadcast_to(style.mean(axis=(0, 1)), style.shape)
    value, gradient = evaluate(name, flat, style)
    assert 0.5 < value < 1.5
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_equals_finite_differences(name: str) -> None:
    draw = np.random.default_rng(4)
    style = draw_features(16, 12, 2)
    # Where values are equal, as after a ReLU, their order is arbitrary, and so is a gradient.
    features = draw_features(8, 12, 1) + 0.1 * draw.normal(size=(8, 12, 5))
    _, gradient = evaluate(name, features, style)
    check_slopes(lambda at: REFERENCES[name](at, style), features, gradient, rel=5e-3)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(2, 2), (1, 3), (40, 2)])
def test_tiny_pictures_and_constant_styles_are_finite(name: str, shape: tuple[int, int]) -> None:
    """At a small octave, a layer has fewer positions than channels."""
    style = draw_features(2, 3, 2, channels=8)
    for of_style in (style, np.full_like(style, 0.7), np.zeros_like(style)):
        value, gradient = evaluate(name, draw_features(*shape, 1, channels=8), of_style)
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("name", NAMES)
def test_features_that_are_not_finite_give_a_loss_that_is_not_finite(name: str) -> None:
    """The optimization then goes back to its best picture; an exception would end the row."""
    features = draw_features(8, 12, 1)
    features[3, 4] = np.nan
    value, _ = evaluate(name, features, draw_features(16, 12, 2))
    assert not np.isfinite(value)


def settings_of(measure: str, **choices: object) -> Settings:
    layers = {"content_layers": "relu2_1", "style_layers": "relu1_1:1 relu2_1:3"}
    small = {"size": 32, "octaves": 1, "tolerance": 0, "tv_weight": 0}
    return Settings.model_validate({**layers, **small, "style_measure": measure, **choices})


@cache
def terms_of(measure: str, *, rematerialize: bool = False) -> tuple[LossTerms, Array]:
    """Return the terms of a picture, and the gradient of their total."""
    encoder, settings = tiny_encoder(), settings_of(measure)
    style = style_targets(encoder, random_pixels(30, 32, 1), settings)
    targets = Targets(
        content=content_targets(encoder, random_pixels(26, 33, 2), ("relu2_1",)),
        grams={layer: tf.constant(gram) for layer, gram in style.grams[0].items()},
        centers={layer: tf.constant(center) for layer, center in style.centers[0].items()},
        others=tf.nest.map_structure(tf.constant, style.others[0] if style.others else {}),
    )

    layers = loss_weights(settings).style_layers
    near = renewed(encoder, tf.constant(PIXELS), targets.others, layers)
    targets = targets._replace(others=near)
    return loss_and_gradient(encoder, PIXELS, targets, settings, rematerialize=rematerialize)


@pytest.mark.parametrize("name", NAMES)
def test_the_style_term_is_the_weighted_sum_of_losses_and_the_table_compares_gram_matrices(
    name: str,
) -> None:
    alone, gram, both = (terms_of(text)[0] for text in (name, GRAM, f"gram:1 {name}:3"))
    assert float(alone.terms["style"]) != pytest.approx(float(gram.terms["style"]), rel=1e-3)
    expected = (float(gram.terms["style"]) + 3 * float(alone.terms["style"])) / 4
    assert float(both.terms["style"]) == pytest.approx(expected, rel=1e-5)
    for terms in (alone, both):
        for layer, loss in gram.style_layers.items():
            assert float(terms.style_layers[layer]) == pytest.approx(float(loss), rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_rematerialization_gives_the_same_loss_and_gradient(name: str) -> None:
    (plain, gradient), (again, same) = (terms_of(name, rematerialize=how) for how in (False, True))
    assert float(again.total) == pytest.approx(float(plain.total), rel=1e-4)
    np.testing.assert_allclose(same, gradient, rtol=1e-3, atol=1e-4 * np.abs(gradient).max())


@pytest.mark.parametrize("name", NAMES)
def test_targets_are_read_back_and_their_file_is_no_larger_than_expected(name: str) -> None:
    encoder, settings = tiny_encoder(), settings_of(name, size=64, octaves=2)
    targets = style_targets(encoder, random_pixels(50, 64, 1), settings)
    read = StyleTargets.from_bytes(targets.to_bytes())
    tf.nest.map_structure(np.testing.assert_array_equal, read.others, targets.others)
    assert [*map(set, read.others)] == [{name}] * 2
    for octave in targets.others:
        for layer, arrays in octave[name].items():
            numbers = sum(array.size for array in arrays.values())
            assert numbers <= COSTS[name].target(encoder.topology.channels(layer))


def test_the_file_of_gram_matrices_is_as_in_version_0_1_0() -> None:
    import safetensors.numpy

    targets = style_targets(tiny_encoder(), random_pixels(30, 32, 1), settings_of(GRAM))
    arrays = safetensors.numpy.load(targets.to_bytes())
    of_layers = {f"0.relu{n}_1.{kind}" for n in (1, 2) for kind in ("gram", "center")}
    assert set(arrays) == {*of_layers, "colors.mean", "colors.covariance"}
    assert StyleTargets.from_bytes(targets.to_bytes()).others == ()


@pytest.mark.parametrize("optimizer", ["lbfgs", pytest.param("adam", marks=pytest.mark.nights)])
@pytest.mark.parametrize("name", NAMES)
def test_both_optimizers_lower_the_loss(name: str, optimizer: str) -> None:
    settings = settings_of(
        name,
        content_layers="relu1_1",
        style_layers="relu1_1 relu2_1",
        size=40,
        steps=20,
        optimizer=optimizer,
        content_weight=0,
        match_colors=False,
    )
    content, style = random_pixels(5, 5, 1), random_pixels(40, 32, 2)
    outcome = stylize(np.kron(content, np.ones((8, 8, 1))), style**3, settings)
    assert outcome.losses.total < 0.7 * outcome.start_losses.total
    assert outcome.recoveries == 0


def test_neighbors_are_renewed_every_few_steps_and_checkpoints_continue_to_the_same_bits() -> None:
    settings = settings_of("neighbors", size=40, steps=30, content_weight=0, match_colors=False)
    encoder, content = tiny_encoder(), random_pixels(40, 40, 1)
    targets = style_targets(encoder, random_pixels(40, 32, 2) ** 3, settings)
    whole = [*iterates(encoder, content, targets, settings, seed=0)]
    # New neighbors never raise the loss, so it falls over the whole octave.
    totals = [iterate.losses.total for iterate in whole]
    assert len(totals) == 4
    assert totals == sorted(totals, reverse=True)
    checkpoint = whole[1].checkpoint()
    resumed = [*iterates(encoder, content, targets, settings, seed=0, checkpoint=checkpoint)]
    assert len(resumed) == 2
    np.testing.assert_array_equal(resumed[-1].pixels, whole[-1].pixels)
    # An evaluation more every ten steps: that with the new neighbors.
    assert whole[-1].evaluations >= 1 + 30 + 3


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rematerialize", [False, True])
def test_the_estimate_of_memory_counts_what_a_loss_keeps(name: str, rematerialize: bool) -> None:
    topology = CATALOGUE["compact"].topology
    small, large = (
        peak_memory(
            *(topology, Settings(style_measure=text), (512, 512)),
            on_gpu=True,
            rematerialize=rematerialize,
        )
        for text in (GRAM, f"gram {name}")
    )
    assert small < large
