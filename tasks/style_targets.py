"""The targets of each distinct style, computed once and cached for all rows, runs and workers."""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from prefect import task

from nst_core.storage.locks import LockError, flock
from nst_core.storage.places import Place, redacted
from nst_core.storage.write_errors import writing_to
from nst_core.transfer.octaves import style_sides
from tasks.engine.row_report import RowReport, wait_for_device
from tasks.intake.examine import load_picture
from tasks.job import Job
from tasks.stopping import StoppedError, is_stopped
from tasks.store.layout import style_files, style_locks, style_records
from tasks.store.records import FileReference, RecordError, StyleRecord, find_style, write_record

if TYPE_CHECKING:
    from nst_core.transfer.statistics import StyleTargets

logger = logging.getLogger("nst_batch.style_targets")

LOOK_EVERY = 0.1
"""Seconds of waiting for a lock between two checks whether the batch was stopped."""


@task(name="style-targets", task_run_name="style {job.style_name}")
def compute_style_targets(job: Job, folder: Place, output: Place, devices: str) -> StyleRecord:
    """Compute the Gram matrices of a job's style, and write them to a safetensors file.

    Args:
        job: the first row that needs them.
        folder: the folder of the file.
        output: the batch's output folder, by which the task learns that it must stop.
        devices: those that may be used, as the user asked for them.

    Raises:
        StoppedError: the batch was stopped while this waited for a device.
    """
    targets, seconds = _compute(RowReport(job), output, devices)
    with writing_to({"the cache": folder}):
        return _write(job, targets, folder, seconds)


def read_or_compute(
    report: RowReport, computed: StyleRecord, cache: Place, output: Place, devices: str
) -> "StyleTargets":
    """Return the targets of a row's style; if they are gone by now, compute and cache them again.

    They existed when the row was submitted, which may be hours ago. Since then, somebody may have
    removed them (`cache prune`), or another run may have computed them again, with other last bits
    on another device. Any valid targets will do.

    Call this without a device: it waits for one while it holds the style's lock, and a row that
    waited for that lock with a device in hand could wait forever.

    Args:
        report: the reporter of the row.
        computed: the targets as they were when the row was submitted.
        cache: where they are cached.
        output: the batch's output folder.
        devices: those that may be used, as the user asked for them.

    Raises:
        StoppedError: the batch was stopped while this waited.
        StorageError: the cache's storage does not say what it has.
    """
    job = report.job
    found = _read(job, computed, cache)
    if found:
        return found
    with _locked(job, cache, output):
        found = _read(job, computed, cache)
        if found:
            return found
        logger.warning(
            "style %s: its targets are not in the cache any more; computed again", job.style_name
        )
        targets, seconds = _compute(report, output, devices)
        _keep(job, targets, cache, seconds)
        return targets


def mark_used(record: StyleRecord) -> None:
    """Note that targets are in use, because `cache prune` goes by when they were last used."""
    if isinstance(record.file.path, Path):
        try:
            os.utime(record.file.path)
        except OSError as error:
            # The targets may just have been removed, or the cache may be somebody else's.
            logger.debug("%s: not marked as used: %s", record.file.path, error.strerror)


def _read(job: Job, computed: StyleRecord, cache: Place) -> "StyleTargets | None":
    """Return the targets that the row was submitted with, or else those that are cached now."""
    from nst_core.transfer.statistics import StyleTargets

    record: StyleRecord | None = computed
    for _ in range(2):
        try:
            return StyleTargets.from_bytes(record.file.read()) if record else None
        except RecordError as error:
            logger.debug("style %s: %s", job.style_name, error)
            record = find_style(style_records(cache), job.style_key)
    return None


@contextmanager
def _locked(job: Job, cache: Place, output: Place) -> Iterator[None]:
    """Hold the lock under which a style's targets are computed, so that others wait for them.

    A cache that cannot be written has no such lock, but nobody could store targets there either.
    """
    folder = style_locks(cache)
    descriptor = None
    with suppress(LockError, OSError):
        folder.mkdir(parents=True, exist_ok=True)
        while descriptor is None:
            descriptor = flock(folder / f"{job.style_key}.lock", LOOK_EVERY)
            if descriptor is None and is_stopped(output):
                raise StoppedError("stopped while it waited for its style's targets")
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _compute(report: RowReport, output: Place, devices: str) -> tuple["StyleTargets", float]:
    """Compute the targets; also return how many seconds that took."""
    from nst_core.devices import on_asked_devices
    from nst_core.transfer.statistics import StyleTargets, style_targets

    job, settings = report.job, report.job.settings

    def compute(_: str) -> tuple[StyleTargets, float]:
        started = time.perf_counter()
        style = load_picture(
            job.style,
            job.style_sha256,
            size=max(style_sides(settings)),
            enlarge=False,
            max_pixels=job.max_pixels,
        )
        targets = style_targets(job.encoder.load(), style.rgb, settings)
        return targets, time.perf_counter() - started

    return on_asked_devices(
        devices, compute, on_wait=lambda holder: wait_for_device(report, holder, output)
    )


def _write(job: Job, targets: "StyleTargets", folder: Place, seconds: float) -> StyleRecord:
    file = FileReference.write(folder / f"{job.style_key}.safetensors", targets.to_bytes())
    return StyleRecord(key=job.style_key, file=file, seconds=seconds)


def _keep(job: Job, targets: "StyleTargets", cache: Place, seconds: float) -> None:
    """Cache targets for later rows; this row has them already."""
    try:
        record = _write(job, targets, style_files(cache), seconds)
        write_record(style_records(cache) / job.style_key, record)
    except OSError as error:
        logger.warning(
            "style %s: its targets cannot be kept: %s: %s",
            *(job.style_name, redacted(error.filename or cache), error.strerror),
        )
