"""The task of one style, whose targets all rows, runs and workers share."""

from functools import partial

from prefect import task

from nst_core.storage.write_errors import writing_to
from tasks.engine.retries import with_retries
from tasks.engine.row_report import RowReport
from tasks.job import Job, JobStyle
from tasks.stopping import Deadline, check_may_continue
from tasks.store.output_folder import OutputFolder
from tasks.store.records import StyleRecord
from tasks.store.style_cache import StyleCache
from tasks.work.targets import Workplace, compute, write


@task(name="style-targets", task_run_name="style {style.name}")
def compute_style_targets(
    job: Job,
    style: JobStyle,
    cache: StyleCache,
    output: OutputFolder,
    devices: str,
    deadline: Deadline = Deadline(),  # noqa: B008 - frozen, so it can be shared
    retries: int = 0,
    isolate: bool = False,
) -> StyleRecord:
    """Compute the targets of one of a job's styles, and write them to a safetensors file.

    Args:
        job: the first row that needs them.
        style: the style.
        cache: where the file goes.
        output: the batch's output folder, by which the task learns that it must stop.
        devices: those that may be used, as the user asked for them.
        deadline: that of the run.
        retries: how often to try again after a failure that may pass.
        isolate: whether to compute them in the process of the device instead of this one.

    Raises:
        StoppedError: the batch was stopped while this waited, or the deadline has passed.
    """
    report, subject = RowReport(job), f"style {style.name}"
    workplace = Workplace(report, cache, output, devices, deadline, isolate)

    def attempt(_: int) -> StyleRecord:
        targets, seconds = compute(workplace, style)
        with writing_to({"the cache": cache.root}):
            return write(style, targets, cache, seconds)

    outcome = with_retries(
        attempt,
        retries,
        partial(check_may_continue, output, deadline),
        lambda retry: report.retried(retry, subject),
    )
    return outcome.result.model_copy(update={"failures": outcome.failures})
