"""Averages of iterates, moments across octaves, and schedules, against NumPy in float64."""

import math

import numpy as np
import pytest
import tensorflow as tf

from nst_core.transfer.optimization.checkpoint import Checkpoint, Totals
from nst_core.transfer.optimization.optimization import OctaveTask
from nst_core.transfer.optimizers.adam import Adam
from nst_core.transfer.optimizers.extended_adam import ExtendedAdam, carried
from nst_core.transfer.optimizers.learning_rate import SMALLER_STEP, step_size
from nst_core.transfer.optimizers.optimizers import optimizer_of
from nst_core.transfer.settings import Settings
from nst_core.transfer.styles.statistics import style_targets
from nst_core.transfer.stylize import iterates
from tests.encoders import random_pixels, tiny_encoder
from tests.unit.transfer.test_optimizers import bowl

START = np.array([0.0, 1.0, 0.2, 0.9])
SCALE = np.linspace(1, 100, 4)
LAYERS = {"content_layers": "relu2_1", "style_layers": "relu1_1 relu2_1"}


def path_of_adam(steps: int, size: float) -> list[np.ndarray]:
    """Return the points after each step of Adam on the bowl (Kingma & Ba 2015, algorithm 1)."""
    point, first, second, points = START, 0.0, 0.0, []
    for step in range(1, steps + 1):
        gradient = 2 * SCALE * (point - 0.5)
        first = 0.9 * first + 0.1 * gradient
        second = 0.99 * second + 0.01 * gradient**2
        direction = (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.99**step)) + 1e-8)
        point = point - size * direction
        points.append(point)
    return points


def begun(adam: ExtendedAdam, size: float = 0.05) -> object:
    return adam.start(bowl, tf.constant(START), tf.constant(size, tf.float64))


def test_the_result_is_the_exponential_mean_of_the_iterates() -> None:
    adam, decay = ExtendedAdam(-10, 10, average=0.8), 0.8
    state = adam.advance(bowl, begun(adam), tf.constant(12))
    points = path_of_adam(12, 0.05)
    shares = np.array([decay ** (12 - number) for number in range(1, 13)])
    mean = (shares / shares.sum()) @ np.array(points)
    np.testing.assert_allclose(state.point, points[-1], rtol=1e-9)
    np.testing.assert_allclose(state.best.point, mean, rtol=1e-9)
    assert float(state.best.value) == pytest.approx((SCALE * (mean - 0.5) ** 2).sum(), rel=1e-9)
    assert int(state.evaluations) == 1 + 12 + 1


def test_an_average_that_is_worse_than_the_best_so_far_is_not_the_result() -> None:
    adam = ExtendedAdam(-10, 10, average=0.8)
    state = adam.advance(bowl, begun(adam, size=5.0), tf.constant(3))
    np.testing.assert_array_equal(state.best.point, START)


def test_without_an_average_it_is_adam() -> None:
    plain, extended = Adam(-10, 10), ExtendedAdam(-10, 10)
    expected = plain.advance(bowl, begun(plain), tf.constant(15))
    found = extended.advance(bowl, begun(extended), tf.constant(15))
    for name in expected._fields:
        tf.nest.map_structure(
            np.testing.assert_array_equal, getattr(found, name), getattr(expected, name)
        )


def test_carried_moments_continue_as_if_nothing_had_happened() -> None:
    adam = ExtendedAdam(-10, 10)
    shape = (2, 2, 1)
    begin = adam.start(cube, tf.constant(START.reshape(shape), tf.float32), tf.constant(0.05))
    whole = adam.advance(cube, begin, tf.constant(20))
    half = adam.advance(cube, begin, tf.constant(8))
    again = carried(adam.start(cube, half.point, tf.constant(0.05)), half)
    assert int(again.step) == 0
    np.testing.assert_allclose(
        adam.advance(cube, again, tf.constant(12)).point, whole.point, rtol=1e-5
    )


