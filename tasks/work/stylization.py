"""The work of one row: from its pictures and its style's targets to its finished files."""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nst_core.images.read import Picture
from nst_core.images.write import Contents, format_named
from nst_core.storage.files import write_atomic
from nst_core.transfer.optimization.checkpoint import CheckpointError
from nst_core.transfer.pictures.before_and_after import needs_style
from nst_core.transfer.pictures.frames import FrameBefore
from nst_core.transfer.styles.style_shares import shares_of_styles
from nst_core.transfer.styles.styles import Blend
from tasks.engine.progress import Progress, Resumed, Stepped
from tasks.job import Job
from tasks.stopping import StoppedError, is_stopped
from tasks.store.checkpoints import Checkpoints, RowState
from tasks.store.curves import Point
from tasks.store.managed import INTERMEDIATE_MARK, INTERRUPTED_MARK, keep_others, remove_ours
from tasks.store.output_folder import INTERRUPTED, OutputFolder
from tasks.store.output_names import format_of
from tasks.store.provenance import ROW_KEYWORD
from tasks.store.records import PictureRecord
from tasks.store.style_cache import StyleCache
from tasks.work.frames import frame_before
from tasks.work.isolation import isolated, must_be_isolated
from tasks.work.ladder import Rung, within_memory
from tasks.work.masks import content_mask
from tasks.work.results import write_results
from tasks.work.row_options import RowOptions
from tasks.work.row_pictures import load_content, load_of_row
from tasks.work.style_pictures import styles_of
from tasks.work.targets import computed_targets

if TYPE_CHECKING:
    from nst_core.transfer.styles.targets import StyleTargets
    from nst_core.transfer.stylize import Iterate, Outcome

logger = logging.getLogger("nst_batch.rows")


OnProgress = Callable[[Progress], object]


@dataclass(frozen=True)
class _Row:
    """A row and all that it needs, plain enough for another process; see `stylize_job`."""

    job: Job
    targets: "StyleTargets"
    output: OutputFolder
    cache: StyleCache
    device: str
    options: RowOptions


def stylize_job(
    job: Job,
    targets: "StyleTargets",
    output: OutputFolder,
    cache: StyleCache,
    device: str,
    options: RowOptions,
    on_progress: OnProgress,
) -> PictureRecord:
    """Stylize a job's content with its styles' targets; return the record of the result.

    Args:
        job: the job of the row.
        targets: those of its styles.
        output: the batch's output folder.
        cache: where what the scores need of styles is kept.
        device: the device that this runs on.
        options: how the row runs.
        on_progress: called in this process, wherever the row runs.

    Raises:
        StoppedError: the batch was stopped, or the deadline has passed; the best picture so far and
            a checkpoint are saved.
        NotEnoughMemoryError: the row needs more memory than there is.
        ProcessEndedError: the process of the device ended, and no signal ended it.
    """
    row = _Row(job, targets, output, cache, device, options)
    isolate = options.isolate or must_be_isolated(device, job.settings)

    def on_rung(rung: Rung) -> PictureRecord:
        if not isolate:
            return _on_rung(row, rung, on_progress)
        return isolated(device, job.settings, output, partial(_on_rung, row, rung), on_progress)

    return within_memory(job, device, on_rung, strict=options.strict, isolated=isolate)


def _on_rung(row: _Row, rung: Rung, on_progress: OnProgress) -> PictureRecord:
    """Run a row on a rung of its ladder, in this process."""
    started, job = time.perf_counter(), row.job
    content = load_content(job, rung.settings(job).size)
    run, outcome = _optimized(row, rung, content, on_progress)
    seconds = run.seconds_before + time.perf_counter() - started
    return write_results(
        *(job, content, outcome, run.curve, row.output, row.cache),
        device=row.device,
        seconds=seconds,
        degraded=rung.degraded(job),
    )


def _optimized(
    row: _Row, rung: Rung, content: Picture, on_progress: OnProgress
) -> "tuple[_RowRun, Outcome]":
    """Optimize a row from its checkpoint, or from its beginning; return it with its outcome."""
    job, options = row.job, row.options
    targets = _targets_of_rung(job, rung, row.targets)
    before = frame_before(job, row.output, rung.settings(job).size)
    compared_with = targets.to_bytes() + before.sha256.encode()
    checkpoints = Checkpoints.of_row(
        *(row.output.checkpoint(job.key), compared_with, options.checkpoint_seconds),
        left_out=rung.left_out,
    )
    earlier = checkpoints.read() if options.resume else None
    try:
        run = _RowRun(row, rung, checkpoints, earlier, on_progress)
        return run, run.optimize(content, targets, before.frame)
    except CheckpointError as error:
        logger.warning("%s: its checkpoint is not used: %s", job.output, error)
    run = _RowRun(row, rung, checkpoints, None, on_progress)
    return run, run.optimize(content, targets, before.frame)


def _targets_of_rung(job: Job, rung: Rung, targets: "StyleTargets") -> "StyleTargets":
    """Return the styles' targets for the octaves of a rung, computed if there are none yet."""
    from nst_core.transfer.styles.blending import blended_targets

    settings = job.settings
    if rung.left_out < settings.octaves:
        return targets
    size = max(1, round(settings.size / 2**rung.left_out))
    smaller = settings.model_copy(update={"size": size, "octaves": 1})
    found = [computed_targets(job, style, smaller) for style in job.styles]
    # This size is coarser than the coarsest octave, whose styles it has.
    shares = shares_of_styles(settings, len(found))
    coarsest = blended_targets(found, shares._replace(octaves=shares.octaves[:1]))
    # The content gets the same colors at each size.
    return coarsest.with_colors_of(targets)


