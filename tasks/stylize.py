"""The task of one row, which makes one picture, its loss curve and one record."""

import math
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from prefect import task

from nst_core.images.levels import from_levels
from nst_core.images.read import Picture
from nst_core.images.write import encode_png
from nst_core.storage.files import make_durable, write_atomic
from nst_core.storage.places import Place
from nst_core.storage.write_errors import writing_to
from nst_core.transfer.terms import loss_name
from nst_core.transfer.warnings import warnings_of_losses
from tasks.engine.row_report import RowReport, wait_for_device
from tasks.intake.examine import load_picture
from tasks.job import Job
from tasks.report.gallery.previews import keep_content, keep_thumbnail
from tasks.stopping import StoppedError, is_stopped
from tasks.store.curves import Point, curve_csv
from tasks.store.file_reference import FileReference
from tasks.store.managed import INTERMEDIATE_MARK, INTERRUPTED_MARK, keep_others, remove_ours
from tasks.store.output_folder import INTERRUPTED, OutputFolder
from tasks.store.output_names import format_of
from tasks.store.provenance import KEYWORD, ROW_KEYWORD, Provenance
from tasks.store.records import PictureRecord, StyleRecord
from tasks.store.style_cache import StyleCache
from tasks.style_targets import read_or_compute

if TYPE_CHECKING:
    from nst_core.transfer.statistics import StyleTargets
    from nst_core.transfer.stylize import Iterate, Outcome


LARGEST_LOSS = float(np.finfo(np.float32).max)
LONGEST_WARNING = 2000
"""The most characters of a warning; records allow no more."""


@task(name="stylize", task_run_name="{job.output}")
def stylize_row(
    job: Job,
    style: StyleRecord,
    output: OutputFolder,
    cache: StyleCache,
    devices: str,
    save_every: int | None = None,
) -> PictureRecord:
    """Stylize a job's content with its style's targets, into the output folder.

    Args:
        job: the job of the row.
        style: the targets, as they were when the row was submitted.
        output: the batch's output folder.
        cache: where targets are cached.
        devices: those that may be used, as the user asked for them.
        save_every: save the current picture after every so many steps of an octave.

    Raises:
        StoppedError: the batch was stopped; the best picture so far is saved.
    """
    from nst_core.devices import on_asked_devices

    report = RowReport(job)
    with report.running():
        targets = read_or_compute(report, style, cache, output, devices)
        with writing_to({"the output folder": output.root}):
            record = on_asked_devices(
                devices,
                lambda device: _stylize(job, targets, output, device, save_every, report),
                on_wait=lambda holder: wait_for_device(report, holder, output),
            )
    report.ended(
        "done", f"{record.steps} steps, stop reason {record.stop_reason}", record.total_loss
    )
    return record


def _stylize(
    job: Job,
    targets: "StyleTargets",
    output: OutputFolder,
    device: str,
    save_every: int | None,
    report: RowReport,
) -> PictureRecord:
    started = time.perf_counter()
    content = _load(job, job.content, job.content_sha256)
    outcome, curve = _optimize(job, content, targets, output, save_every, report)
    seconds = time.perf_counter() - started
    return _keep(job, content, outcome, curve, output, device=device, seconds=seconds)


def _optimize(
    job: Job,
    content: Picture,
    targets: "StyleTargets",
    output: OutputFolder,
    save_every: int | None,
    report: RowReport,
) -> tuple["Outcome", list[Point]]:
    """Return the best picture, and the loss at each step on the way to it.

    Raises:
        StoppedError: the batch was stopped.
    """
    from nst_core.transfer.stylize import finish, iterates

    curve: list[Point] = []
    _forget_intermediates(job, output)
    steps = iterates(
        job.encoder.load(),
        content.rgb,
        targets,
        job.settings,
        seed=job.seed,
        style=_style_to_start_from(job),
    )

    def follow(iterate: "Iterate") -> None:
        curve.append(_point(iterate))
        report.step(iterate)
        if is_stopped(output):
            raise _given_up(job, iterate, output)
        if save_every and _is_due(iterate, save_every):
            path = output.intermediate(job.output, iterate.step)
            text = {**INTERMEDIATE_MARK, ROW_KEYWORD: job.key}
            write_atomic(path, encode_png(iterate.pixels, text=text))

    return finish(steps, follow), curve


