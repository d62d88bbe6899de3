"""One row -> one picture, its loss curve and one record."""

import json
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from prefect import task

from nst_core.files import write_whole
from nst_core.pictures import Picture, encode_png
from nst_core.places import Place, name_of
from tasks.curves import Point, curve_csv
from tasks.jobs import Job, load_picture
from tasks.layout import curve_path, picture_path
from tasks.progress import RowProgress, tell
from tasks.records import FileReference, PictureRecord, StyleRecord
from tasks.stopping import check_not_stopped

if TYPE_CHECKING:
    from nst_core.stylize import Iterate, Outcome

PROVENANCE = "nst-batch"
"""The keyword of the PNG text chunk that says how a picture was made."""


@task(name="stylize", task_run_name="{job.output}")
def stylize_row(job: Job, style: StyleRecord, output: Place, devices: str) -> PictureRecord:
    """Stylize a job's content with its style's targets, into the output folder."""
    from nst_core.devices import on_asked_devices

    tell(RowProgress(job.line, job.output, "started"))
    try:
        record = on_asked_devices(
            devices,
            lambda device: _stylize(job, style, output, device),
            on_wait=lambda: tell(RowProgress(job.line, job.output, "waiting")),
        )
    except Exception as error:
        tell(RowProgress(job.line, job.output, "failed", message=str(error)))
        raise
    tell(RowProgress(job.line, job.output, "done", share=1, loss=record.total_loss))
    return record


def _stylize(job: Job, style: StyleRecord, output: Place, device: str) -> PictureRecord:
    from nst_core.devices import peak_memory_mb
    from nst_core.statistics import StyleTargets
    from nst_core.stylize import finish, iterates

    curve: list[Point] = []
    started = time.perf_counter()
    content = _load(job, job.content, job.content_sha256)
    targets = StyleTargets.from_bytes(style.file.read())
    steps = iterates(
        job.encoder.load(),
        content.rgb,
        targets,
        job.settings,
        seed=job.seed,
        style=_style_to_start_from(job),
    )
    outcome = finish(steps, lambda iterate: _follow(job, iterate, curve, output))
    seconds = time.perf_counter() - started
    facts = _facts(job, outcome)
    picture = encode_png(
        outcome.pixels.astype(np.float32) / np.float32(255),
        content.alpha if job.settings.keep_alpha else None,
        text={PROVENANCE: json.dumps(facts | _sources(job))},
    )
    write_whole(curve_path(output, job.output), curve_csv(curve))
    return PictureRecord(
        key=job.key,
        file=FileReference.write(picture_path(output, job.output), picture),
        curve=curve_path(output, job.output),
        width=outcome.pixels.shape[1],
        height=outcome.pixels.shape[0],
        seconds=seconds,
        device=device,
        peak_memory_mb=round(peak_memory_mb(device), 1),
        **facts,
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


def _follow(job: Job, iterate: "Iterate", curve: list[Point], output: Place) -> None:
    check_not_stopped(output)
    losses = iterate.losses
    height, width = iterate.pixels.shape[:2]
    curve.append(
        Point(
            *(iterate.octave, width, height, iterate.step, iterate.evaluations),
            *(losses.total, losses.content, losses.style, losses.tv),
        )
    )
    tell(
        RowProgress(
            line=job.line,
            output=job.output,
            event="step",
            share=iterate.work_done,
            step=iterate.step,
            steps=iterate.steps,
            loss=losses.total,
        )
    )


def _facts(job: Job, outcome: "Outcome") -> dict[str, Any]:
    """What both the table and the picture itself tell of how it was made."""
    losses = outcome.losses
    return {
        "settings": job.settings.model_dump(),
        "seed": job.seed,
        "encoder_fingerprint": job.encoder.fingerprint,
        "total_loss": losses.total,
        "content_loss": losses.content,
        "style_loss": losses.style,
        "tv_loss": losses.tv,
        "style_layers": losses.style_layers,
        "start_loss": outcome.start_losses.total,
        "steps": outcome.steps,
        "evaluations": outcome.evaluations,
        "stop_reason": outcome.stop_reason,
        "recoveries": outcome.recoveries,
    }


def _sources(job: Job) -> dict[str, str]:
    return {
        "key": job.key,
        "content": name_of(job.content),
        "content_sha256": job.content_sha256,
        "style": job.style_name,
        "style_sha256": job.style_sha256,
    }
