"""The work of one style: its targets, from the cache or from its picture."""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

from nst_core.storage.files import make_durable
from nst_core.storage.locks import LockError
from nst_core.storage.places import redacted
from nst_core.transfer.octaves import style_sides
from nst_core.transfer.tiles.grid import Tiles
from tasks.engine.row_report import RowReport, wait_for_device
from tasks.intake.examine import load_picture
from tasks.job import Job
from tasks.stopping import Deadline, check_may_continue
from tasks.store.file_reference import FileReference, RecordError
from tasks.store.output_folder import OutputFolder
from tasks.store.records import StyleRecord
from tasks.store.style_cache import StyleCache
from tasks.work.isolation import isolated
from tasks.work.style_memory import within_style_memory

if TYPE_CHECKING:
    from nst_core.transfer.statistics import StyleTargets

logger = logging.getLogger("nst_batch.style_targets")

LOOK_EVERY = 0.1
"""How many seconds to wait for a lock before checking again whether the batch was stopped."""

WAITING = "while it waited for its style's targets"


def read_or_compute(
    report: RowReport,
    computed: StyleRecord,
    cache: StyleCache,
    output: OutputFolder,
    devices: str,
    deadline: Deadline,
    isolate: bool = False,
) -> "StyleTargets":
    """Return the targets of a row's style; if they are gone by now, compute and cache them again.

    They existed when the row was submitted, which may be hours ago. Since then, somebody may have
    removed them (`cache prune`), or another run may have computed others. Any valid ones will do.

    Call this without a device: it waits for one while it holds the style's lock, and a row that
    waited for that lock with a device in hand could wait forever.

    Args:
        report: the reporter of the row.
        computed: the targets as they were when the row was submitted.
        cache, output: where they are cached; the batch's output folder.
        devices: those that may be used, as the user asked for them.
        deadline, isolate: that of the run; whether to compute them in the process of the device.

    Raises:
        StoppedError: the batch was stopped while this waited, or the deadline has passed.
        StorageError: the cache's storage refuses a request or does not answer.
    """
    job = report.job
    if found := _read(job, computed, cache):
        return found
    with _locked(job, cache, output, deadline):
        if found := _read(job, computed, cache):
            return found
        logger.warning(
            "style %s: its targets are no longer in the cache; computing them again", job.style_name
        )
        targets, seconds = compute(report, output, devices, deadline, isolate=isolate)
        _cache_targets(job, targets, cache, seconds)
        return targets


def _read(job: Job, computed: StyleRecord, cache: StyleCache) -> "StyleTargets | None":
    """Return the targets that the row was submitted with, or else those that are cached now."""
    from nst_core.transfer.statistics import StyleTargets

    record: StyleRecord | None = computed
    for _ in range(2):
        try:
            return StyleTargets.from_bytes(record.file.read()) if record else None
        except RecordError as error:
            logger.debug("style %s: %s", job.style_name, error)
            record = cache.find(job.style_key)
    return None


@contextmanager
def _locked(
    job: Job, cache: StyleCache, output: OutputFolder, deadline: Deadline
) -> Iterator[None]:
    """Hold the lock under which a style's targets are computed, so that others wait for them.

    A cache that cannot be written has no such lock, but nobody could store targets there either.
    """
    descriptor = None
    with suppress(LockError, OSError):
        while descriptor is None:
            descriptor = cache.lock(job.style_key, LOOK_EVERY)
            if descriptor is None:
                check_may_continue(output, deadline, WAITING)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def compute(
    report: RowReport,
    output: OutputFolder,
    devices: str,
    deadline: Deadline,
    *,
    isolate: bool = False,
) -> tuple["StyleTargets", float]:
    """Compute the targets; also return how many seconds that took.

    Args:
        report: the reporter of the first row that needs them.
        output: the batch's output folder.
        devices: those that may be used, as the user asked for them.
        deadline: that of the run.
        isolate: whether to compute them in the process of the device instead of this one.

    Raises:
        StoppedError: the batch was stopped while this waited, or the deadline has passed.
        ProcessKilledError: the process of the device was killed.
    """
    from nst_core.devices import on_asked_devices

    def compute(device: str) -> "tuple[StyleTargets, float]":
        def with_tiles(tiles: Tiles | None) -> "tuple[StyleTargets, float]":
            work = partial(_computed, report.job, tiles)
            return isolated(device, output, work) if isolate else work()

        return within_style_memory(report.job, device, with_tiles, isolated=isolate)

    # Another run may have held the style's lock until the deadline.
    check_may_continue(output, deadline, WAITING)
    return on_asked_devices(
        devices, compute, on_wait=lambda holder: wait_for_device(report, holder, output, deadline)
    )


def _computed(job: Job, tiles: Tiles | None, _: object = None) -> tuple["StyleTargets", float]:
    """Compute the targets of a job's style in this process, at once or tile by tile."""
    from nst_core.transfer.statistics import style_targets
    from nst_core.transfer.tiles.style import tiled_style_targets

    started = time.perf_counter()
    style = load_picture(
        job.style,
        job.style_sha256,
        size=max(style_sides(job.settings)),
        enlarge=False,
        max_pixels=job.max_pixels,
    )
    what = (job.encoder.load(), style.rgb, job.settings)
    targets = tiled_style_targets(*what, tiles) if tiles else style_targets(*what)
    return targets, time.perf_counter() - started


def write(job: Job, targets: "StyleTargets", cache: StyleCache, seconds: float) -> StyleRecord:
    """Write a style's targets to the cache; return their record, which is still to be stored.

    Args:
        job: a row that needs them.
        targets: what `compute` returned.
        cache: where the file goes.
        seconds: how long they took to compute.

    Raises:
        OSError: the file cannot be written.
    """
    file = FileReference.write(cache.targets(job.style_key), targets.to_bytes())
    make_durable(file.path)
    return StyleRecord(key=job.style_key, file=file, seconds=seconds)


def _cache_targets(job: Job, targets: "StyleTargets", cache: StyleCache, seconds: float) -> None:
    """Cache targets for later rows; this row has them already."""
    try:
        cache.keep(write(job, targets, cache, seconds))
    except OSError as error:
        logger.warning(
            "style %s: its targets cannot be cached: %s: %s",
            *(job.style_name, redacted(error.filename or cache.root), error.strerror),
        )
