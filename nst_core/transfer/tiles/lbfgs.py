"""The steps of L-BFGS, strip by strip and in place.

This is the algorithm of `nst_core.transfer.optimizers.lbfgs`. Its two-loop recursion only needs the
products of all pairs of vectors, which come from one pass over the arrays; the direction is then a
sum of these vectors, which takes another pass (Chen, Wang & Zhou 2014, "Large-scale L-BFGS using
MapReduce").
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nst_core.transfer.optimizers.descent import CONVERGED, DIVERGED, RUNNING, Best, Evaluation
from nst_core.transfer.optimizers.lbfgs import SMALLEST_CURVATURE, Lbfgs, LbfgsState
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
class _Trials:
    """The trials of a line search so far, and the remaining interval of step lengths.

    Attributes:
        point, found: the last trial that lowered the value, or else the start.
        accepted: whether the last trial met both conditions.
        lowered: whether some trial met the first condition.
        finite: whether the last trial was finite.
    """

    point: Array
    found: Evaluation
    length: float = 1.0
    shortest: float = 0.0
    longest: float = np.inf
    tried: int = 0
    accepted: bool = False
    lowered: bool = False
    finite: bool = True


@dataclass(frozen=True)
class TiledLbfgs:
    """L-BFGS with NumPy arrays as its state, whose history each step changes."""

    lbfgs: Lbfgs

    def start(self, objective: Objective, point: Array, step_size: Any) -> LbfgsState:
        """Return the state before the first step; see `Lbfgs.start`."""
        evaluation = objective(point)
        history = (self.lbfgs.memory, *point.shape)
        return LbfgsState(
            best=Best(point, finite_or_infinity(evaluation), evaluation.terms),
            gradient=evaluation.gradient,
            position_deltas=np.zeros(history, np.float32),
            gradient_deltas=np.zeros(history, np.float32),
            step=np.int32(0),
            step_size=np.float32(step_size),
            evaluations=np.int32(1),
            status=np.int32(RUNNING if is_finite(evaluation) else DIVERGED),
        )

    def advance(self, objective: Objective, state: LbfgsState, steps: int) -> LbfgsState:
        """Take up to this many steps, and change the state's history; see `Lbfgs.advance`."""
        after: LbfgsState = repeat(partial(self._stepped, objective), state, steps)
        return after

    def _stepped(self, objective: Objective, state: LbfgsState) -> LbfgsState:
        direction, knows_curvature = self._direction(state)
        trials = self._search(objective, state, direction)
        return self._accepted(state, trials, knows_curvature)

    def _active(self, point: Array, gradient: Array) -> NDArray[np.bool_]:
        """Return where descent would move out of the box."""
        lower, upper = self.lbfgs.lower, self.lbfgs.upper
        return ((point <= lower) & (gradient > 0)) | ((point >= upper) & (gradient < 0))

    def _direction(self, state: LbfgsState) -> tuple[Array, bool]:
        """Return the direction of the next step, and whether the history knows the curvature."""
        history = [flat(it) for it in (*state.position_deltas, *state.gradient_deltas)]
        point, gradient = flat(state.best.point), flat(state.gradient)
        newest = len(history) // 2
        products, steepest = np.zeros((len(history) + 1,) * 2), np.float32(0)
        for part in strips(point.size):
            active = self._active(point[part], gradient[part])
            rows = np.stack([*(it[part] for it in history), np.where(active, 0, gradient[part])])
            products += rows @ rows.T
            steepest = max(steepest, np.abs(rows[-1]).max())
        knows_curvature = bool(products[newest - 1, 2 * newest - 1] > 0)
        factors = -_two_loops(products)
        if not (knows_curvature and factors @ products[-1] < 0):
            factors = np.zeros(len(products))
            factors[-1] = -state.step_size / steepest if steepest else 0
        direction = np.empty_like(point)
        for part in strips(point.size):
            active = self._active(point[part], gradient[part])
            along = np.float32(factors[-1]) * gradient[part]
            for factor, it in zip(factors, history, strict=False):
                along += np.float32(factor) * it[part]
            direction[part] = np.where(active, 0, along)
        return direction.reshape(state.gradient.shape), knows_curvature

    def _search(self, objective: Objective, state: LbfgsState, direction: Array) -> _Trials:
        start = Evaluation(state.best.value, state.gradient, state.best.terms)
        trials = _Trials(state.best.point, start)
        while not trials.accepted and trials.tried < self.lbfgs.most_trials:
            trials = self._tried(objective, state, direction, trials)
        return trials

    def _tried(
        self, objective: Objective, state: LbfgsState, direction: Array, trials: _Trials
    ) -> _Trials:
        point, promised, slope_before = self._moved(state, direction, trials.length)
        found = objective(point)
        limit = state.best.value + self.lbfgs.sufficient_decrease * promised
        finite = is_finite(found)
        lowered = bool(finite and promised < 0 and found.value <= limit)
        slope = self._slope(state, direction, trials.length, found.gradient)
        shortest = trials.length if lowered else trials.shortest
        longest = trials.longest if lowered else trials.length
        return _Trials(
            *((point, found) if lowered else (trials.point, trials.found)),
            length=(shortest + longest) / 2 if np.isfinite(longest) else 2 * shortest,
            shortest=shortest,
            longest=longest,
            tried=trials.tried + 1,
            accepted=lowered and slope >= self.lbfgs.curvature * slope_before,
            lowered=trials.lowered or lowered,
            finite=finite,
        )

    def _moved(
        self, state: LbfgsState, direction: Array, length: float
    ) -> tuple[Array, float, float]:
        """Return a trial point, the decrease that its gradient promises, and the slope before."""
        start, gradient, along = (flat(it) for it in (state.best.point, state.gradient, direction))
        point, promised, slope = np.empty_like(start), 0.0, 0.0
        for part in strips(start.size):
            aim = start[part] + np.float32(length) * along[part]
            point[part] = np.clip(aim, self.lbfgs.lower, self.lbfgs.upper)
            promised += float(np.dot(gradient[part], point[part] - start[part]))
            slope += float(np.dot(gradient[part], along[part]))
        return point.reshape(direction.shape), promised, slope

    def _slope(self, state: LbfgsState, direction: Array, length: float, gradient: Array) -> float:
        """Return the slope at a trial point along the coordinates that the box leaves free."""
        start, after, along = (flat(it) for it in (state.best.point, gradient, direction))
        slope = 0.0
        for part in strips(start.size):
            aim = start[part] + np.float32(length) * along[part]
            inside = (aim >= self.lbfgs.lower) & (aim <= self.lbfgs.upper)
            slope += float(np.dot(after[part], np.where(inside, along[part], 0)))
        return slope

    def _accepted(self, state: LbfgsState, trials: _Trials, knows_curvature: bool) -> LbfgsState:
        if not trials.lowered:
            # After a failed search, the memory is unreliable and therefore cleared.
            state.position_deltas[:] = 0
            state.gradient_deltas[:] = 0
        elif _is_curved(state, trials):
            _append(state.position_deltas, trials.point, state.best.point)
            _append(state.gradient_deltas, trials.found.gradient, state.gradient)
        goes_on = trials.lowered or knows_curvature
        stopped = CONVERGED if trials.finite else DIVERGED
        return state._replace(
            best=Best(trials.point, trials.found.value, trials.found.terms),
            gradient=trials.found.gradient,
            step=np.int32(state.step + 1),
            evaluations=np.int32(state.evaluations + trials.tried),
            status=np.int32(RUNNING if goes_on else stopped),
        )


