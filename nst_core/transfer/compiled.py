"""The compiled functions that all octaves and rows share."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from nst_core.networks.encoder import Encoder
from nst_core.quiet_tensorflow import tf
from nst_core.transfer.any_size import AnySize
from nst_core.transfer.descent import Evaluation
from nst_core.transfer.loss_weights import LossWeights
from nst_core.transfer.losses import LossTerms, Targets, loss_terms
from nst_core.transfer.optimizers import Optimizer
from nst_core.transfer.settings import Normalization, TvKind
from nst_core.transfer.style_losses.losses import is_renewed, renewed
from nst_core.transfer.terms import LOSS_TERMS
from nst_core.transfer.tiles.grid import Grid
from nst_core.transfer.tiles.losses import TiledLosses, TiledTargets

AnyTargets = Targets | TiledTargets


@dataclass(frozen=True)
class Compiled:
    """Functions of tensors only: one trace serves every row, whatever its shape and weights."""

    optimizer: Optimizer
    start: AnySize
    advance: AnySize
    measure: AnySize
    gradients: AnySize


@cache
def compile_for(
    encoder: Encoder,
    optimizer: Optimizer,
    normalization: Normalization,
    device: str,  # noqa: ARG001 - a graph contains weights, and each device has its own copy
    *,
    tv_kind: TvKind = "l2",
    rematerialize: bool = False,
    grid: Grid | None = None,
) -> Compiled:
    """Return the functions for these arguments, which are compiled when they are first used.

    With a grid, pictures are computed tile by tile, and their targets are `TiledTargets`.
    """
    tiled = TiledLosses(encoder, normalization, tv_kind, grid) if grid else None
    functions = _Functions(encoder, optimizer, normalization, tv_kind, rematerialize, tiled)
    return Compiled(
        optimizer,
        start=AnySize.of(functions.start),
        advance=AnySize.of(functions.advance),
        measure=AnySize.of(functions.measure),
        gradients=AnySize.of(functions.gradients),
    )


@dataclass(frozen=True)
class _Functions:
    """The functions before they are compiled; see `compile_for`."""

    encoder: Encoder
    optimizer: Optimizer
    normalization: Normalization
    tv_kind: TvKind
    rematerialize: bool
    tiled: TiledLosses | None

    def start(
        self, pixels: tf.Tensor, targets: AnyTargets, weights: LossWeights, step_size: tf.Tensor
    ) -> Any:
        objective = self._objective(self._near(pixels, targets, weights), weights)
        return self.optimizer.start(objective, pixels, step_size)

    def advance(
        self, state: Any, targets: AnyTargets, weights: LossWeights, steps: tf.Tensor
    ) -> Any:
        near = self._near(self.optimizer.current(state), targets, weights)
        objective = self._objective(near, weights)
        if is_renewed(targets.others):
            state = self.optimizer.evaluated_again(objective, state)
        return self.optimizer.advance(objective, state, steps)

    def measure(self, pixels: tf.Tensor, targets: AnyTargets, weights: LossWeights) -> LossTerms:
        return self._terms(pixels, self._near(pixels, targets, weights), weights)

    def gradients(
        self, pixels: tf.Tensor, targets: AnyTargets, weights: LossWeights
    ) -> dict[str, tf.Tensor]:
        """Return the gradient of each term before its weight, in the form of the pixels."""
        near = self._near(pixels, targets, weights)
        return {
            term: self._objective(near, weights.alone(term))(pixels).gradient for term in LOSS_TERMS
        }

    def _near(self, pixels: tf.Tensor, targets: Any, weights: LossWeights) -> Any:
        """Return the targets of these pixels, and of those that a few steps lead to."""
        others = renewed(self.encoder, pixels, targets.others, weights.style_layers)
        return targets._replace(others=others)

    def _terms(self, pixels: tf.Tensor, targets: Any, weights: LossWeights) -> LossTerms:
        if self.tiled:
            return self.tiled.terms(pixels, targets, weights)
        return loss_terms(
            *(self.encoder, self.normalization, pixels, targets, weights),
            tv_kind=self.tv_kind,
            rematerialize=self.rematerialize,
        )

    def _objective(self, targets: Any, weights: LossWeights) -> Callable[[tf.Tensor], Evaluation]:
        tiled = self.tiled
        if tiled:
            return lambda pixels: tiled.evaluation(pixels, targets, weights)

        def evaluate(pixels: tf.Tensor) -> Evaluation:
            with tf.GradientTape() as tape:
                tape.watch(pixels)
                terms = self._terms(pixels, targets, weights)
            return Evaluation(terms.total, tape.gradient(terms.total, pixels), terms)

        return evaluate
