"""How the flow reports a batch that has ended, and in which state it ends."""

from collections.abc import Sequence

from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from tasks.job import Examined, Job
from tasks.report.durations import duration
from tasks.report.gallery.in_full import BatchInFull
from tasks.report.log_file import RunLog
from tasks.report.prefect_page import log_wrong_rows, show_on_page
from tasks.report.reasons import first_reasons
from tasks.report.selection import Selection
from tasks.report.table_row import Table
from tasks.report.write import write_report
from tasks.request import CompleteRequest
from tasks.store.row_kinds import expected_devices
from tasks.store.speeds import Speeds
from tasks.store.statuses import WRONG, RowResult
from tasks.work.in_full import batch_in_full


def report_batch(
    examined: Examined,
    results: dict[int, RowResult],
    batch: CompleteRequest,
    log: RunLog,
    selection: Selection,
    seconds_left: float | None = None,
    *,
    patiently: bool = True,
) -> Table:
    """Write the table and the page, say in both logs what is not done, and show it in Prefect's UI.

    Args:
        examined: all rows, and the jobs of those that could run.
        results: the results of the jobs, by line; those of the other rows are added.
        batch: what was asked for.
        log: the log of this run.
        selection: the rows that are asked for.
        seconds_left: as `stylize_jobs` returns it.
        patiently: wait a minute for a server that does not answer.
    """
    output = batch.output_folder
    in_full = preview_in_full(examined.jobs, batch)
    report = write_report(
        examined, results, batch.manifest, output, seconds_left, selection, in_full
    )
    log.ended(report.table)
    log_wrong_rows(report.table)
    show_on_page(report, batch.served_at, patiently=patiently)
    return report.table


def preview_in_full(jobs: Sequence[Job], batch: CompleteRequest) -> BatchInFull | None:
    """Return what the batch of a preview would take in full; None if this is not a preview."""
    if batch.preview is None:
        return None
    speeds = Speeds.read(batch.style_cache, batch.devices)
    device, *_ = expected_devices(batch.devices)
    return batch_in_full(jobs, batch.preview, speeds, batch.output_folder, device)


def final_state(table: Table) -> State:
    """Return the final state of a run, with a name that says how its rows ended.

    Only the rows that were asked for are judged. The message counts all rows; it has a line for
    each of the first reasons why rows are not done.
    """
    message = ", ".join(f"{count} {status}" for status, count in table.counts.items())
    if table.seconds_left is not None:
        message += f"; the remaining rows would take about {duration(table.seconds_left)}"
    message = "\n".join([message, *first_reasons(table.asked_for)])
    asked = table.asked_for
    wrong = len(asked.with_status(*WRONG))
    if not wrong:
        return Completed(name=None if table.seconds_left is None else "OutOfTime", message=message)
    name = "AllRowsFailed" if wrong == len(asked.rows) else "SomeRowsFailed"
    return Failed(name=name, message=message)
