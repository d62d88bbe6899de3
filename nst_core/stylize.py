"""Two pictures and settings -> one outcome: coarse to fine, a generator of iterates on the way."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nst_core.colors import match_colors
from nst_core.losses import LossTerms, LossWeights, Targets, loss_terms, loss_weights
from nst_core.networks import load_encoder
from nst_core.networks.encoder import Encoder
from nst_core.octaves import octave_shapes
from nst_core.optimizers import CONVERGED, DIVERGED, RUNNING, Adam, Evaluation, Lbfgs
from nst_core.pictures import fit, resize
from nst_core.settings import DEFAULT_PRESET, PRESETS, Normalization, OptimizerName, Settings
from nst_core.statistics import StyleTargets, content_targets, style_targets

Pixels = NDArray[np.float32]
"""sRGB in [0, 1], (height, width, 3)."""

REPORT_EVERY = 10
"""Steps between two looks of the host at the device; the plateau is judged over two of them."""

FIRST_LBFGS_STEP = 0.05
SMALLER_STEP = 0.1

OPTIMIZERS = {"lbfgs": Lbfgs(), "adam": Adam()}


@dataclass(frozen=True)
class Losses:
    """The losses of one picture; `style_layers` are relative losses by layer name."""

    total: float
    content: float
    style: float
    tv: float
    style_layers: dict[str, float]


@dataclass(frozen=True)
class Iterate:
    """The best picture so far, as a preview or a progress bar wants it.

    Attributes:
        octave, octaves: which of the sizes worked through, from 1, and how many there are.
        step, steps: done and planned over all octaves; an octave that ends early skips some.
        work_done: share of all work, from 0 to 1, a step weighing as many pixels as it has.
        evaluations: of loss and gradient so far.
        losses: of `pixels`, at this octave's size.
        pixels: sRGB in [0, 1], float32, (height, width, 3) of this octave.
    """

    octave: int
    octaves: int
    step: int
    steps: int
    work_done: float
    evaluations: int
    losses: Losses
    pixels: Pixels


@dataclass(frozen=True)
class Outcome:
    """A finished picture and what is to be told of it.

    Attributes:
        pixels: sRGB, uint8, (height, width, 3): what is saved.
        losses: of exactly these 8-bit pixels.
        start_losses: of the picture that the optimization started from, at the result's size.
        steps, evaluations: taken over all octaves.
        stop_reason: why the last octave ended: `steps` (all done), `plateau`, `converged` (no
            step lowers the loss) or `diverged` (not finite a second time; the best is kept).
        recoveries: how often a loss that was not finite sent it back to the best iterate.
    """

    pixels: NDArray[np.uint8]
    losses: Losses
    start_losses: Losses
    steps: int
    evaluations: int
    stop_reason: str
    recoveries: int


class NotFiniteError(ArithmeticError):
    """The loss of the start itself is not finite, so that there is nothing to go back to."""


def stylize(
    content: Pixels,
    style: Pixels,
    settings: Settings = PRESETS[DEFAULT_PRESET],
    *,
    on_iterate: Callable[[Iterate], None] | None = None,
) -> Outcome:
    """Stylize one picture after another (Gatys et al. 2016).

    Args:
        content, style: sRGB in [0, 1], float32, (height, width, 3), at any size.
        settings: how; the result's longest side is `settings.size`, or the content's if smaller
            (unless `settings.enlarge`).
        on_iterate: called with the best picture so far every `REPORT_EVERY` steps.

    Raises:
        ValueError: an unknown layer, or a picture too small for the deepest layer.
        NotFiniteError: the start has no finite loss.
    """
    encoder = load_encoder(settings.encoder)
    targets = style_targets(encoder, style, settings)
    steps = iterates(content, targets, settings, seed=settings.seed or 0, style=style)
    return finish(steps, on_iterate)


def finish(
    steps: Generator[Iterate, None, Outcome],
    on_iterate: Callable[[Iterate], None] | None = None,
) -> Outcome:
    """Run a generator of iterates to its outcome."""
    while True:
        try:
            iterate = next(steps)
        except StopIteration as stop:
            outcome: Outcome = stop.value
            return outcome
        if on_iterate is not None:
            on_iterate(iterate)


def iterates(
    content: Pixels,
    targets: StyleTargets,
    settings: Settings,
    *,
    seed: int,
    style: Pixels | None = None,
) -> Generator[Iterate, None, Outcome]:
    """The iterates of one stylization, every `REPORT_EVERY` steps; the outcome is its return value.

    Args:
        content: sRGB in [0, 1], float32, (height, width, 3), at any size.
        targets: of the style, by `style_targets` with the same encoder and settings.
        settings: as of `stylize`.
        seed: of a noise start.
        style: pixels like the content's, needed where the settings start from the style.

    Raises:
        ValueError, NotFiniteError: as `stylize`.
    """
    encoder = load_encoder(settings.encoder)
    tall, wide = content.shape[:2]
    height, width = fit(tall, wide, settings.size, enlarge=settings.enlarge)
    _check_large_enough(encoder, settings, height, width)
    if settings.match_colors:
        content = match_colors(content, targets.colors)
    shapes = octave_shapes(height, width, settings.octaves)
    start = _start(content, style, settings, height, width, seed)
    pixels, totals, ending = start, _Totals(0, 0, 0), "steps"
    for number, (index, shape) in enumerate(shapes.items(), start=1):
        task = _OctaveTask.prepare(encoder, content, targets, settings, index, shape)
        for report in task.reports(resize(pixels, *shape)):
            yield Iterate(
                octave=number,
                octaves=len(shapes),
                step=(number - 1) * settings.steps + report.steps,
                steps=len(shapes) * settings.steps,
                work_done=_work_done(shapes, index, report.steps / settings.steps),
                evaluations=totals.evaluations + report.evaluations,
                losses=report.losses,
                pixels=report.pixels,
            )
        pixels, ending = report.pixels, report.ending
        totals = totals.plus(report)
    saved = np.round(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    return Outcome(
        pixels=saved,
        losses=task.losses_of(saved.astype(np.float32) / np.float32(255)),
        start_losses=task.losses_of(start),
        steps=totals.steps,
        evaluations=totals.evaluations,
        stop_reason=ending,
        recoveries=totals.recoveries,
    )


def _work_done(shapes: dict[int, tuple[int, int]], octave: int, share: float) -> float:
    areas = {index: height * width for index, (height, width) in shapes.items()}
    before = sum(area for index, area in areas.items() if index < octave)
    return (before + share * areas[octave]) / sum(areas.values())


def _check_large_enough(encoder: Encoder, settings: Settings, height: int, width: int) -> None:
    smallest = encoder.smallest_side(
        {*settings.content_layer_weights, *settings.style_layer_weights}
    )
    if min(height, width) < smallest:
        raise ValueError(
            f"the picture is {width} x {height} pixels when worked on; the layers chosen need at "
            f"least {smallest} each way: raise size, set enlarge, or choose shallower layers"
        )


def _start(
    content: Pixels, style: Pixels | None, settings: Settings, height: int, width: int, seed: int
) -> Pixels:
    """The picture to start from, at the result's size."""
    if settings.start == "content":
        return resize(content, height, width)
    if settings.start == "style":
        if style is None:
            raise ValueError("start is 'style', but no style picture was given")
        return _cover(style, height, width)
    noise = np.random.default_rng(seed).uniform(0, 1, (height, width, 3))
    return noise.astype(np.float32)


