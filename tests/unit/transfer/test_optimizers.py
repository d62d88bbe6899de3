"""L-BFGS and Adam against SciPy on standard functions, with and without active bounds."""

from collections.abc import Callable

import numpy as np
import pytest
import scipy.optimize
import tensorflow as tf

from nst_core.transfer.optimizers.adam import Adam
from nst_core.transfer.optimizers.descent import CONVERGED, DIVERGED, RUNNING, Evaluation
from nst_core.transfer.optimizers.lbfgs import Lbfgs


def rosenbrock(point: tf.Tensor) -> Evaluation:
    with tf.GradientTape() as tape:
        tape.watch(point)
        valley = 100 * tf.square(point[1:] - tf.square(point[:-1]))
        value = tf.reduce_sum(valley + tf.square(1 - point[:-1]))
    return Evaluation(value, tape.gradient(value, point), {"doubled": 2 * value})


def bowl(point: tf.Tensor) -> Evaluation:
    """Evaluate an ill-conditioned quadratic with its minimum at 0.5."""
    scale = tf.cast(tf.linspace(1.0, 100.0, tf.size(point)), point.dtype)
    offset = point - 0.5
    return Evaluation(tf.reduce_sum(scale * offset**2), 2 * scale * offset, ())


def run(optimizer: object, objective: Callable, start: np.ndarray, size: float, steps: int):
    begin = tf.constant(start)

    @tf.function
    def optimize(point: tf.Tensor):
        state = optimizer.start(objective, point, tf.constant(size, point.dtype))
        return optimizer.advance(objective, state, tf.constant(steps))

    return optimize(begin)


START = np.where(np.arange(20) % 2, -0.4, 0.45)


@pytest.mark.parametrize(
    ("lower", "upper"), [(-10.0, 10.0), (-10.0, 0.8), (-0.5, 0.5)], ids=["free", "upper", "box"]
)
def test_lbfgs_reaches_the_optimum_of_scipy(lower: float, upper: float) -> None:
    state = run(Lbfgs(lower, upper), rosenbrock, START, 0.05, 400)
    expected = scipy.optimize.minimize(
        scipy.optimize.rosen,
        START,
        jac=scipy.optimize.rosen_der,
        method="L-BFGS-B",
        bounds=[(lower, upper)] * len(START),
        options={"ftol": 1e-14, "gtol": 1e-9},
    )
    assert float(state.best.value) == pytest.approx(expected.fun, rel=1e-7, abs=1e-9)
    np.testing.assert_allclose(state.best.point, expected.x, atol=1e-4)


def test_lbfgs_takes_little_more_than_one_evaluation_per_step() -> None:
    state = run(Lbfgs(-10, 10), rosenbrock, START, 0.05, 60)
    assert int(state.evaluations) < 2 * 60


def test_lbfgs_works_in_single_precision_and_any_shape() -> None:
    start = np.zeros((3, 4, 2), np.float32)
    state = run(Lbfgs(), lambda point: _reshaped(bowl, point), start, 0.05, 100)
    np.testing.assert_allclose(state.best.point, np.full((3, 4, 2), 0.5), atol=1e-4)
    assert state.best.point.dtype == tf.float32


def _reshaped(objective: Callable, point: tf.Tensor) -> Evaluation:
    flat = objective(tf.reshape(point, [-1]))
    return Evaluation(flat.value, tf.reshape(flat.gradient, tf.shape(point)), flat.terms)


def test_the_best_point_has_its_own_terms() -> None:
    for optimizer in (Lbfgs(-10, 10), Adam(-10, 10)):
        state = run(optimizer, rosenbrock, START, 0.02, 30)
        assert float(state.best.terms["doubled"]) == pytest.approx(2 * float(state.best.value))
        at_best = scipy.optimize.rosen(state.best.point.numpy())
        assert float(state.best.value) == pytest.approx(at_best)


@pytest.mark.parametrize("optimizer", [Lbfgs(0, 0.3), Adam(0, 0.3)])
def test_points_stay_within_the_bounds(optimizer: object) -> None:
    state = run(optimizer, bowl, np.linspace(0, 0.3, 10), 0.05, 100)
    assert state.best.point.numpy().min() >= 0
    np.testing.assert_allclose(state.best.point, np.full(10, 0.3), atol=1e-3)


def test_lbfgs_converges_if_nothing_lowers_the_value() -> None:
    state = run(Lbfgs(), bowl, np.full(5, 0.5), 0.05, 50)
    assert int(state.status) == CONVERGED
    np.testing.assert_array_equal(state.best.point, np.full(5, 0.5))


def test_adam_reaches_the_optimum() -> None:
    state = run(Adam(), bowl, np.zeros(10), 0.02, 2000)
    np.testing.assert_allclose(state.best.point, np.full(10, 0.5), atol=1e-3)