class _RowRun:
    """One run of a row's optimization, which may continue an earlier one."""

    def __init__(
        self,
        row: _Row,
        rung: Rung,
        checkpoints: Checkpoints,
        earlier: RowState | None,
        on_progress: OnProgress,
    ) -> None:
        self._job, self._output, self._on_progress = row.job, row.output, on_progress
        self._options, self._limits = row.options, row.options.limits
        self._rung, self._checkpoints, self._earlier = rung, checkpoints, earlier
        self._started, self._space = time.perf_counter(), b""
        self.curve: list[Point] = [*earlier.curve] if earlier else []
        self.seconds_before = earlier.seconds if earlier else 0.0

    def optimize(
        self, content: Picture, targets: "StyleTargets", before: FrameBefore | None
    ) -> "Outcome":
        """Return the best picture.

        Raises:
            StoppedError: the batch was stopped, or the deadline has passed.
            CheckpointError: the earlier run cannot be continued.
        """
        from nst_core.transfer.stylize import finish, iterates

        job, self._space = self._job, content.space
        if self._earlier:
            self._on_progress(Resumed(self.curve[-1].step))
        else:
            _forget_intermediates(job, self._output)
        steps = iterates(
            job.encoder.load(),
            content.rgb,
            targets,
            self._rung.settings(job),
            seed=job.seed,
            style=_styles_if_needed(job),
            init=_init_if_named(job),
            content_mask=content_mask(job, content),
            before=before,
            checkpoint=self._earlier.checkpoint if self._earlier else None,
            is_enough=self._has_used_its_budget,
            rematerialize=self._rung.rematerialize,
            tiles=self._rung.tiles,
        )
        return finish(steps, self._follow)

    def _follow(self, iterate: "Iterate") -> None:
        self.curve.append(_point(iterate))
        self._on_progress(Stepped.to(iterate))
        if is_stopped(self._output):
            raise self._given_up(iterate, "stopped")
        if self._limits.deadline.is_over:
            raise self._given_up(iterate, "the time was up")
        if self._checkpoints.is_due(self._seconds()):
            self._checkpoints.write(self._state(iterate))
        if self._options.intermediate_steps and _is_due(iterate, self._options.intermediate_steps):
            path = self._output.intermediate(self._job.output, iterate.step)
            text = {**INTERMEDIATE_MARK, ROW_KEYWORD: self._job.key}
            contents = Contents(iterate.pixels, text=text, profile=self._space)
            write_atomic(path, format_named("png").encode(contents))

    def _state(self, iterate: "Iterate") -> RowState:
        return RowState(iterate.checkpoint(), self.curve, self._seconds())

    def _seconds(self) -> float:
        return self.seconds_before + time.perf_counter() - self._started

    def _has_used_its_budget(self) -> bool:
        """Return whether the row must end with its best picture; not before it took any steps."""
        return self.curve[-1].step > 0 and self._seconds() >= self._limits.row_seconds

    def _given_up(self, iterate: "Iterate", why: str) -> StoppedError:
        """Save a checkpoint and the best picture so far; return an error that says so."""
        message = f"{why} after {iterate.step} of {iterate.steps} steps"
        if iterate.step == 0:
            return StoppedError(message)
        is_worth_it = self._checkpoints.is_worth_it(self._seconds())
        if is_worth_it and self._checkpoints.write(self._state(iterate)):
            message = f"{message}; the next run continues from there"
        return _with_picture(message, self._job, iterate, self._output, self._space)


def _forget_intermediates(job: Job, output: OutputFolder) -> None:
    """Remove the intermediates of an earlier picture."""
    # A storage may refuse to list its files; then none of them is shown either.
    with suppress(OSError):
        for picture in output.intermediates(job.output):
            remove_ours(picture, INTERMEDIATE_MARK)


def _is_due(iterate: "Iterate", save_every: int) -> bool:
    """Return whether to save the picture; an octave begins with one that is saved already."""
    return iterate.step_of_octave % save_every == 0 and (
        iterate.step_of_octave > 0 or iterate.octave == 1
    )


def _with_picture(
    message: str, job: Job, iterate: "Iterate", output: OutputFolder, space: bytes
) -> StoppedError:
    """Save the best picture so far, for people; return an error with the message that says so."""
    try:
        picture = output.interrupted(job.output)
        keep_others(picture, INTERRUPTED_MARK)
        contents = Contents(
            iterate.pixels,
            text=INTERRUPTED_MARK,
            quality=job.settings.quality,
            profile=space,
        )
        write_atomic(picture, format_of(job.output).encode(contents))
    except OSError as error:
        return StoppedError(f"{message}; its best picture so far cannot be saved: {error.strerror}")
    return StoppedError(
        f"{message}; its best picture so far is saved", f"{INTERRUPTED}/{job.output}"
    )


def _styles_if_needed(job: Job) -> Blend | None:
    return styles_of(job) if needs_style(job.settings) else None


def _init_if_named(job: Job) -> NDArray[np.float32] | None:
    return load_of_row(job, job.init, job.init_sha256, job.settings.size).rgb if job.init else None


def _point(iterate: "Iterate") -> Point:
    losses = iterate.losses
    height, width = iterate.pixels.shape[:2]
    return Point(
        *(iterate.octave, width, height, iterate.step, iterate.evaluations),
        *(losses.total, losses.terms),
    )
