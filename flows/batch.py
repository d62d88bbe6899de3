"""A batch before and after its rows run: opened, begun and reported; none of this needs Prefect."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from flows.choice import keys_to_begin, limited, planned, results_to_keep, selected
from nst_core.networks.catalogue import PublishedFile
from nst_core.networks.store import WeightStore
from nst_core.storage.write_errors import writing_to
from tasks.events import ManifestUnderstood, PictureExamined, emit
from tasks.intake.encoders import check_weights_place, encoders_of
from tasks.intake.examine import examine_rows
from tasks.intake.manifest import ManifestError, understand_manifest
from tasks.intake.outputs import check_places
from tasks.job import Examined, Job, by_priority
from tasks.report.gallery.in_full import BatchInFull
from tasks.report.log_file import RunLog, run_log_of
from tasks.report.selection import Selection
from tasks.report.table_row import Table
from tasks.report.write import BatchReport, write_report
from tasks.request import CompleteRequest
from tasks.row import Row, told_once
from tasks.stopping import raise_if_asked_to_stop
from tasks.store.checkpoints import forget_old_checkpoints
from tasks.store.lookup import forget_foreign
from tasks.store.preview_folder import keep_apart
from tasks.store.row_kinds import expected_devices
from tasks.store.speeds import Speeds
from tasks.store.statuses import RowResult
from tasks.work.in_full import batch_in_full

Fetch = Callable[[PublishedFile, Path], Path]
"""Downloads published weights into a folder."""


class PrefectError(Exception):
    """The flow of an open batch did not begin; the cause says why."""


@dataclass
class OpenBatch:
    """A batch whose rows are examined, in an output folder to which no other run writes.

    Attributes:
        asked: what was asked for.
        log: the log of this run.
        examined: all rows, and the jobs of those that can run.
        selection: the rows that are asked for.
        results: how each job ended, by its line in the manifest; entries are added as they become
            known, even if the batch is stopped.
        to_run: what `find_finished` found out; None before that.
    """

    asked: CompleteRequest
    log: RunLog
    examined: Examined
    selection: Selection
    results: dict[int, RowResult] = field(default_factory=dict)
    to_run: list[Job] | None = None

    def find_finished(self) -> list[Job]:
        """Find the rows that are done, once, and put their files in place.

        Returns:
            The jobs that are asked for and not done, in the order in which they run.
        """
        if self.to_run is None:
            jobs, batch = self.examined.jobs, self.asked
            self.selection = limited(self.selection, self.examined, batch)
            self.results |= results_to_keep(jobs, batch, self.selection)
            waiting = [job for job in jobs if self.selection.asks_for(job.line)]
            self.to_run = by_priority([job for job in waiting if job.line not in self.results])
        return self.to_run

    def begin(self) -> list[Job]:
        """Remove what earlier runs left for the rows that run now, and say how many there are.

        Returns:
            These rows, as in `find_finished`.
        """
        to_run = self.find_finished()
        jobs, batch, output = self.examined.jobs, self.asked, self.asked.output_folder
        keys = keys_to_begin(jobs, to_run, self.results, batch.refresh)
        forget_old_checkpoints(output.checkpoints, keys)
        forget_foreign(to_run, output)
        emit(planned(to_run, self.results, batch, self.selection))
        return to_run

    def report(
        self, seconds_left: float | None = None, show: Callable[[BatchReport], object] | None = None
    ) -> Table:
        """Write the table and the page, and say in the log what is not done.

        Args:
            seconds_left: the estimated seconds that the remaining rows would take if the time was
                up; else None.
            show: shows the report elsewhere, too.
        """
        batch = self.asked
        report = write_report(
            *(self.examined, self.results, batch.manifest, batch.output_folder),
            *(seconds_left, self.selection, preview_in_full(self.examined.jobs, batch)),
        )
        self.log.ended(report.table)
        if show:
            show(report)
        return report.table


@contextmanager
def open_batch(batch: CompleteRequest, fetch: Fetch) -> Iterator[OpenBatch]:
    """Read the manifest and examine its rows; keep other runs out of the output folder meanwhile.

    Args:
        batch: what was asked for.
        fetch: downloads the weights that rows need and this machine lacks.

    Raises:
        UserError: the batch cannot be run.
        OSError: a folder cannot be read or written.
    """
    with writing_to({"the output folder": batch.output, "the cache": batch.cache}):
        output, cache, store = batch.output_folder, batch.style_cache, batch.weight_store()
        output.make()
        cache.make()
        with output.lock(), run_log_of(output, batch.parameters()) as log:
            keep_apart(output, is_preview=batch.preview is not None)
            for folder in (output, cache, store):
                folder.sweep()
            manifest = understand_manifest(batch.manifest, batch.settings)
            if manifest.understood:
                emit(ManifestUnderstood(manifest.understood))
            yield _opened(manifest.rows, store, batch, log, fetch)


def _opened(
    rows: list[Row], store: WeightStore, batch: CompleteRequest, log: RunLog, fetch: Fetch
) -> OpenBatch:
    """Examine rows."""
    output = batch.output_folder
    selection = selected(rows, batch)
    rows = check_places(rows, output)
    check_weights_place(store, output)
    examined = examine_rows(
        rows,
        encoders_of(rows, store, lambda published: fetch(published, store.folder)),
        max_pixels=batch.max_pixels,
        preview=batch.preview,
        on_picture=_report_examined,
    )
    faults = [fault for fault in examined.faults if selection.asks_for(fault.line)]
    if batch.strict and faults:
        raise ManifestError("\n".join(fault.text(lines) for fault, lines in told_once(faults)))
    return OpenBatch(batch, log, examined, selection)


def _report_examined(count: int, total: int) -> None:
    """Report how many pictures have been examined; end here if the run was asked to stop."""
    emit(PictureExamined(count, total))
    raise_if_asked_to_stop()


def preview_in_full(jobs: tuple[Job, ...], batch: CompleteRequest) -> BatchInFull | None:
    """Return what the batch of a preview would take in full; None if this is not a preview."""
    if batch.preview is None:
        return None
    speeds = Speeds.read(batch.style_cache, batch.devices)
    device, *_ = expected_devices(batch.devices)
    return batch_in_full(jobs, batch.preview, speeds, batch.output_folder, device)
