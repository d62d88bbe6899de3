"""The work of styles: the targets of each, from the cache or from its pictures, and of a row."""

import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from nst_core.storage.files import make_durable
from nst_core.storage.locks import LockError
from nst_core.storage.places import redacted
from nst_core.transfer.octaves import style_sides
from nst_core.transfer.settings import Settings
from nst_core.transfer.styles.style_shares import shares_of_styles
from nst_core.transfer.styles.styles import Samples
from nst_core.transfer.tiles.grid import Tiles
from tasks.engine.row_report import RowReport, wait_for_device
from tasks.job import Job, JobStyle
from tasks.stopping import Deadline, check_may_continue
from tasks.store.file_reference import FileReference, RecordError
from tasks.store.output_folder import OutputFolder
from tasks.store.records import StyleRecord
from tasks.store.style_cache import StyleCache
from tasks.work.isolation import isolated, must_be_isolated
from tasks.work.masks import style_mask
from tasks.work.style_memory import within_style_memory
from tasks.work.style_pictures import StylePictures

if TYPE_CHECKING:
    from nst_core.transfer.styles.targets import StyleTargets

logger = logging.getLogger("nst_batch.style_targets")

LOOK_EVERY = 0.1
"""How many seconds to wait for a lock before checking again whether the batch was stopped."""

WAITING = "while it waited for its style's targets"


@dataclass(frozen=True)
class Workplace:
    """Where and how the targets of styles are computed for a row.

    Attributes:
        report: the reporter of the row.
        cache: where targets are cached.
        output: the batch's output folder, by which work learns that it must stop.
        devices: those that may be used, as the user asked for them.
        deadline: that of the run.
        isolate: whether to compute in the process of the device instead of this one.
    """

    report: RowReport
    cache: StyleCache
    output: OutputFolder
    devices: str
    deadline: Deadline
    isolate: bool = False

    def check_may_continue(self) -> None:
        """Raise `StoppedError` if the batch was stopped, or the deadline has passed."""
        check_may_continue(self.output, self.deadline, WAITING)


def targets_of_row(workplace: Workplace, computed: Sequence[StyleRecord]) -> "StyleTargets":
    """Return the targets of all styles of a row, put together as its settings say.

    The targets of each style are cached, and not those of a blend, so that other weights compute
    nothing again.

    Args:
        workplace: where and how they are computed if they are gone.
        computed: the targets of the row's styles, in their order, as in `read_or_compute`.

    Raises:
        StoppedError, StorageError: as in `read_or_compute`.
    """
    from nst_core.transfer.styles.blending import blended_targets

    job = workplace.report.job
    targets = [
        read_or_compute(workplace, style, record)
        for style, record in zip(job.styles, computed, strict=True)
    ]
    return blended_targets(targets, shares_of_styles(job.settings, len(targets)))


def read_or_compute(workplace: Workplace, style: JobStyle, computed: StyleRecord) -> "StyleTargets":
    """Return the targets of a row's style; if they are gone by now, compute and cache them again.

    They existed when the row was submitted, which may be hours ago. Since then, somebody may have
    removed them (`cache prune`), or another run may have computed others. Any valid ones will do.

    Call this without a device: it waits for one while it holds the style's lock, and a row that
    waited for that lock with a device in hand could wait forever.

    Args:
        workplace: where and how they are computed if they are gone.
        style: one of the row's styles.
        computed: its targets as they were when the row was submitted.

    Raises:
        StoppedError: the batch was stopped while this waited, or the deadline has passed.
        StorageError: the cache's storage refuses a request or does not answer.
    """
    cache = workplace.cache
    if found := _read(style, computed, cache):
        return found
    with _locked(workplace, style):
        if found := _read(style, computed, cache):
            return found
        logger.warning(
            "style %s: its targets are no longer in the cache; computing them again", style.name
        )
        targets, seconds = compute(workplace, style)
        _cache_targets(style, targets, cache, seconds)
        return targets


def _read(style: JobStyle, computed: StyleRecord, cache: StyleCache) -> "StyleTargets | None":
    """Return the targets that the row was submitted with, or else those that are cached now."""
    from nst_core.transfer.styles.targets import StyleTargets

    record: StyleRecord | None = computed
    for _ in range(2):
        try:
            return StyleTargets.from_bytes(record.file.read()) if record else None
        except RecordError as error:
            logger.debug("style %s: %s", style.name, error)
            record = cache.find(style.key)
    return None


