"""Which rows of a batch run, in which order, and what stays as it is."""

from collections.abc import Collection, Mapping, Sequence

from tasks.events import RowsPlanned, RowsSelected, emit
from tasks.job import Examined, Job, by_priority
from tasks.report.selection import Selection, select
from tasks.request import CompleteRequest
from tasks.row import Row
from tasks.store.finished import count_replaced, results_of_finished
from tasks.store.lookup import find_finished
from tasks.store.speeds import Speeds
from tasks.store.statuses import RowResult


def selected(rows: Sequence[Row], batch: CompleteRequest) -> Selection:
    """Return which rows are asked for, and report it if not all of them are."""
    selection = select(batch.only, rows, batch.output_folder)
    if selection.lines is not None:
        counts = len(selection.lines), len(rows)
        emit(RowsSelected(selection.text, *counts, is_preview=batch.preview is not None))
    return selection


def results_to_keep(
    jobs: Sequence[Job], batch: CompleteRequest, selection: Selection
) -> dict[int, RowResult]:
    """Return, by line, the results of finished rows that stay as they are."""
    if batch.refresh and selection.lines is None:
        return {}
    finished = results_of_finished(jobs, batch.output_folder)
    return {
        line: result
        for line, result in finished.items()
        if not (batch.refresh and selection.asks_for(line))
    }


def limited(selection: Selection, examined: Examined, batch: CompleteRequest) -> Selection:
    """Return the rows that are asked for, without those behind the first `limit` that would run."""
    if batch.limit is None:
        return selection
    kept = results_to_keep(examined.jobs, batch, selection)
    waiting = [job for job in examined.jobs if selection.asks_for(job.line)]
    left = [job.line for job in by_priority(waiting) if job.line not in kept]
    return selection.limited_to(batch.limit, left, examined.rows)


def keys_to_begin(
    jobs: Sequence[Job], to_run: Sequence[Job], results: Mapping[int, RowResult], refresh: bool
) -> set[str]:
    """Return the keys of rows that are done or refreshed, whose checkpoints are not needed."""
    running = {job.key for job in to_run}
    done = {job.key for job in jobs if job.line in results}
    # A refreshed row that is tried again must find only the checkpoints of this run.
    return done | running if refresh else done - running


def planned(
    to_run: Sequence[Job],
    results: Mapping[int, RowResult],
    batch: CompleteRequest,
    selection: Selection,
) -> RowsPlanned:
    """Count the rows to run, all rows that can run, and the rows that repeat an earlier one.

    Also count the pictures that they replace, and estimate how long they take.
    """
    done = sum(result.record is not None for result in results.values())
    return RowsPlanned(
        to_run=len(to_run),
        total=len(to_run) + done,
        equal=len(to_run) - len({job.key for job in to_run}),
        estimates=Speeds.read(batch.style_cache, batch.devices).of_batch(to_run),
        is_part=selection.lines is not None,
        replaced=count_replaced(to_run, _done(to_run, batch), batch.output_folder),
    )


def _done(to_run: Sequence[Job], batch: CompleteRequest) -> Collection[str]:
    """Return the keys of rows that are done and run again: those that are refreshed."""
    return find_finished(to_run, batch.output_folder) if batch.refresh else ()
