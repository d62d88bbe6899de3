"""The steps of Adam, strip by strip and in place."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from nst_core.quiet_tensorflow import tf
from nst_core.transfer.any_size import AnySize
from nst_core.transfer.optimizers.adam import Adam
from nst_core.transfer.optimizers.descent import DIVERGED, RUNNING, Best, Evaluation
from nst_core.transfer.optimizers.extended_adam import ExtendedAdam
from nst_core.transfer.tiles.arrays import (
    Array,
    Objective,
    finite_or_infinity,
    flat,
    is_finite,
    repeat,
    strips,
)


@dataclass(frozen=True)
class TiledAdam:
    """Adam with NumPy arrays as its state, which each step changes.

    Attributes:
        adam: what a step does to each coordinate.
        step: this step, compiled for strips of the state, float32 (numbers, 1, 1).
    """

    adam: Adam
    step: AnySize

    @classmethod
    def of(cls, adam: Adam) -> "TiledAdam":
        """Return the same optimizer for large arrays."""

        def step(state: Any, evaluation: Any) -> Any:
            return adam.step(lambda _: evaluation, state)

        return cls(adam, AnySize.of(step))

    def start(self, objective: Objective, point: Array, step_size: Any) -> Any:
        """Return the state before the first step; see `Adam.start`."""
        evaluation = objective(point)
        names = self.adam.State._fields
        arrays = {
            name: np.zeros_like(point)
            for name in ("first_moment", "second_moment", "average")
            if name in names
        }
        counts = {name: np.int32(0) for name in ("step", "earlier_steps") if name in names}
        return self.adam.State(
            point=point.copy(),
            best=Best(point.copy(), finite_or_infinity(evaluation), evaluation.terms),
            step_size=np.float32(step_size),
            evaluations=np.int32(1),
            status=np.int32(RUNNING if is_finite(evaluation) else DIVERGED),
            **arrays,
            **counts,
        )

    def advance(self, objective: Objective, state: Any, steps: int) -> Any:
        """Take up to this many steps, and change the state's arrays; see `Adam.advance`."""
        after = repeat(lambda now: self._stepped(objective(now.point), now), state, steps)
        return self._with_average(objective, after)

    def _stepped(self, evaluation: Evaluation, state: Any) -> Any:
        # A strip cannot know that the gradient of another is not finite.
        value = evaluation.value if is_finite(evaluation) else np.float32(np.nan)
        gradient, after = flat(evaluation.gradient), state
        for part in strips(gradient.size):
            of_part = tf.nest.map_structure(lambda it, part=part: _strip(it, part), state)
            seen = Evaluation(value, gradient[part].reshape(-1, 1, 1), evaluation.terms)
            after = self.step(*tf.nest.map_structure(tf.constant, (of_part, seen)))
            tf.nest.map_structure(lambda it, new, part=part: _write(it, part, new), state, after)
        # The arrays of the state have changed; its scalars are those of any strip.
        return tf.nest.map_structure(
            lambda it, new: it if np.ndim(it) else new.numpy(), state, after
        )

    def _with_average(self, objective: Objective, state: Any) -> Any:
        """Return the state whose best point may be the average; see `ExtendedAdam.advance`."""
        if not isinstance(self.adam, ExtendedAdam) or not self.adam.average:
            return state
        mean = np.asarray(self.adam.mean(state))
        evaluation = objective(mean)
        best = state.best
        if is_finite(evaluation) and evaluation.value < best.value:
            best = Best(mean, evaluation.value, evaluation.terms)
        return state._replace(best=best, evaluations=np.int32(state.evaluations + 1))


def _strip(value: Any, part: slice) -> Any:
    return flat(value)[part].reshape(-1, 1, 1) if np.ndim(value) else value


def _write(value: Any, part: slice, new: Any) -> None:
    if np.ndim(value):
        flat(value)[part] = new.numpy().reshape(-1)
