"""Batches of rows against each row alone, on functions and on the losses of pictures."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from nst_core.transfer.any_size import AnySize
from nst_core.transfer.losses.loss_weights import loss_weights
from nst_core.transfer.losses.losses import Targets
from nst_core.transfer.optimization.batch import RowByRow
from nst_core.transfer.optimization.compiled import _Functions
from nst_core.transfer.optimizers.adam import Adam
from nst_core.transfer.optimizers.descent import (
    CONVERGED,
    DIVERGED,
    RUNNING,
    Evaluation,
    Objective,
)
from nst_core.transfer.optimizers.extended_adam import ExtendedAdam
from nst_core.transfer.optimizers.lbfgs import Lbfgs
from nst_core.transfer.optimizers.optimizers import optimizer_of
from nst_core.transfer.settings import Settings
from nst_core.transfer.styles.statistics import content_targets, octave_targets, style_targets
from tests.encoders import random_pixels, tiny_encoder

POINTS = np.linspace(-0.4, 0.45, 12).reshape(2, 2, 3) * np.array([1, 0.5, -1])
OPTIMIZERS = [Lbfgs(-1, 1), Adam(-1, 1), ExtendedAdam(-1, 1, average=0.9)]
SIZES = {Lbfgs: 0.05, Adam: 0.02, ExtendedAdam: 0.02}


def quadratic_or_valley(condition: tf.Tensor, breaks: tf.Tensor) -> Objective:
    """Return a quadratic of this condition, or Rosenbrock's function if the condition is 0.

    Below a value of `breaks`, the result is not a number.
    """

    def evaluate(point: tf.Tensor) -> Evaluation:
        with tf.GradientTape() as tape:
            tape.watch(point)
            flat = tf.reshape(point, [-1])
            scale = tf.pow(condition, tf.cast(tf.linspace(0.0, 1.0, tf.size(flat)), point.dtype))
            valley = 100 * tf.square(flat[1:] - tf.square(flat[:-1])) + tf.square(1 - flat[:-1])
            bowl = tf.reduce_sum(scale * tf.square(flat - 0.3))
            value = tf.where(condition > 0, bowl, tf.reduce_sum(valley))
        gradient = tape.gradient(value, point)
        shown = tf.where(value < breaks, tf.constant(np.nan, value.dtype), value)
        return Evaluation(shown, gradient, {"doubled": 2 * value})

    return evaluate


def alone(optimizer: Any, data: list[Any], point: np.ndarray, steps: int) -> Any:
    """Return the state of one row after up to so many steps."""

    def run(point: tf.Tensor, data: Any, steps: tf.Tensor) -> Any:
        objective = quadratic_or_valley(*data)
        size = tf.constant(SIZES[type(optimizer)], point.dtype)
        state = optimizer.start(objective, point, size)
        return optimizer.advance(objective, state, steps)

    constants = tuple(tf.constant(number, tf.float64) for number in data)
    return AnySize.of(run)(tf.constant(point), constants, tf.constant(steps))


def in_a_batch(optimizer: Any, data: list[Any], points: list[np.ndarray], steps: list[int]) -> Any:
    """Return the states of all rows after up to so many steps of each."""

    def run(points: tf.Tensor, data: Any, steps: tf.Tensor) -> Any:
        rows = RowByRow(quadratic_or_valley, data)

        def start(point: tf.Tensor, of_row: Any) -> Any:
            size = tf.constant(SIZES[type(optimizer)], point.dtype)
            return optimizer.start(quadratic_or_valley(*of_row), point, size)

        return optimizer.advance_rows(rows, rows.each(start, points, data), steps)

    constants = tuple(tf.constant(column, tf.float64) for column in zip(*data, strict=True))
    return AnySize.of(run, of_rows=True)(tf.stack(points), constants, tf.constant(steps))


def assert_same_bits(states: Any, index: int, expected: Any) -> None:
    of_row = tf.nest.map_structure(lambda of_all: of_all[index], states)
    tf.nest.assert_same_structure(of_row, expected)
    for found, wanted in zip(tf.nest.flatten(of_row), tf.nest.flatten(expected), strict=True):
        np.testing.assert_array_equal(found, wanted)


NEVER = -np.inf
ROWS: dict[str, list[Any]] = {
    "round": [1.0, NEVER],
    "long": [1e4, NEVER],
    "valley": [0.0, NEVER],
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda it: type(it).__name__)
def test_rows_of_a_batch_take_the_steps_that_they_take_alone(optimizer: Any) -> None:
    points = [POINTS, POINTS * 0.5, POINTS[::-1].copy()]
    steps = [40, 25, 33]
    states = in_a_batch(optimizer, [*ROWS.values()], points, steps)
    for index, (data, point, count) in enumerate(zip(ROWS.values(), points, steps, strict=True)):
        assert_same_bits(states, index, alone(optimizer, data, point, count))
    assert len({*states.evaluations.numpy()}) > 1
    assert [*states.step.numpy()] == steps or isinstance(optimizer, Lbfgs)


def test_a_row_that_converges_or_breaks_leaves_the_others_as_they_are() -> None:
    optimizer = Lbfgs(-1, 1)
    at_its_minimum = np.full_like(POINTS, 0.3)
    data = [ROWS["long"], [3.0, NEVER], [50.0, 0.4], ROWS["valley"]]
    points = [POINTS, at_its_minimum, POINTS, POINTS]
    states = in_a_batch(optimizer, data, points, [30] * 4)
    assert [*states.status.numpy()] == [RUNNING, CONVERGED, DIVERGED, RUNNING]
    for index, (of_row, point) in enumerate(zip(data, points, strict=True)):
        assert_same_bits(states, index, alone(optimizer, of_row, point, 30))
    assert int(states.step[1]) == 1
    assert np.isfinite(states.best.point).all()


ENCODER = tiny_encoder()
LAYERS = {"content_layers": "relu2_1", "style_layers": "relu1_1 relu2_1"}


def prepared(settings: Settings, height: int, width: int, count: int) -> tuple[Any, Any, Any]:
    """Return the pictures, targets and weights of rows, each with an axis of rows in front."""
    rows = []
    for seed in range(count):
        content = random_pixels(height, width, seed)
        of_style = style_targets(ENCODER, random_pixels(40, 48, 10 + seed), settings)
        targets = Targets(
            content_targets(ENCODER, content, tuple(settings.content_layer_weights)),
            **octave_targets(of_style, 0, settings.style_layer_weights),
        )
        weighted = settings.model_copy(update={"content_weight": 0.1 * (1 + seed)})
        start = tf.constant(random_pixels(height, width, 20 + seed))
        rows.append((start, targets, loss_weights(weighted)))
    return tf.nest.map_structure(lambda *tensors: tf.stack(tensors), *rows)


def of_row(tensors: Any, index: int) -> Any:
    return tf.nest.map_structure(lambda of_all: of_all[index], tensors)


@pytest.mark.parametrize(
    "choices",
    [
        {},
        {"optimizer": "adam", "normalization": "gatys", "tv_kind": "l1"},
        {"style_measure": "gram:1 moments:0.5 wasserstein:0.2 shifted-gram:1"},
    ],
    ids=["lbfgs", "adam", "losses"],
)
def test_one_run_of_the_encoder_for_all_rows_gives_the_steps_of_each(choices: Any) -> None:
    settings = Settings(size=40, octaves=1, **LAYERS, **choices)
    pictures, targets, weights = prepared(settings, 31, 40, 3)
    optimizer = optimizer_of(settings)
    functions = _Functions(ENCODER, optimizer, settings.normalization, settings.tv_kind)
    size = tf.constant(0.05 if settings.optimizer == "lbfgs" else 0.02)
    start, advance = AnySize.of(functions.start), AnySize.of(functions.advance)
    states = [
        start(*(of_row(it, index) for it in (pictures, targets, weights)), size)
        for index in range(3)
    ]
    at_once: Callable[..., Any] = AnySize.of(
        _Functions(
            *(ENCODER, optimizer, settings.normalization, settings.tv_kind), at_once=True
        ).advance_rows,
        of_rows=True,
    )
    stacked = tf.nest.map_structure(lambda *rows: tf.stack(rows), *states)
    steps = [2, 3, 1]
    found = at_once(stacked, targets, weights, tf.constant(steps))
    for index, count in enumerate(steps):
        after = advance(
            states[index], of_row(targets, index), of_row(weights, index), tf.constant(count)
        )
        mine = of_row(found, index)
        assert int(mine.step) == count
        assert float(mine.best.value) == pytest.approx(float(after.best.value), rel=1e-5)
        moved, expected = optimizer.current(mine), optimizer.current(after)
        np.testing.assert_allclose(moved, expected, atol=2e-4)
        assert not np.allclose(moved, pictures[index], atol=2e-3)