def test_adam_takes_the_steps_of_its_paper() -> None:
    """Two steps are computed by hand (Kingma & Ba 2015, algorithm 1)."""
    adam = Adam(-10, 10, beta_1=0.9, beta_2=0.999, epsilon=1e-8)
    state = run(adam, bowl, np.array([0.0, 1.0]), 0.1, 2)
    scale, point = np.array([1.0, 100.0]), np.array([0.0, 1.0])
    first, second = np.zeros(2), np.zeros(2)
    for step in (1, 2):
        gradient = 2 * scale * (point - 0.5)
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        point = point - 0.1 * (first / (1 - 0.9**step)) / (
            np.sqrt(second / (1 - 0.999**step)) + 1e-8
        )
    np.testing.assert_allclose(state.point, point, rtol=1e-6)


def cliff(point: tf.Tensor) -> Evaluation:
    """Evaluate a function that falls toward 1 and is not a number beyond 0.3."""
    value = tf.reduce_sum(1 - point)
    broken = tf.reduce_any(point > 0.3)
    return Evaluation(
        tf.where(broken, tf.constant(np.nan, point.dtype), value), -tf.ones_like(point), ()
    )


def test_lbfgs_steps_back_from_values_that_are_not_finite() -> None:
    state = run(Lbfgs(), cliff, np.zeros(4), 0.05, 60)
    assert np.isfinite(float(state.best.value))
    np.testing.assert_allclose(state.best.point, np.full(4, 0.3), atol=1e-3)


def test_lbfgs_diverges_if_no_value_nearby_is_finite() -> None:
    def island(point: tf.Tensor) -> Evaluation:
        away = tf.reduce_any(point > 0)
        value = tf.where(away, tf.constant(np.nan, point.dtype), tf.reduce_sum(-point))
        return Evaluation(value, -tf.ones_like(point), ())

    state = run(Lbfgs(), island, np.zeros(4), 0.05, 60)
    assert int(state.status) == DIVERGED
    np.testing.assert_array_equal(state.best.point, np.zeros(4))


def test_adam_stops_at_a_value_that_is_not_finite_and_returns_to_the_best() -> None:
    state = run(Adam(), cliff, np.zeros(4), 0.1, 60)
    assert int(state.status) == DIVERGED
    assert float(state.best.value) < 4
    np.testing.assert_array_equal(state.point, state.best.point)
    assert state.best.point.numpy().max() <= 0.3


@pytest.mark.parametrize("optimizer", [Lbfgs(), Adam()])
def test_a_start_that_is_not_finite_has_diverged(optimizer: object) -> None:
    state = run(optimizer, cliff, np.ones(4), 0.1, 0)
    assert int(state.status) == DIVERGED
    assert np.isinf(float(state.best.value))


def test_a_run_in_two_parts_equals_one_run() -> None:
    for optimizer in (Lbfgs(-10, 10), Adam(-10, 10)):
        full = run(optimizer, rosenbrock, START, 0.02, 20)
        begin = run(optimizer, rosenbrock, START, 0.02, 8)
        rest = tf.function(lambda state, o=optimizer: o.advance(rosenbrock, state, tf.constant(12)))
        np.testing.assert_array_equal(rest(begin).best.point, full.best.point)
        assert int(begin.status) == RUNNING


@pytest.mark.parametrize("scale", [1e-6, 1e12])
def test_lbfgs_does_not_depend_on_the_scale_of_the_value(scale: float) -> None:
    def scaled(point: tf.Tensor) -> Evaluation:
        value, gradient, terms = rosenbrock(point)
        return Evaluation(scale * value, scale * gradient, terms)

    plain = run(Lbfgs(-10, 10), rosenbrock, START, 0.05, 60)
    other = run(Lbfgs(-10, 10), scaled, START, 0.05, 60)
    np.testing.assert_allclose(other.best.point, plain.best.point, rtol=1e-3)


@pytest.mark.parametrize("optimizer", [Lbfgs(-np.inf, np.inf), Adam(-np.inf, np.inf)])
def test_points_are_not_limited_without_bounds(optimizer: object) -> None:
    def far(point: tf.Tensor) -> Evaluation:
        return Evaluation(tf.reduce_sum((point - 3) ** 2), 2 * (point - 3), ())

    state = run(optimizer, far, np.zeros(4), 0.05, 400)
    np.testing.assert_allclose(state.best.point, np.full(4, 3.0), atol=1e-3)


def test_adam_looks_for_the_best_point_every_few_steps() -> None:
    """Candidates are the points after 1, 6, 11, ... steps, and the start."""

    def far(point: tf.Tensor) -> Evaluation:
        return Evaluation(tf.reduce_sum(100 - point), -tf.ones_like(point), ())

    for steps, candidate in ((1, 0), (2, 1), (6, 1), (7, 6), (11, 6), (12, 11)):
        adam = Adam(-np.inf, np.inf, best_of_every=5)
        state = run(adam, far, np.zeros(2), 0.1, steps)
        np.testing.assert_allclose(state.best.point, np.full(2, 0.1 * candidate), rtol=1e-4)
