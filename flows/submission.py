"""How the flow submits the task of a row, and of a style."""

from collections.abc import Callable

from prefect.futures import PrefectFuture

from tasks.engine.caching import with_records
from tasks.engine.collect import Style
from tasks.engine.in_flight import SubmitRow, SubmitStyle
from tasks.engine.runners import Workers
from tasks.job import Job, JobStyle
from tasks.request import CompleteRequest
from tasks.stopping import Deadline, Limits
from tasks.store.records import PictureRecord, StyleRecord
from tasks.style_targets import compute_style_targets
from tasks.stylize import stylize_row
from tasks.work.row_options import RowOptions


def row_submitter(workers: Workers, batch: CompleteRequest, limits: Limits) -> SubmitRow:
    """Return a function that submits the task of one row."""
    records = batch.output_folder.records
    stylize = with_records(stylize_row, records, "job", "key", refresh=batch.refresh)
    options = RowOptions(
        intermediate_steps=batch.save_every,
        checkpoint_seconds=batch.checkpoint_every,
        resume=not batch.refresh,
        limits=limits,
        retries=batch.retries,
        strict=batch.strict,
        isolate=batch.isolate,
    )

    def submit(job: Job, styles: list[Style]) -> PrefectFuture[PictureRecord]:
        parameters = {
            "job": job,
            "styles": styles,
            "output": batch.output_folder,
            "cache": batch.style_cache,
            "options": options,
        }
        return workers.submit(stylize, parameters)

    return submit


def style_submitter(
    workers: Workers, use_style: Callable[[str], None], batch: CompleteRequest, deadline: Deadline
) -> SubmitStyle:
    """Return a function that finds the targets of a style, or submits the task for them.

    The function first passes the style's key to `use_style`, so that no prune removes the targets.
    """
    cache, refresh = batch.style_cache, batch.refresh
    records, locks = cache.records, cache.locks
    compute = with_records(
        *(compute_style_targets, records, "style", "key"),
        refresh=refresh,
        once_under=locks,
        deadline=deadline,
    )

    def submit(job: Job, style: JobStyle) -> Style:
        use_style(style.key)
        if not refresh and (found := cache.find(style.key)):
            cache.mark_used(style.key)
            return found
        parameters = {
            "job": job,
            "style": style,
            "cache": cache,
            "output": batch.output_folder,
            "deadline": deadline,
            "retries": batch.retries,
            "isolate": batch.isolate,
        }
        future: PrefectFuture[StyleRecord] = workers.submit(compute, parameters)
        return future

    return submit