def _cover(picture: Pixels, height: int, width: int) -> Pixels:
    """The middle of a picture, scaled so that it fills the shape without being stretched."""
    scale = max(height / picture.shape[0], width / picture.shape[1])
    tall = max(height, round(picture.shape[0] * scale))
    wide = max(width, round(picture.shape[1] * scale))
    top, left = (tall - height) // 2, (wide - width) // 2
    return resize(picture, tall, wide)[top : top + height, left : left + width]


class _Totals(NamedTuple):
    steps: int
    evaluations: int
    recoveries: int

    def plus(self, report: "_Report") -> "_Totals":
        return _Totals(
            self.steps + report.steps,
            self.evaluations + report.evaluations,
            self.recoveries + report.recoveries,
        )


class _Report(NamedTuple):
    """Where an octave is; `ending` is empty as long as it goes on."""

    steps: int
    evaluations: int
    recoveries: int
    losses: Losses
    pixels: Pixels
    ending: str


@dataclass(frozen=True)
class _OctaveTask:
    """The optimization at one octave."""

    compiled: "_Compiled"
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
    ) -> "_OctaveTask":
        grams, centers = (
            {layer: tf.constant(octaves[octave][layer]) for layer in settings.style_layer_weights}
            for octaves in (targets.grams, targets.centers)
        )
        layers = tuple(settings.content_layer_weights)
        seen = content_targets(encoder, resize(content, *shape), layers)
        return cls(
            compiled=_compile(encoder, settings.optimizer, settings.normalization),
            targets=Targets(content=seen, grams=grams, centers=centers),
            weights=loss_weights(settings),
            settings=settings,
        )

    def losses_of(self, pixels: Pixels) -> Losses:
        return _on_host(self.compiled.measure(tf.constant(pixels), self.targets, self.weights))

    def reports(self, start: Pixels) -> Generator[_Report, None, None]:
        """The state of things at the start and after every few steps; the last has an ending."""
        step_size = (
            FIRST_LBFGS_STEP if self.settings.optimizer == "lbfgs" else self.settings.learning_rate
        )
        state = self._begin(start, step_size)
        if not np.isfinite(state.best.value.numpy()):
            raise NotFiniteError(
                "the loss of the start is not finite: lower the weights or start from another "
                f"picture (content {self.settings.content_weight:g}, style "
                f"{self.settings.style_weight:g}, tv {self.settings.tv_weight:g})"
            )
        before = _Totals(0, 0, 0)
        history = [float(state.best.value)]
        yield self._report(state, before, "")
        ending = ""
        while not ending:
            left = self.settings.steps - before.steps - int(state.step)
            count = tf.constant(min(REPORT_EVERY, left))
            state = self.compiled.advance(state, self.targets, self.weights, count)
            history.append(float(state.best.value))
            if int(state.status) == DIVERGED and not before.recoveries:
                before = _Totals(int(state.step), int(state.evaluations), 1)
                state = self._begin(state.best.point, step_size * SMALLER_STEP)
                history = [float(state.best.value)]
            steps = before.steps + int(state.step)
            ending = self._ending(int(state.status), steps, history)
            yield self._report(state, before, ending)

    def _begin(self, start: Pixels, step_size: float) -> Any:
        size = tf.constant(step_size, tf.float32)
        return self.compiled.start(tf.constant(start), self.targets, self.weights, size)

    def _ending(self, status: int, steps: int, history: list[float]) -> str:
        if status != RUNNING:
            return {CONVERGED: "converged", DIVERGED: "diverged"}[status]
        if steps >= self.settings.steps:
            return "steps"
        settled = len(history) > 2 and history[-3] - history[-1] < (
            self.settings.tolerance * history[-3]
        )
        return "plateau" if settled else ""

    def _report(self, state: Any, before: "_Totals", ending: str) -> "_Report":
        return _Report(
            steps=before.steps + int(state.step),
            evaluations=before.evaluations + int(state.evaluations),
            recoveries=before.recoveries,
            losses=_on_host(state.best.terms),
            pixels=state.best.point.numpy(),
            ending=ending,
        )


