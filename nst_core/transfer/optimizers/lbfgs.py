"""L-BFGS within bounds, with tensors as its state, and one graph call for many steps.

It works on a point of any shape whose coordinates stay in [lower, upper], remembers the best finite
point so far, and never communicates with the host between steps.
"""

from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

from nst_core.quiet_tensorflow import tf
from nst_core.transfer.optimizers.descent import (
    CONVERGED,
    DIVERGED,
    RUNNING,
    Alone,
    Best,
    Evaluation,
    Objective,
    Rows,
    finite_or_infinity,
    is_finite,
    repeat,
    select,
)

SMALLEST_CURVATURE = 1e-8
"""A move is remembered if the cosine of its angle to the change of the gradient is above
this, in losses of any unit."""


class LbfgsState(NamedTuple):
    """The state of L-BFGS between two steps; its point is the best: the value only falls."""

    best: Best
    gradient: tf.Tensor
    position_deltas: tf.Tensor  # (memory, *point), newest last, zeros in empty places
    gradient_deltas: tf.Tensor  # (memory, *point): how each step changed the gradient
    step: tf.Tensor
    step_size: tf.Tensor
    evaluations: tf.Tensor
    status: tf.Tensor


class _Trial(NamedTuple):
    """One point of a line search, and the remaining interval of step lengths."""

    length: tf.Tensor
    shortest: tf.Tensor
    longest: tf.Tensor
    tried: tf.Tensor
    accepted: tf.Tensor  # the last trial met both conditions
    lowered: tf.Tensor  # some trial met the first condition; `best` is the last such trial
    finite: tf.Tensor  # the last trial was finite
    best_point: tf.Tensor
    best: Evaluation