def _two_loops(products: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the inverse Hessian times the gradient, as factors of vectors.

    It applies algorithm 7.4 of Nocedal & Wright 2006; empty places of the memory change nothing.

    Args:
        products: those of all pairs of vectors: moves, changes of the gradient, and the gradient.
    """
    count = len(products) // 2
    curvatures = [products[i, count + i] for i in range(count)]
    factors, shares = np.zeros(len(products)), np.zeros(count)
    factors[-1] = 1
    for i in reversed(range(count)):
        shares[i] = _ratio(products[i] @ factors, curvatures[i])
        factors[count + i] -= shares[i]
    factors *= _ratio(curvatures[-1], products[2 * count - 1, 2 * count - 1])
    for i in range(count):
        factors[i] += shares[i] - _ratio(products[count + i] @ factors, curvatures[i])
    return factors


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else 0.0


def _is_curved(state: LbfgsState, trials: _Trials) -> bool:
    """Return whether the last move says enough about the curvature."""
    products = np.zeros((2, 2))
    pairs = (trials.point, state.best.point), (trials.found.gradient, state.gradient)
    after, before = ([flat(it) for it in each] for each in zip(*pairs, strict=True))
    for part in strips(after[0].size):
        rows = np.stack([end[part] - start[part] for end, start in zip(after, before, strict=True)])
        products += rows @ rows.T
    return bool(products[0, 1] > SMALLEST_CURVATURE * np.sqrt(products[0, 0] * products[1, 1]))


def _append(history: Array, after: Array, before: Array) -> None:
    """Put a difference at the end of a history, in place of the oldest."""
    for older in range(len(history) - 1):
        history[older] = history[older + 1]
    np.subtract(after, before, out=history[-1])
