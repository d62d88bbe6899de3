"""Adam with two additions: the average of its iterates, and moments from the octave before."""

import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from nst_core.images.resize import resize
from nst_core.quiet_tensorflow import tf
from nst_core.transfer.optimizers.adam import Adam
from nst_core.transfer.optimizers.descent import (
    Best,
    Evaluation,
    Objective,
    Rows,
    is_finite,
    select,
)


class ExtendedAdamState(NamedTuple):
    """The fields of `AdamState`, which a named tuple cannot inherit, and what the additions need.

    Attributes:
        average: the decayed sum of the iterates, of the point's shape; it begins at 0.
        earlier_steps: the steps of earlier octaves whose moments were carried over.
    """

    point: tf.Tensor
    best: Best
    first_moment: tf.Tensor
    second_moment: tf.Tensor
    step: tf.Tensor
    step_size: tf.Tensor
    evaluations: tf.Tensor
    status: tf.Tensor
    average: tf.Tensor
    earlier_steps: tf.Tensor


@dataclass(frozen=True)
class ExtendedAdam(Adam):
    """Adam whose result may be an average, and whose moments may come from an earlier octave.

    Attributes:
        average: the decay of the exponential mean of the iterates, at least 0 and below 1. Above 0,
            only the mean after each call of `advance` (and the start) can become the best point; it
            is corrected for its beginning at 0, like Adam's moments.
    """

    State: ClassVar = ExtendedAdamState

    average: float = 0.0

    def start(self, objective: Objective, point: tf.Tensor, step_size: tf.Tensor) -> Any:
        """Return the state before the first step, with the start's own value as the best so far."""
        plain = super().start(objective, point, step_size)
        return ExtendedAdamState(*plain, average=tf.zeros_like(point), earlier_steps=tf.constant(0))

    def advance_rows(self, rows: Rows, state: Any, steps: tf.Tensor) -> Any:
        """Take up to this many steps, as `Adam` does, and then look at the average."""
        advanced = super().advance_rows(rows, state, steps)
        return rows.once(self._with_average, advanced) if self.average else advanced

    def _with_average(self, advanced: Any) -> Generator[tf.Tensor, Evaluation, Any]:
        mean = self.mean(advanced)
        evaluation = yield mean
        is_better = is_finite(evaluation) & (evaluation.value < advanced.best.value)
        reached = Best(mean, evaluation.value, evaluation.terms)
        return advanced._replace(
            best=select(is_better, reached, advanced.best), evaluations=advanced.evaluations + 1
        )

    def mean(self, state: Any) -> Any:
        """Return the average, corrected for its beginning at 0."""
        decay = tf.constant(self.average, state.average.dtype)
        share = 1 - tf.pow(decay, tf.cast(state.step, decay.dtype))
        return state.average / share

    def stepping(self, state: Any) -> Generator[tf.Tensor, Evaluation, Any]:
        """Yield the point of a row, get its evaluation, and return the state after one step."""
        after = yield from super().stepping(state)
        average = self.average * state.average + (1 - self.average) * after.point
        return after._replace(average=average, best=state.best if self.average else after.best)

    def _age(self, state: Any, step: tf.Tensor) -> tf.Tensor:
        return step + state.earlier_steps


def carried(state: Any, earlier: Any) -> Any:
    """Return a state before its first step with the moments of a picture of another size.

    A pixel's gradient is inversely proportional to the number of pixels, because the losses are
    means, so the moments are scaled as well as resized. A state of another optimizer is returned
    unchanged.
    """
    if not isinstance(state, ExtendedAdamState):
        return state
    height, width = state.point.shape[:2]
    ratio = math.prod(earlier.point.shape) / math.prod(state.point.shape)
    moments = (earlier.first_moment, earlier.second_moment)
    first, second = (resize(np.asarray(moment), height, width) for moment in moments)
    return state._replace(
        first_moment=tf.constant(first * ratio, tf.float32),
        second_moment=tf.constant(second * ratio**2, tf.float32),
        earlier_steps=earlier.earlier_steps + earlier.step,
    )