@dataclass(frozen=True)
class Lbfgs:
    """Limited-memory BFGS (Liu & Nocedal 1989) on the coordinates that the bounds leave free.

    A coordinate at a bound that descent would move out of the box is in the active set, which is
    fixed for the step (Bertsekas 1982). Trial points are clipped to the box. The step length is
    found by bisection on the weak Wolfe conditions (Lewis & Overton 2013); the first trial is
    nearly always accepted, so a step usually takes one evaluation.
    """

    State: ClassVar = LbfgsState

    lower: float = 0.0
    upper: float = 1.0
    memory: int = 10
    sufficient_decrease: float = 1e-4
    curvature: float = 0.9
    most_trials: int = 20

    def start(self, objective: Objective, point: tf.Tensor, step_size: tf.Tensor) -> LbfgsState:
        """Return the state before the first step.

        Args:
            step_size: how much the first step, for which the curvature is unknown, changes the
                coordinate that it changes most.
        """
        evaluation = objective(point)
        history = tf.zeros(tf.concat([[self.memory], tf.shape(point)], axis=0), point.dtype)
        history = tf.ensure_shape(history, [self.memory, *point.shape])
        return LbfgsState(
            best=Best(point, finite_or_infinity(evaluation), evaluation.terms),
            gradient=evaluation.gradient,
            position_deltas=history,
            gradient_deltas=history,
            step=tf.constant(0),
            step_size=step_size,
            evaluations=tf.constant(1),
            status=tf.where(is_finite(evaluation), RUNNING, DIVERGED),
        )

    def current(self, state: LbfgsState) -> tf.Tensor:
        """Return the point from which the next step is taken."""
        return state.best.point

    def evaluated_again(self, objective: Objective, state: LbfgsState) -> LbfgsState:
        """Return the state for an objective that has changed a little since the last step."""
        evaluation = objective(state.best.point)
        best = Best(state.best.point, finite_or_infinity(evaluation), evaluation.terms)
        evaluations = state.evaluations + 1
        return state._replace(best=best, gradient=evaluation.gradient, evaluations=evaluations)

    def advance(self, objective: Objective, state: LbfgsState, steps: tf.Tensor) -> LbfgsState:
        """Take up to this many steps, or fewer if no step lowers the value any more."""
        advanced: LbfgsState = self.advance_rows(Alone(objective), state, steps)
        return advanced

    def advance_rows(self, rows: Rows, state: Any, steps: tf.Tensor) -> Any:
        """Return what `advance` does, for each of these rows."""
        return repeat(partial(self._step, rows), state, steps, rows)

    def _step(self, rows: Rows, state: Any) -> Any:
        direction, knows_curvature, first = rows.each(self._before_search, state)
        trial = self._search(rows, state, direction, first)
        return rows.each(self._accept, state, trial, knows_curvature)

    def _before_search(self, state: LbfgsState) -> tuple[tf.Tensor, tf.Tensor, _Trial]:
        """Return the direction of a step, whether it knows the curvature, and the first trial."""
        point, gradient = state.best.point, state.gradient
        active = ((point <= self.lower) & (gradient > 0)) | ((point >= self.upper) & (gradient < 0))
        free_gradient = tf.where(active, tf.zeros_like(gradient), gradient)
        direction, knows_curvature = self._direction(state, free_gradient, active)
        return direction, knows_curvature, self._first_trial(state)

    def _direction(
        self, state: LbfgsState, gradient: tf.Tensor, active: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the two-loop recursion's direction, or steepest descent if it is not downhill."""
        newton = -_inverse_hessian_times(gradient, state.position_deltas, state.gradient_deltas)
        newton = tf.where(active, tf.zeros_like(newton), newton)
        knows_curvature = _dot(state.position_deltas[-1], state.gradient_deltas[-1]) > 0
        points_down = knows_curvature & (_dot(newton, gradient) < 0)
        steepest = -state.step_size * tf.math.divide_no_nan(
            gradient, tf.reduce_max(tf.abs(gradient))
        )
        return tf.where(points_down, newton, steepest), knows_curvature

    def _first_trial(self, state: LbfgsState) -> _Trial:
        value = state.best.value
        one = tf.ones([], value.dtype)
        return _Trial(
            length=one,
            shortest=tf.zeros_like(one),
            longest=one * float("inf"),
            tried=tf.constant(0),
            accepted=tf.constant(False),
            lowered=tf.constant(False),
            finite=tf.constant(True),
            best_point=state.best.point,
            best=Evaluation(value, state.gradient, state.best.terms),
        )

    def _search(self, rows: Rows, state: Any, direction: tf.Tensor, first: Any) -> Any:
        """Return the last trial of each row; a row that has accepted its trial stays as it is."""

        def searches(trial: _Trial) -> tf.Tensor:
            return ~trial.accepted & (trial.tried < self.most_trials)

        def once_more(trial: _Trial) -> tuple[Any]:
            tried = rows.once(self._try, state, direction, trial)
            return (rows.kept(lambda: searches(trial), tried, trial),)

        (final,) = tf.while_loop(
            lambda trial: rows.any(searches(trial)), once_more, (first,), parallel_iterations=1
        )
        return final

    def _try(
        self, state: LbfgsState, direction: tf.Tensor, trial: _Trial
    ) -> Generator[tf.Tensor, Evaluation, _Trial]:
        start = state.best.point
        aim = start + trial.length * direction
        point = tf.clip_by_value(aim, self.lower, self.upper)
        evaluation = yield point
        finite = is_finite(evaluation)
        promised = _dot(state.gradient, point - start)
        limit = state.best.value + self.sufficient_decrease * promised
        lower_enough = finite & (promised < 0) & (evaluation.value <= limit)
        inside = (aim >= self.lower) & (aim <= self.upper)
        slope = _dot(evaluation.gradient, tf.where(inside, direction, tf.zeros_like(direction)))
        flat_enough = slope >= self.curvature * _dot(state.gradient, direction)
        shortest = tf.where(lower_enough, trial.length, trial.shortest)
        longest = tf.where(lower_enough, trial.longest, trial.length)
        best_point, best = select(lower_enough, (point, evaluation), (trial.best_point, trial.best))
        return _Trial(
            length=tf.where(tf.math.is_finite(longest), (shortest + longest) / 2, 2 * shortest),
            shortest=shortest,
            longest=longest,
            tried=trial.tried + 1,
            accepted=lower_enough & flat_enough,
            lowered=trial.lowered | lower_enough,
            finite=finite,
            best_point=best_point,
            best=best,
        )

    def _accept(self, state: LbfgsState, trial: _Trial, knows_curvature: tf.Tensor) -> LbfgsState:
        move = trial.best_point - state.best.point
        change = trial.best.gradient - state.gradient
        curved = _dot(move, change) > SMALLEST_CURVATURE * tf.norm(move) * tf.norm(change)
        memory = (state.position_deltas, state.gradient_deltas)
        position_deltas, gradient_deltas = tf.cond(
            trial.lowered & curved,
            lambda: (_append(state.position_deltas, move), _append(state.gradient_deltas, change)),
            # After a failed search, the memory is unreliable and therefore cleared.
            lambda: tf.cond(trial.lowered, lambda: memory, lambda: _zeros_like(memory)),
        )
        return LbfgsState(
            best=Best(trial.best_point, trial.best.value, trial.best.terms),
            gradient=trial.best.gradient,
            position_deltas=position_deltas,
            gradient_deltas=gradient_deltas,
            step=state.step + 1,
            step_size=state.step_size,
            evaluations=state.evaluations + trial.tried,
            status=tf.where(
                trial.lowered | knows_curvature,
                RUNNING,
                tf.where(trial.finite, CONVERGED, DIVERGED),
            ),
        )


def _dot(left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(left * right)


def _zeros_like(values: Any) -> Any:
    return tf.nest.map_structure(tf.zeros_like, values)


def _append(history: tf.Tensor, newest: tf.Tensor) -> tf.Tensor:
    return tf.concat([history[1:], newest[tf.newaxis]], axis=0)


def _inverse_hessian_times(
    gradient: tf.Tensor, position_deltas: tf.Tensor, gradient_deltas: tf.Tensor
) -> tf.Tensor:
    """Apply algorithm 7.4 of Nocedal & Wright 2006; empty places of the memory change nothing."""
    count = position_deltas.shape[0]
    inverse_curvatures = [
        tf.math.divide_no_nan(
            tf.ones([], gradient.dtype), _dot(position_deltas[i], gradient_deltas[i])
        )
        for i in range(count)
    ]
    shares = []
    remainder = gradient
    for i in reversed(range(count)):
        share = inverse_curvatures[i] * _dot(position_deltas[i], remainder)
        remainder = remainder - share * gradient_deltas[i]
        shares.append(share)
    newest = gradient_deltas[count - 1]
    scale = tf.math.divide_no_nan(_dot(position_deltas[count - 1], newest), _dot(newest, newest))
    product = remainder * scale
    for i, share in zip(range(count), reversed(shares), strict=True):
        product += position_deltas[i] * (
            share - inverse_curvatures[i] * _dot(gradient_deltas[i], product)
        )
    return product
