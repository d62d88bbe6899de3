"""The optimization at one octave, and the compiled functions that all octaves and rows share."""

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nst_core.images.resize import resize
from nst_core.networks.encoder import Encoder
from nst_core.networks.forward import current_device
from nst_core.quiet_tensorflow import tf
from nst_core.transfer.adam import Adam
from nst_core.transfer.descent import CONVERGED, DIVERGED, RUNNING, Evaluation
from nst_core.transfer.lbfgs import Lbfgs
from nst_core.transfer.losses import LossTerms, LossWeights, Targets, loss_terms, loss_weights
from nst_core.transfer.octaves import REPORT_EVERY
from nst_core.transfer.settings import Normalization, Settings
from nst_core.transfer.statistics import StyleTargets, content_targets
from nst_core.transfer.terms import LOSS_TERMS, Losses, term_weights

Pixels = NDArray[np.float32]
"""sRGB in [0, 1], (height, width, 3)."""

FIRST_LBFGS_STEP = 0.05
SMALLER_STEP = 0.1
"""The most by which L-BFGS's first step changes a pixel, and its factor after a recovery."""

Optimizer = Lbfgs | Adam


def optimizer_of(settings: Settings) -> Optimizer:
    """Return the optimizer that these settings choose."""
    lower, upper = (0.0, 1.0) if settings.clip == "always" else (-math.inf, math.inf)
    if settings.optimizer == "lbfgs":
        return Lbfgs(lower, upper)
    return Adam(lower, upper, beta_2=settings.beta_2, best_of_every=settings.best_of_every)


class NotFiniteError(ArithmeticError):
    """The loss of the start is not finite, so the optimization cannot go back to a better point."""


class Totals(NamedTuple):
    """Counts over several octaves, or over both parts of an octave that recovered."""

    steps: int
    evaluations: int
    recoveries: int

    def plus(self, report: "Report") -> "Totals":
        """Return the sum of these counts and those of an octave's last report."""
        return Totals(
            self.steps + report.steps,
            self.evaluations + report.evaluations,
            self.recoveries + report.recoveries,
        )


class Report(NamedTuple):
    """The state of an octave; `stop_reason` is empty as long as it is running."""

    steps: int
    evaluations: int
    recoveries: int
    losses: Losses
    pixels: Pixels
    stop_reason: str


@dataclass(frozen=True)
class OctaveTask:
    """The optimization at one octave."""

    compiled: "Compiled"
    targets: Targets
    weights: LossWeights
    settings: Settings

    @classmethod
    def prepare(
        cls,
        encoder: Encoder,
        content: Pixels,
        targets: StyleTargets,
        settings: Settings,
        octave: int,
        shape: tuple[int, int],
    ) -> "OctaveTask":
        """Prepare the octave of this index and shape (height, width), with its targets."""
        grams, centers = (
            {layer: tf.constant(octaves[octave][layer]) for layer in settings.style_layer_weights}
            for octaves in (targets.grams, targets.centers)
        )
        layers = tuple(settings.content_layer_weights)
        seen = content_targets(encoder, resize(content, *shape), layers)
        return cls(
            compiled=compile_for(
                encoder, optimizer_of(settings), settings.normalization, current_device()
            ),
            targets=Targets(content=seen, grams=grams, centers=centers),
            weights=loss_weights(settings),
            settings=settings,
        )

    def losses_of(self, pixels: Pixels) -> Losses:
        """Return the losses of any picture of this octave's shape."""
        return _on_host(self.compiled.measure(tf.constant(pixels), self.targets, self.weights))

    def reports(self, start: Pixels) -> Generator[Report, None, None]:
        """Yield the state at the start and after every few steps; the last has a stop reason."""
        step_size = (
            FIRST_LBFGS_STEP if self.settings.optimizer == "lbfgs" else self.settings.learning_rate
        )
        state = self._begin(start, step_size)
        if not np.isfinite(state.best.value.numpy()):
            weights = (f"{term} {value:g}" for term, value in term_weights(self.settings).items())
            raise NotFiniteError(
                "the loss of the start is not finite; lower the weights or start from another "
                f"picture ({', '.join(weights)})"
            )
        before = Totals(0, 0, 0)
        history = [float(state.best.value)]
        yield self._report(state, before, "")
        stop_reason = ""
        while not stop_reason:
            left = self.settings.steps - before.steps - int(state.step)
            count = tf.constant(min(REPORT_EVERY, left))
            state = self.compiled.advance(state, self.targets, self.weights, count)
            history.append(float(state.best.value))
            if int(state.status) == DIVERGED and not before.recoveries:
                before = Totals(int(state.step), int(state.evaluations), 1)
                state = self._begin(state.best.point, step_size * SMALLER_STEP)
                history = [float(state.best.value)]
            steps = before.steps + int(state.step)
            stop_reason = self._stop_reason(int(state.status), steps, history)
            yield self._report(state, before, stop_reason)

    def _begin(self, start: Pixels, step_size: float) -> Any:
        size = tf.constant(step_size, tf.float32)
        return self.compiled.start(tf.constant(start), self.targets, self.weights, size)

    def _stop_reason(self, status: int, steps: int, history: list[float]) -> str:
        if status != RUNNING:
            return {CONVERGED: "converged", DIVERGED: "diverged"}[status]
        if steps >= self.settings.steps:
            return "steps"
        settled = len(history) > 2 and history[-3] - history[-1] < (
            self.settings.tolerance * history[-3]
        )
        return "plateau" if settled else ""

    def _report(self, state: Any, before: "Totals", stop_reason: str) -> "Report":
        return Report(
            steps=before.steps + int(state.step),
            evaluations=before.evaluations + int(state.evaluations),
            recoveries=before.recoveries,
            losses=_on_host(state.best.terms),
            pixels=state.best.point.numpy(),
            stop_reason=stop_reason,
        )


