"""The task of one row, which makes one picture, its loss curve and one record."""

from prefect import task

from nst_core.storage.write_errors import writing_to
from tasks.engine.row_report import RowReport, wait_for_device
from tasks.job import Job
from tasks.store.output_folder import OutputFolder
from tasks.store.records import PictureRecord, StyleRecord
from tasks.store.style_cache import StyleCache
from tasks.work.stylization import Saving, stylize_job
from tasks.work.targets import read_or_compute


@task(name="stylize", task_run_name="{job.output}")
def stylize_row(
    job: Job,
    style: StyleRecord,
    output: OutputFolder,
    cache: StyleCache,
    devices: str,
    saving: Saving = Saving(),  # noqa: B008 - frozen, so it can be shared
    strict: bool = False,
) -> PictureRecord:
    """Stylize a job's content with its style's targets, into the output folder.

    Args:
        job: the job of the row.
        style: the targets, as they were when the row was submitted.
        output: the batch's output folder.
        cache: where targets are cached.
        devices: those that may be used, as the user asked for them.
        saving: what to save while the row runs.
        strict: fail instead of degrading the row if memory does not suffice.

    Raises:
        StoppedError: the batch was stopped; the best picture so far and a checkpoint are saved.
    """
    from nst_core.devices import on_asked_devices

    report = RowReport(job)
    with report.running():
        targets = read_or_compute(report, style, cache, output, devices)
        with writing_to({"the output folder": output.root}):
            record = on_asked_devices(
                devices,
                lambda device: stylize_job(
                    *(job, targets, output, device, saving, report), strict=strict
                ),
                on_wait=lambda holder: wait_for_device(report, holder, output),
            )
    report.ended(
        "done", f"{record.steps} steps, stop reason {record.stop_reason}", record.total_loss
    )
    return record