def _on_host(terms: LossTerms) -> Losses:
    return Losses(
        total=float(terms.total),
        content=float(terms.content),
        style=float(terms.style),
        tv=float(terms.tv),
        style_layers={layer: float(loss) for layer, loss in terms.style_layers.items()},
    )


def _without_size(tensor: tf.Tensor) -> tf.TensorSpec:
    """(..., height, width, channels) -> (..., any, any, channels); lower ranks have no size."""
    shape = tensor.shape.as_list()
    if len(shape) >= 3:
        shape[-3:-1] = [None, None]
    return tf.TensorSpec(shape, tensor.dtype)


@dataclass(frozen=True)
class _AnySize:
    """A function compiled for pictures of unknown height and width from the start.

    Left to itself, TensorFlow compiles once for the first shape and again for all others, which
    takes as much time and memory again.
    """

    traced: Any

    @classmethod
    def of(cls, function: Callable[..., Any]) -> "_AnySize":
        return cls(tf.function(function))

    def __call__(self, *arguments: Any) -> Any:
        specifications = tf.nest.map_structure(_without_size, arguments)
        return self.traced.get_concrete_function(*specifications)(*arguments)


@dataclass(frozen=True)
class _Compiled:
    """Functions of tensors alone: one trace serves every row, whatever its shape and weights."""

    start: _AnySize
    advance: _AnySize
    measure: _AnySize


@cache
def _compile(
    encoder: Encoder, optimizer_name: OptimizerName, normalization: Normalization
) -> _Compiled:
    optimizer: Any = OPTIMIZERS[optimizer_name]

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

    return _Compiled(_AnySize.of(start), _AnySize.of(advance), _AnySize.of(measured))
