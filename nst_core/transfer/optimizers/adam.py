"""Adam within bounds, with tensors as its state, and one graph call for many steps.

It works on a point of any shape whose coordinates stay in [lower, upper], remembers the best finite
point so far, and never communicates with the host between steps.
"""

from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

from nst_core.quiet_tensorflow import tf
from nst_core.transfer.optimizers.descent import (
    DIVERGED,
    RUNNING,
    Alone,
    Best,
    Evaluation,
    Objective,
    Rows,
    answered,
    finite_or_infinity,
    is_finite,
    repeat,
    select,
)


class AdamState(NamedTuple):
    """The state of Adam between two steps; `best` may lag one step behind `point`."""

    point: tf.Tensor
    best: Best
    first_moment: tf.Tensor
    second_moment: tf.Tensor
    step: tf.Tensor
    step_size: tf.Tensor
    evaluations: tf.Tensor
    status: tf.Tensor


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma & Ba 2015), with pixels clipped to the bounds after each step.

    The decay rates are those of K. Crowson's style-transfer-pytorch. An epsilon as large as that of
    some style transfer programs (0.1) would drown the gradients of losses that are means.

    Attributes:
        best_of_every: only the start (so that there is always a best point) and the points after
            1, 1 + n, 1 + 2n, ... steps can become the best point, where n is this number.
    """

    State: ClassVar[Any] = AdamState

    lower: float = 0.0
    upper: float = 1.0
    beta_1: float = 0.9
    beta_2: float = 0.99
    epsilon: float = 1e-8
    best_of_every: int = 1

    def start(self, objective: Objective, point: tf.Tensor, step_size: tf.Tensor) -> AdamState:
        """Return the state before the first step, with the start's own value as the best so far."""
        evaluation = objective(point)
        finite = is_finite(evaluation)
        return AdamState(
            point=point,
            best=Best(point, finite_or_infinity(evaluation), evaluation.terms),
            first_moment=tf.zeros_like(point),
            second_moment=tf.zeros_like(point),
            step=tf.constant(0),
            step_size=step_size,
            evaluations=tf.constant(1),
            status=tf.where(finite, RUNNING, DIVERGED),
        )

    def current(self, state: AdamState) -> tf.Tensor:
        """Return the point from which the next step is taken."""
        return state.point

    def evaluated_again(self, _: Objective, state: AdamState) -> AdamState:
        """Return the state for an objective that has changed a little since the last step.

        Adam evaluates each point anew. The best value stays, although it may be lower by now.
        """
        return state

    def advance(self, objective: Objective, state: AdamState, steps: tf.Tensor) -> AdamState:
        """Take up to this many steps, or fewer if the value stops being finite."""
        advanced: AdamState = self.advance_rows(Alone(objective), state, steps)
        return advanced

    def advance_rows(self, rows: Rows, state: Any, steps: tf.Tensor) -> Any:
        """Return what `advance` does, for each of these rows."""
        return repeat(partial(rows.once, self.stepping), state, steps, rows)

    def step(self, objective: Objective, state: AdamState) -> AdamState:
        """Return the state after one step."""
        after: AdamState = answered(self.stepping(state), objective)
        return after

    def stepping(self, state: AdamState) -> Generator[tf.Tensor, Evaluation, Any]:
        """Yield the point of a row, get its evaluation, and return the state after one step."""
        evaluation = yield state.point
        finite = is_finite(evaluation)
        reached = Best(state.point, evaluation.value, evaluation.terms)
        is_candidate = (state.step - 1) % self.best_of_every == 0
        is_better = finite & is_candidate & (evaluation.value < state.best.value)
        best = select(is_better, reached, state.best)
        step = state.step + 1
        first = self.beta_1 * state.first_moment + (1 - self.beta_1) * evaluation.gradient
        second = self.beta_2 * state.second_moment + (1 - self.beta_2) * tf.square(
            evaluation.gradient
        )
        power = tf.cast(self._age(state, step), first.dtype)
        mean = first / (1 - tf.pow(tf.constant(self.beta_1, first.dtype), power))
        spread = tf.sqrt(second / (1 - tf.pow(tf.constant(self.beta_2, first.dtype), power)))
        moved = state.point - state.step_size * mean / (spread + self.epsilon)
        after: AdamState = state._replace(
            point=tf.where(finite, tf.clip_by_value(moved, self.lower, self.upper), best.point),
            best=best,
            first_moment=first,
            second_moment=second,
            step=step,
            evaluations=state.evaluations + 1,
            status=tf.where(finite, RUNNING, DIVERGED),
        )
        return after

    def _age(self, state: AdamState, step: tf.Tensor) -> tf.Tensor:  # noqa: ARG002 - for others
        """Return how many gradients the moments have seen after this step."""
        return step
