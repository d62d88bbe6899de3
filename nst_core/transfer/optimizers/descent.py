"""Evaluations of an objective, the best point so far, and the loop of steps, for all optimizers.

An objective is any function from a point to an `Evaluation`, written in TensorFlow operations.

Optimizers are written for one row, in parts. A part that needs the objective is a generator: it
yields one point, gets the evaluation of this point, and returns its result. So the same parts serve
one row (`Alone`) and the rows of a batch (`optimization.batch`).
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from nst_core.quiet_tensorflow import tf

RUNNING, CONVERGED, DIVERGED = 0, 1, 2
"""Status: more steps may help; no step lowers the value; the value was not finite."""


class Evaluation(NamedTuple):
    """An objective at a point; `terms` is whatever else should be known about this point."""

    value: tf.Tensor  # scalar
    gradient: tf.Tensor  # has the point's shape
    terms: Any


Objective = Callable[[tf.Tensor], Evaluation]


class Best(NamedTuple):
    """The best finite point so far; its value is infinite if there is none."""

    point: tf.Tensor
    value: tf.Tensor
    terms: Any


def is_finite(evaluation: Evaluation) -> tf.Tensor:
    """Return whether the value and the whole gradient are finite, as a boolean scalar."""
    return tf.math.is_finite(evaluation.value) & tf.reduce_all(
        tf.math.is_finite(evaluation.gradient)
    )


def finite_or_infinity(evaluation: Evaluation) -> tf.Tensor:
    """Return the value if the evaluation is finite, or else infinity, above any other value."""
    infinity = tf.constant(float("inf"), evaluation.value.dtype)
    return tf.where(is_finite(evaluation), evaluation.value, infinity)


def select(condition: tf.Tensor, when_true: Any, when_false: Any) -> Any:
    """Return one of two structures of tensors of the same form, such as two of `Best`."""
    return tf.nest.map_structure(
        lambda yes, no: tf.where(condition, yes, no), when_true, when_false
    )


Part = Callable[..., Generator[tf.Tensor, Evaluation, Any]]
"""A part of a step that needs one evaluation; see above."""


def answered(part: Generator[tf.Tensor, Evaluation, Any], objective: Objective) -> Any:
    """Return the result of a part whose point is evaluated by this objective."""
    evaluation = objective(next(part))
    try:
        part.send(evaluation)
    except StopIteration as stop:
        return stop.value
    raise RuntimeError("a part of a step asked for two evaluations; expected one")


class Rows(Protocol):
    """One row, or all rows of a batch, whose tensors then have an axis of rows in front."""

    def once(self, part: Part, *arguments: Any) -> Any:
        """Return the result of a part for each row, from each row's own arguments."""

    def each(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return a function's result for each row; it needs no evaluation."""

    def any(self, conditions: tf.Tensor) -> tf.Tensor:
        """Return whether any row meets its condition, as a boolean scalar."""

    def kept(self, conditions: Callable[[], tf.Tensor], after: Any, before: Any) -> Any:
        """Return what is after a step for rows that meet their condition, or else before it."""


@dataclass(frozen=True)
class Alone:
    """One row, without an axis of rows. A loop ends with it, so it never needs to be kept."""

    objective: Objective

    def once(self, part: Part, *arguments: Any) -> Any:
        """Return the result of a part."""
        return answered(part(*arguments), self.objective)

    def each(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return a function's result."""
        return function(*arguments)

    def any(self, conditions: tf.Tensor) -> tf.Tensor:
        """Return the row's condition."""
        return conditions

    def kept(self, _: Callable[[], tf.Tensor], after: Any, before: Any) -> Any:  # noqa: ARG002
        """Return what is after the step."""
        return after


def repeat(step: Callable[[Any], Any], state: Any, steps: tf.Tensor, rows: Rows) -> Any:
    """Return the state after up to this many steps, all taken on the device.

    Args:
        step: function from a state to the next; a state has a `status`.
        state: the state to begin with.
        steps: int32 scalar, or one for each row; a row takes fewer if its status stops being
            `RUNNING`, and then stays as it is.
        rows: whose state it is.
    """

    def unfinished(done: tf.Tensor, current: Any) -> tf.Tensor:
        return (done < steps) & (current.status == RUNNING)

    def once_more(done: tf.Tensor, current: Any) -> tuple[tf.Tensor, Any]:
        done_then, after = done + 1, step(current)
        return done_then, rows.kept(lambda: unfinished(done, current), after, current)

    _, final = tf.while_loop(
        lambda done, current: rows.any(unfinished(done, current)),
        once_more,
        (tf.constant(0), state),
        parallel_iterations=1,
    )
    return final
