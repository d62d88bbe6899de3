"""The optimization at one octave."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from nst_core.images.pixels import Pixels
from nst_core.images.resize import resize
from nst_core.networks.encoder import Encoder
from nst_core.networks.forward import current_device
from nst_core.quiet_tensorflow import tf
from nst_core.transfer.losses.loss_weights import LossWeights, loss_weights
from nst_core.transfer.losses.losses import LossTerms, Targets
from nst_core.transfer.losses.self_similarity import with_channel
from nst_core.transfer.losses.terms import LOSS_TERMS, Losses, term_weights
from nst_core.transfer.octaves import REPORT_EVERY
from nst_core.transfer.optimization.checkpoint import Checkpoint, Totals
from nst_core.transfer.optimization.compiled import Compiled, compile_for
from nst_core.transfer.optimization.gradient_scales import with_scales
from nst_core.transfer.optimization.restoring import restored
from nst_core.transfer.optimization.together import Together, reason_alone
from nst_core.transfer.optimizers.descent import CONVERGED, DIVERGED, RUNNING
from nst_core.transfer.optimizers.extended_adam import carried
from nst_core.transfer.optimizers.learning_rate import has_schedule, step_size
from nst_core.transfer.optimizers.optimizers import optimizer_of
from nst_core.transfer.pictures.frames import Followed
from nst_core.transfer.settings import Settings
from nst_core.transfer.styles.guidance import Guidance
from nst_core.transfer.styles.statistics import content_targets, octave_targets
from nst_core.transfer.styles.targets import StyleTargets
from nst_core.transfer.tiles.grid import Grid, Tiles
from nst_core.transfer.tiles.losses import TiledTargets, tiled_content


class NotFiniteError(ArithmeticError):
    """The starting picture's loss is not finite, so there is no better point to go back to."""


class Progress(NamedTuple):
    """The progress of an octave.

    Attributes:
        state: that of the optimizer.
        recovered: counts up to the octave's recovery; zeros if there was none.
        history: the lowest loss so far at each report since then.
    """

    state: Any
    recovered: Totals
    history: tuple[float, ...]


class Report(NamedTuple):
    """The state of an octave; `stop_reason` is empty as long as it is running."""

    steps: int
    evaluations: int
    recoveries: int
    losses: Losses
    pixels: Pixels
    stop_reason: str
    progress: Progress

    @property
    def totals(self) -> Totals:
        """The octave's counts so far."""
        return Totals(self.steps, self.evaluations, self.recoveries)

    def checkpoint(self, octave: int, before: Totals) -> Checkpoint:
        """Return a checkpoint, from which `OctaveTask.resume` continues.

        Args:
            octave: the index of this octave.
            before: counts of the octaves before it.
        """
        state, recovered, history = self.progress
        arrays = [np.asarray(tensor) for tensor in tf.nest.flatten(state)]
        return Checkpoint(octave, before, recovered, history, arrays)


