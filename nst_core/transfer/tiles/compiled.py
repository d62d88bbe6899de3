"""The functions of an octave that is computed tile by tile, in the form of `compiled.Compiled`."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from nst_core.transfer.losses.loss_weights import LossWeights
from nst_core.transfer.losses.losses import LossTerms
from nst_core.transfer.optimizers.lbfgs import Lbfgs
from nst_core.transfer.optimizers.optimizers import Optimizer
from nst_core.transfer.tiles.adam import TiledAdam
from nst_core.transfer.tiles.arrays import Array, Objective
from nst_core.transfer.tiles.lbfgs import TiledLbfgs
from nst_core.transfer.tiles.losses import TiledLosses, TiledTargets


class TiledFunctions:
    """Functions of NumPy arrays, whose state changes with each call of `advance`.

    Args:
        optimizer: the optimizer.
        losses: those that are measured.
        in_steps: those that the optimizer lowers, which may have less precision.
    """

    def __init__(self, optimizer: Optimizer, losses: TiledLosses, in_steps: TiledLosses) -> None:
        self.optimizer, self._losses, self._in_steps = optimizer, losses, in_steps
        self._steps = (
            TiledLbfgs(optimizer) if isinstance(optimizer, Lbfgs) else TiledAdam.of(optimizer)
        )

    def start(
        self, pixels: Array, targets: TiledTargets, weights: LossWeights, step_size: Any
    ) -> Any:
        """Return the optimizer's state before the first step."""
        return self._steps.start(self._objective(targets, weights), np.asarray(pixels), step_size)

    def advance(self, state: Any, targets: TiledTargets, weights: LossWeights, steps: Any) -> Any:
        """Return the optimizer's state after up to this many steps."""
        return self._steps.advance(self._objective(targets, weights), state, int(steps))

    def measure(self, pixels: Array, targets: TiledTargets, weights: LossWeights) -> LossTerms:
        """Return the losses of a picture."""
        return self._losses.terms(np.asarray(pixels), targets, weights)

    def gradient(self, pixels: Array, targets: TiledTargets, weights: LossWeights) -> Array:
        """Return the gradient of the total, in the form of the pixels."""
        return np.asarray(self._losses.evaluation(np.asarray(pixels), targets, weights).gradient)

    def _objective(self, targets: TiledTargets, weights: LossWeights) -> Objective:
        evaluate: Callable[..., Any] = self._in_steps.evaluation
        return partial(evaluate, targets=targets, weights=weights)
