"""Evaluations of an objective, the best point so far, and the loop of steps, for all optimizers.

An objective is any function from a point to an `Evaluation`, written in TensorFlow operations.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

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


def repeat(step: Callable[[Any], Any], state: Any, steps: tf.Tensor) -> Any:
    """Return the state after up to this many steps, all taken on the device.

    Args:
        step: function from a state to the next; a state has a `status`.
        state: the state to begin with.
        steps: int32 scalar; fewer are taken if the status stops being `RUNNING`.
    """

    def unfinished(done: tf.Tensor, current: Any) -> tf.Tensor:
        return (done < steps) & (current.status == RUNNING)

    def once_more(done: tf.Tensor, current: Any) -> tuple[tf.Tensor, Any]:
        return done + 1, step(current)

    _, final = tf.while_loop(unfinished, once_more, (tf.constant(0), state), parallel_iterations=1)
    return final
