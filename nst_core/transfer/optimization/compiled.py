"""The compiled functions that all octaves and rows share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from nst_core.networks.encoder import Encoder, in_bfloat16
from nst_core.quiet_tensorflow import tf
from nst_core.transfer.any_size import AnySize
from nst_core.transfer.losses.loss_weights import LossWeights
from nst_core.transfer.losses.losses import LossTerms, Targets, loss_terms
from nst_core.transfer.optimization.batch import AtOnce, RowByRow
from nst_core.transfer.optimizers.descent import Evaluation
from nst_core.transfer.optimizers.optimizers import Optimizer
from nst_core.transfer.settings import Normalization, TvKind
from nst_core.transfer.style_losses.losses import is_renewed, renewed
from nst_core.transfer.tiles.compiled import TiledFunctions
from nst_core.transfer.tiles.grid import Grid
from nst_core.transfer.tiles.losses import TiledLosses


@dataclass(frozen=True)
class Compiled:
    """Functions of tensors only: one trace serves every row, whatever its shape and weights.

    Only the two of the optimizer, `start` and `advance`, have activations in lower precision, if
    that is wanted. Losses that people compare, and scales, are those of float32.
    """

    optimizer: Optimizer
    start: Callable[..., Any]
    advance: Callable[..., Any]
    measure: Callable[..., LossTerms]
    gradient: Callable[..., Any]
    advance_rows: Callable[..., Any] | None = None
    """Does what `advance` does for rows of one form; None if they must advance alone."""


@cache
def compile_for(
    encoder: Encoder,
    optimizer: Optimizer,
    normalization: Normalization,
    device: str,
    *,
    tv_kind: TvKind = "l2",
    bfloat16: bool = False,
    rematerialize: bool = False,
    grid: Grid | None = None,
) -> Compiled:
    """Return the functions for these arguments, which are compiled when they are first used.

    Each device has its own, because a graph contains weights, which are on a device. With
    `bfloat16`, the optimizer's activations are in that precision. With a grid, pictures are
    computed tile by tile; see `tiles.compiled.TiledFunctions`.
    """
    if grid:
        of_loss = (encoder, normalization, tv_kind, grid)
        exact = TiledLosses(*of_loss)
        tiled = TiledFunctions(
            optimizer, exact, TiledLosses(*of_loss, bfloat16=True) if bfloat16 else exact
        )
        return Compiled(optimizer, tiled.start, tiled.advance, tiled.measure, tiled.gradient)
    functions = _Functions(
        *(encoder, optimizer, normalization, tv_kind, rematerialize), at_once="GPU" in device
    )
    in_steps = replace(functions, encoder=in_bfloat16(encoder)) if bfloat16 else functions
    return Compiled(
        optimizer,
        start=AnySize.of(in_steps.start),
        advance=AnySize.of(in_steps.advance),
        measure=AnySize.of(functions.measure),
        gradient=AnySize.of(functions.gradient),
        advance_rows=None if rematerialize else AnySize.of(in_steps.advance_rows, of_rows=True),
    )


@dataclass(frozen=True)
class _Functions:
    """The functions before they are compiled; see `compile_for`."""

    encoder: Encoder
    optimizer: Optimizer
    normalization: Normalization
    tv_kind: TvKind
    rematerialize: bool = False
    at_once: bool = False

    def start(
        self, pixels: tf.Tensor, targets: Targets, weights: LossWeights, step_size: tf.Tensor
    ) -> Any:
        objective = self._objective(self._near(pixels, targets, weights), weights)
        return self.optimizer.start(objective, pixels, step_size)

    def advance(self, state: Any, targets: Targets, weights: LossWeights, steps: tf.Tensor) -> Any:
        near = self._near(self.optimizer.current(state), targets, weights)
        objective = self._objective(near, weights)
        if is_renewed(targets.others):
            state = self.optimizer.evaluated_again(objective, state)
        return self.optimizer.advance(objective, state, steps)

    def advance_rows(
        self, states: Any, targets: Targets, weights: LossWeights, steps: tf.Tensor
    ) -> Any:
        batch = (
            AtOnce(self.encoder, self._terms, targets, weights)
            if self.at_once
            else RowByRow(self._objective, (targets, weights))
        )
        return self.optimizer.advance_rows(batch, states, steps)

    def measure(self, pixels: tf.Tensor, targets: Targets, weights: LossWeights) -> LossTerms:
        return self._terms(pixels, self._near(pixels, targets, weights), weights)

    def gradient(self, pixels: tf.Tensor, targets: Targets, weights: LossWeights) -> tf.Tensor:
        """Return the gradient of the total, in the form of the pixels."""
        return self._objective(self._near(pixels, targets, weights), weights)(pixels).gradient

    def _near(self, pixels: tf.Tensor, targets: Targets, weights: LossWeights) -> Targets:
        """Return the targets of these pixels, and of those that a few steps lead to."""
        others = renewed(self.encoder, pixels, targets.others, weights.style_layers)
        return targets._replace(others=others)

    def _terms(
        self,
        pixels: tf.Tensor,
        targets: Targets,
        weights: LossWeights,
        known: Mapping[str, tf.Tensor] | None = None,
    ) -> LossTerms:
        return loss_terms(
            *(self.encoder, self.normalization, pixels, targets, weights),
            tv_kind=self.tv_kind,
            rematerialize=self.rematerialize,
            known=known,
        )

    def _objective(
        self, targets: Targets, weights: LossWeights
    ) -> Callable[[tf.Tensor], Evaluation]:
        def evaluate(pixels: tf.Tensor) -> Evaluation:
            with tf.GradientTape() as tape:
                tape.watch(pixels)
                terms = self._terms(pixels, targets, weights)
            return Evaluation(terms.total, tape.gradient(terms.total, pixels), terms)

        return evaluate