@dataclass(frozen=True)
class OctaveTask:
    """The optimization at one octave."""

    compiled: Compiled
    targets: Targets | TiledTargets
    weights: LossWeights
    settings: Settings
    shape: tuple[int, int]
    together: Together | None = None

    @classmethod
    def prepare(
        cls,
        encoder: Encoder,
        content: Pixels,
        targets: StyleTargets,
        settings: Settings,
        octave: int,
        shape: tuple[int, int],
        *,
        guidance: Guidance | None = None,
        rematerialize: bool = False,
        tiles: Tiles | None = None,
        frame: Followed | None = None,
        together: Together | None = None,
    ) -> "OctaveTask":
        """Prepare the octave of this index and shape (height, width), with its targets.

        The arguments that save memory, and `together`, are those of `stylize.iterates`.

        Raises:
            ValueError: there are tiles, and regions or a temporal loss.
        """
        grid = Grid.of(encoder.topology, settings, tiles) if tiles else None
        pixels = content if content.shape[:2] == shape else resize(content, *shape)
        compiled = compile_for(
            encoder,
            optimizer_of(settings, tiles.pairs if tiles else None),
            *(settings.normalization, current_device()),
            tv_kind=settings.tv_kind,
            bfloat16=settings.precision == "bfloat16",
            rematerialize=rematerialize,
            grid=grid,
        )
        of_style = _of_style(targets, guidance, encoder, settings, octave, shape)
        of_content = _of_content(encoder, pixels, settings, grid)
        following = _following(frame, settings, shape)
        if grid and (guidance or following):
            raise ValueError("a picture with a mask or a frame before cannot be computed in tiles")
        compared = (TiledTargets if grid else Targets)(**of_content, **of_style, **following)
        weights = loss_weights(settings, is_frame=bool(following))
        if settings.normalize_gradients:
            weights = with_scales(compiled, pixels, compared, weights)
        on_gpu = "GPU" in current_device()
        is_alone = reason_alone(settings, on_gpu=on_gpu, rematerialize=rematerialize, tiles=tiles)
        with_others = None if is_alone else together
        return cls(compiled, compared, weights, settings, shape, with_others)

    def losses_of(self, pixels: Pixels) -> Losses:
        """Return the losses of any picture of this octave's shape."""
        return _on_host(self.compiled.measure(self._taken(pixels), self.targets, self.weights))

    def reports(self, start: Pixels, before: Report | None = None) -> Generator[Report, None, None]:
        """Yield the state at the start and after every few steps; the last has a stop reason.

        Args:
            start: of this octave's shape.
            before: the last report of the octave before, if there is one.
        """
        state = self._begin(start)
        if before is not None and self.settings.carry_state:
            state = carried(state, before.progress.state)
        if not np.isfinite(float(state.best.value)):
            weights = (f"{term} {value:g}" for term, value in term_weights(self.settings).items())
            raise NotFiniteError(
                "the loss of the starting picture is not finite; lower the weights or start from "
                f"another picture (weights: {', '.join(weights)})"
            )
        return self._reports(Progress(state, Totals(0, 0, 0), (float(state.best.value),)))

    def resume(self, checkpoint: Checkpoint) -> Generator[Report, None, None]:
        """Yield what `reports` yields from a checkpoint's report on, including that report.

        Raises:
            CheckpointError: the checkpoint belongs to another optimizer, shape or network.
        """
        terms = tuple(self.weights.terms)
        state = restored(checkpoint, self.compiled.optimizer, terms, self.settings, self.shape)
        return self._reports(Progress(state, checkpoint.recovered, checkpoint.history))

    def _reports(self, progress: Progress) -> Generator[Report, None, None]:
        report = self._report(progress)
        yield report
        while not report.stop_reason:
            report = self._report(self._advanced(report.progress))
            yield report

    def _advanced(self, progress: Progress) -> Progress:
        """Return the progress after a few more steps, or after a recovery."""
        state, recovered, history = progress
        left = self.settings.steps - recovered.steps - int(state.step)
        count = tf.constant(min(REPORT_EVERY, left))
        if has_schedule(self.settings):
            done = (recovered.steps + int(state.step)) / self.settings.steps
            state = state._replace(step_size=self._step_size(recovered.recoveries, done))
        state = self._stepped(state, count)
        if int(state.status) == DIVERGED and not recovered.recoveries:
            recovered = Totals(int(state.step), int(state.evaluations), 1)
            state = self._begin(state.best.point, recoveries=1)
            return Progress(state, recovered, (float(state.best.value),))
        return Progress(state, recovered, (*history, float(state.best.value)))

    def _stepped(self, state: Any, count: tf.Tensor) -> Any:
        arguments = (state, self.targets, self.weights, count)
        if self.together is None:
            return self.compiled.advance(*arguments)
        return self.together.advance(self.compiled, *arguments)

    def _step_size(self, recoveries: int, done: float) -> tf.Tensor:
        return tf.constant(step_size(self.settings, recoveries, done), tf.float32)

    def _begin(self, start: Pixels, recoveries: int = 0) -> Any:
        size = self._step_size(recoveries, 0)
        return self.compiled.start(self._taken(start), self.targets, self.weights, size)

    def _taken(self, pixels: Any) -> Any:
        """Return a picture in the form that the compiled functions take."""
        return pixels if isinstance(self.targets, TiledTargets) else tf.constant(pixels)

    def _stop_reason(self, status: int, steps: int, history: tuple[float, ...]) -> str:
        if status != RUNNING:
            return {CONVERGED: "converged", DIVERGED: "diverged"}[status]
        if steps >= self.settings.steps:
            return "steps"
        share = self.settings.tolerance
        settled = len(history) > 2 and history[-3] - history[-1] < share * history[-3]
        return "plateau" if settled else ""

    def _report(self, progress: Progress) -> Report:
        state, recovered, history = progress
        steps = recovered.steps + int(state.step)
        return Report(
            steps=steps,
            evaluations=recovered.evaluations + int(state.evaluations),
            recoveries=recovered.recoveries,
            losses=_on_host(state.best.terms),
            pixels=np.asarray(state.best.point),
            stop_reason=self._stop_reason(int(state.status), steps, history),
            progress=progress,
        )


def _of_style(
    targets: StyleTargets,
    guidance: Guidance | None,
    encoder: Encoder,
    settings: Settings,
    octave: int,
    shape: tuple[int, int],
) -> dict[str, Any]:
    """Return the targets of the style loss, by the names of the fields of `Targets`."""
    if guidance is None:
        return octave_targets(targets, octave, settings.style_layer_weights)
    regions = guidance.regions(encoder.topology, settings, octave, shape)
    return {"grams": {}, "centers": {}, "regions": regions}


def _of_content(
    encoder: Encoder, content: Pixels, settings: Settings, grid: Grid | None
) -> dict[str, Any]:
    """Return the targets of the content loss, by the names of the fields that hold them."""
    if grid:
        return tiled_content(encoder, content, settings, grid)
    features = content_targets(encoder, content, tuple(settings.content_layer_weights))
    if settings.content_measure == "features":
        return {"content": features}
    similarities = {layer: with_channel(of_layer) for layer, of_layer in features.items()}
    return {"content": {}, "similarities": similarities}


def _following(
    frame: Followed | None, settings: Settings, shape: tuple[int, int]
) -> dict[str, Any]:
    """Return the targets of the temporal loss, as `_of_content` does; empty if it has no weight."""
    if frame is None or not settings.temporal_weight:
        return {}
    picture, mask = frame.at(*shape)
    return {"frame": {"picture": tf.constant(picture), "mask": tf.constant(mask[..., np.newaxis])}}


def _on_host(losses: LossTerms) -> Losses:
    return Losses(
        total=float(losses.total),
        terms={term: float(losses.terms[term]) for term in LOSS_TERMS if term in losses.terms},
        style_layers={layer: float(loss) for layer, loss in losses.style_layers.items()},
    )