def cube(point: tf.Tensor) -> object:
    return bowl(point)._replace(
        gradient=tf.reshape(bowl(tf.reshape(point, [-1])).gradient, point.shape),
        value=bowl(tf.reshape(point, [-1])).value,
    )


def test_moments_are_resized_and_scaled_like_gradients_of_means() -> None:
    """Each pixel of a mean's gradient is a quarter as large in a picture of twice the sides."""

    def mean(point: tf.Tensor) -> object:
        with tf.GradientTape() as tape:
            tape.watch(point)
            value = tf.reduce_mean(tf.square(point))
        return bowl(tf.zeros(2))._replace(value=value, gradient=tape.gradient(value, point))

    adam = ExtendedAdam()
    small, large = (tf.fill([side, side, 3], 0.7) for side in (8, 16))
    before = adam.advance(mean, adam.start(mean, small, tf.constant(1e-6)), tf.constant(30))
    again = carried(adam.start(mean, large, tf.constant(1e-6)), before)
    fresh = adam.advance(mean, adam.start(mean, large, tf.constant(1e-6)), tf.constant(30))
    np.testing.assert_allclose(again.first_moment, fresh.first_moment, rtol=1e-3)
    np.testing.assert_allclose(again.second_moment, fresh.second_moment, rtol=1e-3)
    assert int(again.earlier_steps) == 30


@pytest.mark.parametrize(
    ("decay", "expected"),
    [
        ("constant", [1, 1, 1, 1]),
        ("exponential", [1, 0.2**0.25, 0.2**0.5, 0.2**0.75]),
        ("cosine", [0.2 + 0.8 * (1 + math.cos(math.pi * share / 4)) / 2 for share in range(4)]),
    ],
)
def test_the_learning_rate_follows_its_schedule(decay: str, expected: list[float]) -> None:
    choices = {"learning_rate": 0.03, "learning_rate_decay": decay, "learning_rate_end": 0.2}
    settings = Settings(size=32, steps=40, octaves=1, tolerance=0, optimizer="adam")
    settings = settings.model_copy(update={**choices, **LAYERS})
    encoder, style = tiny_encoder(), random_pixels(32, 32, 2)
    targets = style_targets(encoder, style, settings)
    task = OctaveTask.prepare(encoder, random_pixels(32, 32), targets, settings, 0, (32, 32))
    sizes = [float(report.progress.state.step_size) for report in task.reports(style)]
    np.testing.assert_allclose(sizes[1:], 0.03 * np.array(expected), rtol=1e-6)
    assert step_size(settings, 1, 0.5) == pytest.approx(SMALLER_STEP * step_size(settings, 0, 0.5))
    assert step_size(settings, 0, 1) == pytest.approx(0.03 * (1 if decay == "constant" else 0.2))


def test_the_next_octave_continues_with_the_moments_of_the_one_before() -> None:
    settings = Settings(size=64, steps=10, octaves=2, optimizer="adam", carry_state=True, **LAYERS)
    encoder, style = tiny_encoder(), random_pixels(40, 48, 2)
    targets = style_targets(encoder, style, settings)
    steps = iterates(encoder, random_pixels(64, 64), targets, settings, seed=0)
    by_octave: dict[int, Checkpoint] = {}
    for iterate in steps:
        by_octave.setdefault(iterate.octave, iterate.checkpoint())
    assert by_octave[2].before == Totals(10, 11, 0)
    assert int(by_octave[2].arrays[-1]) == 10
    assert int(by_octave[1].arrays[-1]) == 0


def test_rows_without_these_settings_have_plain_adam_or_lbfgs() -> None:
    assert type(optimizer_of(Settings(optimizer="adam"))) is Adam
    assert optimizer_of(Settings(average=0.9, carry_state=True)) == optimizer_of(Settings())
    for choice in ({"average": 0.9}, {"carry_state": True}):
        assert isinstance(optimizer_of(Settings(optimizer="adam", **choice)), ExtendedAdam)
