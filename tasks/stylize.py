"""The task of one row, which makes one picture, its loss curve and one record."""

from functools import partial
from typing import TYPE_CHECKING

from prefect import task

from nst_core.storage.write_errors import writing_to
from tasks.engine.retries import with_retries
from tasks.engine.row_report import RowReport, wait_for_device
from tasks.job import Job
from tasks.stopping import Limits, check_may_continue
from tasks.store.output_folder import OutputFolder
from tasks.store.records import PictureRecord, StyleRecord
from tasks.store.style_cache import StyleCache
from tasks.work.stylization import Saving, stylize_job
from tasks.work.targets import read_or_compute

if TYPE_CHECKING:
    from nst_core.transfer.statistics import StyleTargets


@task(name="stylize", task_run_name="{job.output}")
def stylize_row(
    job: Job,
    style: StyleRecord,
    output: OutputFolder,
    cache: StyleCache,
    devices: str,
    saving: Saving = Saving(),  # noqa: B008 - frozen, so it can be shared
    limits: Limits = Limits(),  # noqa: B008
    retries: int = 0,
) -> PictureRecord:
    """Stylize a job's content with its style's targets, into the output folder.

    Args:
        job: the job of the row.
        style: the targets, as they were when the row was submitted.
        output: the batch's output folder.
        cache: where targets are cached.
        devices: those that may be used, as the user asked for them.
        saving: what to save while the row runs.
        limits: when the row must end before it is finished.
        retries: how often to try again after a failure that may pass.

    Raises:
        StoppedError: the batch was stopped, or the deadline has passed; the best picture so far and
            a checkpoint are saved.
    """
    report, deadline = RowReport(job), limits.deadline
    may_continue = partial(check_may_continue, output, deadline)

    def attempt(earlier: int) -> PictureRecord:
        targets = read_or_compute(report, style, cache, output, devices, deadline)
        return _stylize(report, targets, output, devices, saving.after(earlier), limits)

    with report.running():
        may_continue("before it began")
        outcome = with_retries(attempt, retries, may_continue, report.retried)
    record = outcome.result.model_copy(update={"failures": outcome.failures})
    how = f"{record.steps} steps, stop reason {record.stop_reason}"
    report.ended("done", how, record.total_loss)
    return record


def _stylize(
    report: RowReport,
    targets: "StyleTargets",
    output: OutputFolder,
    devices: str,
    saving: Saving,
    limits: Limits,
) -> PictureRecord:
    """Stylize a row's content on one of the devices."""
    from nst_core.devices import on_asked_devices

    job, deadline = report.job, limits.deadline
    with writing_to({"the output folder": output.root}):
        return on_asked_devices(
            devices,
            lambda device: stylize_job(job, targets, output, device, saving, limits, report),
            on_wait=lambda holder: wait_for_device(report, holder, output, deadline),
        )
