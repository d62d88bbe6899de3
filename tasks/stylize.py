"""The task of one row, which makes one picture, its loss curve and one record."""

from functools import partial
from typing import TYPE_CHECKING

from prefect import task

from nst_core.storage.write_errors import writing_to
from tasks.engine.retries import with_retries
from tasks.engine.row_report import RowReport, wait_for_device
from tasks.job import Job
from tasks.stopping import check_may_continue
from tasks.store.output_folder import OutputFolder
from tasks.store.records import PictureRecord, StyleRecord
from tasks.store.style_cache import StyleCache
from tasks.work.row_options import RowOptions
from tasks.work.stylization import stylize_job
from tasks.work.targets import Workplace, targets_of_row

if TYPE_CHECKING:
    from nst_core.transfer.styles.targets import StyleTargets


@task(name="stylize", task_run_name="{job.output}")
def stylize_row(
    job: Job,
    styles: list[StyleRecord],
    output: OutputFolder,
    cache: StyleCache,
    devices: str,
    options: RowOptions = RowOptions(),  # noqa: B008 - frozen, so it can be shared
) -> PictureRecord:
    """Stylize a job's content with its styles' targets, into the output folder.

    Args:
        job: the job of the row.
        styles: the targets of its styles, as they were when the row was submitted.
        output: the batch's output folder.
        cache: where targets are cached.
        devices: those that may be used, as the user asked for them.
        options: how the row runs.

    Raises:
        StoppedError, NotEnoughMemoryError: as in `stylize_job`.
    """
    report, deadline = RowReport(job), options.limits.deadline
    workplace = Workplace(report, cache, output, devices, deadline, options.isolate)
    may_continue = partial(check_may_continue, output, deadline)

    def attempt(earlier: int) -> PictureRecord:
        targets = targets_of_row(workplace, styles)
        return _stylize(report, targets, output, cache, devices, options.after(earlier))

    with report.running():
        may_continue("before it began")
        outcome = with_retries(attempt, options.retries, may_continue, report.retried)
    record = outcome.result.model_copy(update={"failures": outcome.failures})
    report.done(record)
    return record


def _stylize(
    report: RowReport,
    targets: "StyleTargets",
    output: OutputFolder,
    cache: StyleCache,
    devices: str,
    options: RowOptions,
) -> PictureRecord:
    """Stylize a row's content on one of the devices."""
    from nst_core.devices import on_asked_devices

    job, deadline = report.job, options.limits.deadline
    with writing_to({"the output folder": output.root}):
        return on_asked_devices(
            devices,
            lambda device: stylize_job(
                *(job, targets, output, cache, device, options, report.progress)
            ),
            on_wait=lambda holder: wait_for_device(report, holder, output, deadline),
        )