def _on_host(losses: LossTerms) -> Losses:
    return Losses(
        total=float(losses.total),
        terms={term: float(losses.terms[term]) for term in LOSS_TERMS},
        style_layers={layer: float(loss) for layer, loss in losses.style_layers.items()},
    )


def _without_size(tensor: tf.Tensor) -> tf.TensorSpec:
    """Turn (..., height, width, channels) into (..., any, any, channels); keep lower ranks."""
    shape = tensor.shape.as_list()
    if len(shape) >= 3:
        shape[-3:-1] = [None, None]
    return tf.TensorSpec(shape, tensor.dtype)


@dataclass(frozen=True)
class _AnySize:
    """A function that is compiled for pictures of unknown height and width from the start.

    By default, TensorFlow compiles once for the first shape and once more for all others, which
    takes twice as much time and memory.
    """

    traced: Any

    @classmethod
    def of(cls, function: Callable[..., Any]) -> "_AnySize":
        # Our graphs branch and loop with TensorFlow's own functions. Autograph would spend half of
        # the time on looking for Python statements and translating them.
        return cls(tf.function(function, autograph=False))

    def __call__(self, *arguments: Any) -> Any:
        specifications = tf.nest.map_structure(_without_size, arguments)
        return self.traced.get_concrete_function(*specifications)(*arguments)


@dataclass(frozen=True)
class Compiled:
    """Functions of tensors only: one trace serves every row, whatever its shape and weights."""

    start: _AnySize
    advance: _AnySize
    measure: _AnySize


@cache
def compile_for(
    encoder: Encoder,
    optimizer: Optimizer,
    normalization: Normalization,
    device: str,  # noqa: ARG001 - a graph contains weights, and each device has its own copy
) -> Compiled:
    """Return the functions for these arguments, which are compiled when they are first used."""

    def measured(pixels: tf.Tensor, targets: Targets, weights: LossWeights) -> LossTerms:
        return loss_terms(encoder, normalization, pixels, targets, weights)

    def objective(targets: Targets, weights: LossWeights) -> Callable[[tf.Tensor], Evaluation]:
        def evaluate(pixels: tf.Tensor) -> Evaluation:
            with tf.GradientTape() as tape:
                tape.watch(pixels)
                terms = measured(pixels, targets, weights)
            return Evaluation(terms.total, tape.gradient(terms.total, pixels), terms)

        return evaluate

    def start(
        pixels: tf.Tensor, targets: Targets, weights: LossWeights, step_size: tf.Tensor
    ) -> Any:
        return optimizer.start(objective(targets, weights), pixels, step_size)

    def advance(state: Any, targets: Targets, weights: LossWeights, steps: tf.Tensor) -> Any:
        return optimizer.advance(objective(targets, weights), state, steps)

    return Compiled(_AnySize.of(start), _AnySize.of(advance), _AnySize.of(measured))