def _keep(
    job: Job,
    content: Picture,
    outcome: "Outcome",
    curve: list[Point],
    output: OutputFolder,
    *,
    device: str,
    seconds: float,
) -> PictureRecord:
    """Write the picture, its curve and the page's previews of it; return the picture's record."""
    from nst_core.devices import peak_memory_mb

    facts = _facts(job, outcome)
    pixels = from_levels(outcome.pixels)
    alpha = content.alpha if job.settings.keep_alpha else None
    text = {KEYWORD: Provenance(**facts, **_sources(job)).to_text()}
    picture = format_of(job.output).encode(pixels, alpha, text)
    curve_file = FileReference.write(output.curve(job.output), curve_csv(curve))
    file = FileReference.write(output.picture(job.output), picture)
    keep_content(output, job.content_sha256, content.rgb)
    keep_thumbnail(output, job.content_sha256, content.rgb)
    keep_thumbnail(output, file.sha256, pixels)
    # No record may survive a power failure that its files do not survive.
    make_durable(file.path, curve_file.path)
    warnings = (*job.warnings, *warnings_of_losses(outcome))
    return PictureRecord(
        key=job.key,
        file=file,
        curve=curve_file.path,
        curve_file=curve_file,
        width=outcome.pixels.shape[1],
        height=outcome.pixels.shape[0],
        seconds=seconds,
        device=device,
        peak_memory_mb=round(peak_memory_mb(device), 1),
        warnings=tuple(warning[:LONGEST_WARNING] for warning in warnings),
        **facts,
    )


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


def _given_up(job: Job, iterate: "Iterate", output: OutputFolder) -> StoppedError:
    """Save the best picture so far, if there is one yet, and return an error that says so."""
    message = f"stopped after {iterate.step} of {iterate.steps} steps"
    if iterate.step == 0:
        return StoppedError(message)
    try:
        picture = output.interrupted(job.output)
        keep_others(picture, INTERRUPTED_MARK)
        encode = format_of(job.output).encode
        write_atomic(picture, encode(iterate.pixels, None, INTERRUPTED_MARK))
    except OSError as error:
        return StoppedError(f"{message}; its best picture so far cannot be saved: {error.strerror}")
    return StoppedError(
        f"{message}; its best picture so far is saved", f"{INTERRUPTED}/{job.output}"
    )


def _load(job: Job, path: Place, sha256: str) -> Picture:
    settings = job.settings
    return load_picture(
        path,
        sha256,
        size=settings.size,
        enlarge=settings.enlarge,
        max_pixels=job.max_pixels,
    )


def _style_to_start_from(job: Job) -> NDArray[np.float32] | None:
    return _load(job, job.style, job.style_sha256).rgb if job.settings.start == "style" else None


def _point(iterate: "Iterate") -> Point:
    losses = iterate.losses
    height, width = iterate.pixels.shape[:2]
    return Point(
        *(iterate.octave, width, height, iterate.step, iterate.evaluations),
        *(losses.total, losses.terms),
    )


def _facts(job: Job, outcome: "Outcome") -> dict[str, Any]:
    """Return how the picture was made, for both the table and the picture itself."""
    losses = outcome.losses
    return {
        "settings": job.settings.model_dump(),
        "seed": job.seed,
        "encoder_fingerprint": job.encoder.fingerprint,
        "total_loss": _recordable(losses.total),
        **{loss_name(term): _recordable(loss) for term, loss in losses.terms.items()},
        "style_layers": {layer: _recordable(loss) for layer, loss in losses.style_layers.items()},
        "start_loss": _recordable(outcome.start_losses.total),
        "steps": outcome.steps,
        "evaluations": outcome.evaluations,
        "stop_reason": outcome.stop_reason,
        "recoveries": outcome.recoveries,
    }


def _recordable(loss: float) -> float:
    """Return a loss that JSON can hold; a warning of the row says if it was not finite."""
    return loss if math.isfinite(loss) else LARGEST_LOSS


def _sources(job: Job) -> dict[str, str]:
    return {
        "key": job.key,
        "content": job.content_name,
        "content_sha256": job.content_sha256,
        "style": job.style_name,
        "style_sha256": job.style_sha256,
    }