@contextmanager
def _locked(workplace: Workplace, style: JobStyle) -> Iterator[None]:
    """Hold the lock under which a style's targets are computed, so that others wait for them.

    A cache that cannot be written has no such lock, but nobody could store targets there either.
    """
    descriptor = None
    with suppress(LockError, OSError):
        while descriptor is None:
            descriptor = workplace.cache.lock(style.key, LOOK_EVERY)
            if descriptor is None:
                workplace.check_may_continue()
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def compute(workplace: Workplace, style: JobStyle) -> tuple["StyleTargets", float]:
    """Compute the targets of a style; also return how many seconds that took.

    Args:
        workplace: where and how they are computed, for the first row that needs them.
        style: one of the row's styles.

    Raises:
        StoppedError: the batch was stopped while this waited, or the deadline has passed.
        ProcessKilledError: the process of the device was killed.
    """
    from nst_core.devices import on_asked_devices

    job, output = workplace.report.job, workplace.output

    def compute(device: str) -> "tuple[StyleTargets, float]":
        isolate = workplace.isolate or must_be_isolated(device, job.settings)

        def with_tiles(tiles: Tiles | None) -> "tuple[StyleTargets, float]":
            work = partial(_computed, job, style, tiles)
            return isolated(device, job.settings, output, work) if isolate else work()

        return within_style_memory(job, style, device, with_tiles, isolated=isolate)

    def on_wait(holder: str) -> None:
        wait_for_device(workplace.report, holder, output, workplace.deadline)

    # Another run may have held the style's lock until the deadline.
    workplace.check_may_continue()
    return on_asked_devices(workplace.devices, compute, on_wait=on_wait)


def _computed(
    job: Job, style: JobStyle, tiles: Tiles | None, _: object = None
) -> tuple["StyleTargets", float]:
    """Compute the targets of one of a job's styles in this process, at once or tile by tile."""
    started = time.perf_counter()
    targets = computed_targets(job, style, job.settings, tiles)
    return targets, time.perf_counter() - started


def computed_targets(
    job: Job, style: JobStyle, settings: Settings, tiles: Tiles | None = None
) -> "StyleTargets":
    """Compute the targets of one of a job's styles with these settings, at once or tile by tile.

    Args:
        job: a row.
        style: one of its styles.
        settings: those of the row, or of a smaller rung of its ladder.
        tiles: as `within_style_memory` chooses them.

    Raises:
        PictureError: one of its pictures or its mask cannot be read, or changed while the batch
            ran.
    """
    from nst_core.transfer.styles.statistics import style_targets
    from nst_core.transfer.tiles.style import tiled_style_targets

    pictures = StylePictures(job, style, max(style_sides(settings)), enlarge=False)
    if tiles:
        return tiled_style_targets(job.encoder.load(), pictures[0].rgb, settings, tiles)
    # A single picture is loaded only once.
    given = pictures[0] if len(pictures) == 1 else Samples(pictures)
    mask, to_blend = style_mask(job), len(job.styles) > 1
    return style_targets(job.encoder.load(), given, settings, mask, to_blend=to_blend)


def write(
    style: JobStyle, targets: "StyleTargets", cache: StyleCache, seconds: float
) -> StyleRecord:
    """Write a style's targets to the cache; return their record, which is still to be stored.

    Args:
        style: the style.
        targets: what `compute` returned.
        cache: where the file goes.
        seconds: how long they took to compute.

    Raises:
        OSError: the file cannot be written.
    """
    file = FileReference.write(cache.targets(style.key), targets.to_bytes())
    make_durable(file.path)
    return StyleRecord(key=style.key, file=file, seconds=seconds)


def _cache_targets(
    style: JobStyle, targets: "StyleTargets", cache: StyleCache, seconds: float
) -> None:
    """Cache targets for later rows; this row has them already."""
    try:
        cache.keep(write(style, targets, cache, seconds))
    except OSError as error:
        logger.warning(
            "style %s: its targets cannot be cached: %s: %s",
            *(style.name, redacted(error.filename or cache.root), error.strerror),
        )
