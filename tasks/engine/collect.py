"""The result of each row, from its task run or from what earlier runs left."""

import logging
import traceback
from asyncio import CancelledError as AsyncCancelledError
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError

from prefect.futures import PrefectFuture

from nst_core.storage.files import StorageError, stat, write_atomic
from nst_core.storage.places import Place, redacted
from tasks.engine.retries import after_retries, earlier_failures, tried
from tasks.engine.runners import ended
from tasks.events import ROW_ENDS, RowEnd, RowEnded, emit
from tasks.job import Job
from tasks.stopping import StoppedError
from tasks.store.checkpoints import forget_checkpoint_of
from tasks.store.file_reference import RecordError
from tasks.store.finished import copied_to, in_a_line
from tasks.store.output_folder import OutputFolder
from tasks.store.records import PictureRecord, StyleRecord
from tasks.store.statuses import PENDING, RowResult

logger = logging.getLogger("nst_batch.results")


Style = StyleRecord | PrefectFuture[StyleRecord]


def gather(
    job: Job, picture: PrefectFuture[PictureRecord], styles: Sequence[Style], output: OutputFolder
) -> RowResult:
    """Wait for a job's picture and return its result; no failure of one row affects another.

    Args:
        job: the job.
        picture: the future of its picture.
        styles: the targets of its styles, in their order, or their futures.
        output: the batch's output folder.
    """
    try:
        if not ended(picture).is_completed():
            return failed_result(job, picture, styles, output)
        return result_of(job, picture, styles, output)
    except (OSError, RecordError) as error:
        return RowResult("failed", error=in_a_line(error))


def result_of(
    job: Job, picture: PrefectFuture[PictureRecord], styles: Sequence[Style], output: OutputFolder
) -> RowResult:
    """Return the result of a job whose task run completed, even if another run made the picture."""
    record = picture.result()
    warn_if_not_stored(job, output)
    forget_checkpoint_of(output.checkpoint(job.key), record.seconds)
    computed = any(map(is_computed, styles))
    is_cached = picture.state.name == "Cached"
    return RowResult(
        "cached" if is_cached else "done",
        copied_to(job.output, record, output),
        "computed" if computed else "hit",
        notes=() if is_cached else tuple(notes_on_retries(job, record, styles)),
    )


def is_computed(style: Style) -> bool:
    """Return whether this run computed the targets of a style."""
    return isinstance(style, PrefectFuture) and ended(style).name != "Cached"


def notes_on_retries(job: Job, record: PictureRecord, styles: Sequence[Style]) -> Iterator[str]:
    """Yield what failed before a row was done, if anything did."""
    if record.failures:
        yield tried(record.failures)
    for named, style in zip(job.styles, styles, strict=True):
        if isinstance(style, PrefectFuture) and is_computed(style):
            failures = style.result().failures
            if failures:
                yield f"style {named.name}: {tried(failures)}"


def warn_if_not_stored(job: Job, output: OutputFolder) -> None:
    """Warn if Prefect could not store a record, because Prefect itself does not say so."""
    record = output.records / job.key
    try:
        there = stat(record).size > 0
    except OSError:
        there = False
    if not there:
        logger.warning(
            "%s is done, but its record cannot be stored at %s: the next run stylizes it again",
            job.output,
            redacted(record),
        )


def failed_result(
    job: Job, picture: PrefectFuture[PictureRecord], styles: Sequence[Style], output: OutputFolder
) -> RowResult:
    """Return why a row failed, on one line; write the traceback to a file beside the pictures."""
    failed, subject = ended(picture), ""
    for named, style in zip(job.styles, styles, strict=True):
        if not subject and isinstance(style, PrefectFuture) and not ended(style).is_completed():
            failed, subject = ended(style), f"style {named.name}: "
    error = failed.result(raise_on_failure=False)
    if isinstance(error, StoppedError):
        return RowResult("interrupted", error=str(error), interrupted_picture=error.picture)
    if isinstance(error, CancelledError | AsyncCancelledError):
        return PENDING
    if not isinstance(error, BaseException):
        why = f"{subject}{failed.name}: {failed.message or 'no reason was given'}"
        return RowResult("failed", error=why)
    is_output_lost = isinstance(error, StorageError) and str(error.filename).startswith(str(output))
    if not is_output_lost:
        write_traceback(error, output.error(job.output))
    return RowResult(
        "failed",
        error=f"{subject}{in_a_line(error)}{after_retries(error)}",
        is_output_lost=is_output_lost,
        retries=len(earlier_failures(error)),
    )


def write_traceback(error: BaseException, path: Place) -> None:
    """Write a traceback to help fix the cause; a full disk must not cost the table as well."""
    try:
        trace = redacted("".join(traceback.format_exception(error)))
        write_atomic(path, trace.encode())
    except OSError:
        logger.exception("the traceback of a failed row could not be written to %s", path)


def has_begun(picture: PrefectFuture[PictureRecord]) -> bool:
    """Return whether a task run that has ended ever began; without its style, it does not."""
    # The future itself is not asked, because it would ask the server if its task was cut short.
    return ended(picture).name != "NotReady"


def report_end(job: Job, result: RowResult) -> None:
    """Report the end of a row that could not do so: it ran elsewhere, never began, or is a copy."""
    if result.record:
        emit(RowEnded(job.line, job.output, "done", loss=result.record.total_loss))
        return
    status: RowEnd = result.status if result.status in ROW_ENDS else "failed"
    emit(RowEnded(job.line, job.output, status, reason=result.error))
