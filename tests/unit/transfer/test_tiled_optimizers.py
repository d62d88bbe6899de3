"""The optimizers on large arrays: the same steps as those in TensorFlow, in place."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from nst_core.transfer.losses.variation import (
    absolute_variation,
    common_variation,
    nine_point_variation,
    summed_variation,
    total_variation,
)
from nst_core.transfer.memory import PAIRS
from nst_core.transfer.optimization.checkpoint import Checkpoint, CheckpointError
from nst_core.transfer.optimizers.adam import Adam
from nst_core.transfer.optimizers.descent import CONVERGED, DIVERGED, Evaluation
from nst_core.transfer.optimizers.extended_adam import ExtendedAdam
from nst_core.transfer.optimizers.lbfgs import Lbfgs
from nst_core.transfer.settings import Settings
from nst_core.transfer.styles.statistics import style_targets
from nst_core.transfer.stylize import Outcome, finish, iterates
from nst_core.transfer.tiles import arrays
from nst_core.transfer.tiles.adam import TiledAdam
from nst_core.transfer.tiles.arrays import Array
from nst_core.transfer.tiles.grid import Tiles
from nst_core.transfer.tiles.lbfgs import TiledLbfgs
from nst_core.transfer.tiles.variation import KINDS, TiledVariation
from tests.encoders import random_pixels, tiny_encoder

SHAPE = (5, 7, 3)
TARGET = np.random.default_rng(1).normal(0.5, 0.5, SHAPE).astype(np.float32)
SCALES = np.random.default_rng(2).uniform(0.1, 10, SHAPE).astype(np.float32)


def bowl(point: Any) -> Evaluation:
    """Return a convex function with many curvatures, whose minimum is partly outside the bounds."""
    moved = point - TARGET
    gradient = SCALES * moved + 4 * moved * moved * moved
    value = tf.reduce_sum(SCALES * moved * moved / 2 + moved * moved * moved * moved)
    return Evaluation(value, gradient, {"value": value})


def in_memory(point: Array) -> Evaluation:
    value, gradient, _ = bowl(point)
    number = np.float32(value)
    return Evaluation(number, np.array(gradient), {"value": number})


@pytest.fixture
def _short_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "STRIP", 32)


@pytest.mark.usefixtures("_short_strips")
@pytest.mark.parametrize(
    "plain",
    [
        Lbfgs(),
        Lbfgs(-math.inf, math.inf),
        Lbfgs(memory=3),
        Adam(),
        Adam(-math.inf, math.inf, best_of_every=3),
        ExtendedAdam(average=0.8),
    ],
)
def test_each_step_is_that_in_tensorflow(plain: Any) -> None:
    tiled = TiledLbfgs(plain) if isinstance(plain, Lbfgs) else TiledAdam.of(plain)
    start = np.full(SHAPE, 0.4, np.float32)
    expected = plain.start(bowl, tf.constant(start), tf.constant(0.1))
    found = tiled.start(in_memory, start, 0.1)
    for _ in range(6):
        expected = plain.advance(bowl, expected, tf.constant(2))
        found = tiled.advance(in_memory, found, 2)
        tf.nest.map_structure(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-4), found, expected
        )
    assert found.best.value < in_memory(start).value / 2
    types = {array.dtype.name for array in map(np.asarray, tf.nest.flatten(found))}
    assert types == {"float32", "int32"}


@pytest.mark.usefixtures("_short_strips")
def test_lbfgs_reaches_the_minimum_within_the_bounds() -> None:
    tiled = TiledLbfgs(Lbfgs())
    state = tiled.start(in_memory, np.full(SHAPE, 0.4, np.float32), 0.1)
    state = tiled.advance(in_memory, state, 200)
    np.testing.assert_allclose(state.best.point, np.clip(TARGET, 0, 1), atol=2e-3)
    assert state.status in (0, CONVERGED)


@pytest.mark.usefixtures("_short_strips")
@pytest.mark.parametrize("optimizer", [TiledLbfgs(Lbfgs()), TiledAdam.of(Adam())])
def test_a_value_or_a_gradient_that_is_not_finite_ends_the_steps(optimizer: Any) -> None:
    def broken(point: Array) -> Evaluation:
        found = in_memory(point)
        found.gradient[-1, -1, -1] = np.inf
        return found

    start = np.full(SHAPE, 0.4, np.float32)
    assert optimizer.start(broken, start, 0.1).status == DIVERGED
    state = optimizer.advance(broken, optimizer.start(in_memory, start, 0.1), 3)
    assert state.status == DIVERGED
    np.testing.assert_array_equal(state.best.point, start)


@pytest.mark.parametrize(
    "variation",
    [
        *(total_variation, absolute_variation, summed_variation, common_variation),
        nine_point_variation,
    ],
)
@pytest.mark.parametrize("height", [2, 64, 65, 150])
def test_total_variation_in_strips_is_that_of_the_whole(
    variation: Callable[[tf.Tensor], tf.Tensor], height: int
) -> None:
    pixels = random_pixels(height, 9)
    point = tf.constant(pixels)
    with tf.GradientTape() as tape:
        tape.watch(point)
        loss = variation(point * 255.0)
    gradient = np.ones_like(pixels)
    assert TiledVariation(variation, 255.0)(pixels, gradient, 2.0) == pytest.approx(
        float(loss), rel=1e-5
    )
    expected = 1 + 2 * tape.gradient(loss, point).numpy()
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    assert len(KINDS) == 5


def run(settings: Settings, tiles: Tiles, **options: Any) -> Any:
    encoder, content = tiny_encoder(), random_pixels(45, 39, 2)
    targets = style_targets(encoder, random_pixels(40, 40, 1), settings)
    return iterates(encoder, content, targets, settings, seed=0, tiles=tiles, **options)


@pytest.mark.parametrize(
    "choices",
    [
        {"optimizer": "lbfgs"},
        pytest.param(
            {"optimizer": "adam", "average": 0.9, "carry_state": True}, marks=pytest.mark.nights
        ),
    ],
)
def test_a_tiled_row_that_continues_ends_with_the_same_bits(choices: dict[str, Any]) -> None:
    settings = Settings(
        size=45,
        octaves=2,
        steps=20,
        tolerance=0,
        style_layers="relu1_1",
        content_layers="relu1_1",
        **choices,
    )
    tiles, data = Tiles(24, pairs=3), b""
    steps = run(settings, tiles)
    outcome: Outcome | None = None
    while outcome is None:
        try:
            iterate = next(steps)
        except StopIteration as stop:
            outcome = stop.value
            break
        if iterate.octave == 1 and iterate.step_of_octave == 10:
            data = iterate.checkpoint().to_bytes()
    checkpoint, _ = Checkpoint.from_bytes(data)
    again = finish(run(settings, tiles, checkpoint=checkpoint))
    np.testing.assert_array_equal(again.pixels, outcome.pixels)
    assert again.losses == outcome.losses
    assert again.evaluations == outcome.evaluations
    if settings.optimizer == "lbfgs":
        with pytest.raises(CheckpointError, match=r"found a history of shape \(3, "):
            next(run(settings, Tiles(24), checkpoint=Checkpoint.from_bytes(data)[0]))


def test_the_estimate_knows_how_many_steps_lbfgs_remembers() -> None:
    assert Lbfgs().memory == PAIRS
