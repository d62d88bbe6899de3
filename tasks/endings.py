"""How a row ended: its task run, or what earlier runs left -> an `Ending`."""

import logging
import traceback
from asyncio import CancelledError as AsyncCancelledError
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from prefect.futures import PrefectFuture

from nst_core.files import StorageError, read_whole, version_of, write_whole
from nst_core.places import Place, told, without_secrets
from tasks.jobs import Job
from tasks.layout import curve_path, error_path, picture_path, row_records
from tasks.progress import RowProgress, tell
from tasks.records import (
    FileReference,
    PictureRecord,
    RecordError,
    StyleRecord,
    find_picture,
)
from tasks.runners import ended
from tasks.statuses import PENDING, Ending
from tasks.stopping import StoppedError

logger = logging.getLogger("nst_batch.endings")

LONGEST_ERROR = 600
"""In characters; TensorFlow's messages can fill pages, and the whole is in the row's file."""

LOOKS_AT_ONCE = 8
"""Records that are looked for at the same time: storage answers slowly, but many at once."""

Style = StyleRecord | PrefectFuture[StyleRecord]
Picture = PictureRecord | PrefectFuture[PictureRecord]


def find_all_done(jobs: dict[str, Job], output: Place) -> Iterator[tuple[str, PictureRecord]]:
    """By their keys, the records of the jobs that earlier runs finished."""
    with ThreadPoolExecutor(LOOKS_AT_ONCE) as pool:
        found = pool.map(lambda job: find_done(job, output), jobs.values())
        for key, record in zip(jobs, found, strict=True):
            if record:
                yield key, record


def find_done(job: Job, output: Place) -> PictureRecord | None:
    """The record of a job that an earlier run finished, its picture in its place."""
    wanted = picture_path(output, job.output)
    record = find_picture(row_records(output), job.key, wanted)
    try:
        return record and put_in_place(record, job, output)
    except (OSError, RecordError) as error:
        logger.warning("%s: made again, as it cannot be copied: %s", told(wanted), error)
        return None


def put_in_place(record: PictureRecord, job: Job, output: Place) -> PictureRecord:
    """Copy a picture that lies under another name, and its curve, to where the job wants them.

    Raises:
        RecordError: the picture is not there any more.
        OSError: it cannot be written.
    """
    wanted, curve = picture_path(output, job.output), curve_path(output, job.output)
    if record.file.path == wanted:
        return record
    file = FileReference.write(wanted, record.file.read())
    with suppress(FileNotFoundError):
        write_whole(curve, read_whole(record.curve))
    return record.model_copy(update={"file": file, "curve": curve})


def gather(job: Job, picture: Picture, style: Style | None, output: Place) -> Ending:
    """Wait for a job's picture and say how it ended; no failure of one row reaches another."""
    try:
        if isinstance(picture, PictureRecord):
            return Ending("cached", put_in_place(picture, job, output), "hit")
        if not ended(picture).is_completed():
            return failed_ending(job, picture, style, output)
        return ending_of(job, picture, style, output)
    except (OSError, RecordError) as error:
        return Ending("failed", error=in_a_line(error))


def ending_of(
    job: Job, picture: PrefectFuture[PictureRecord], style: Style | None, output: Place
) -> Ending:
    """How a job ended whose task run completed: another run may have been quicker."""
    record = picture.result()
    warn_if_not_kept(job, output)
    cached = picture.state.name == "Cached" or record.file.path != picture_path(output, job.output)
    computed = isinstance(style, PrefectFuture) and ended(style).name != "Cached"
    return Ending(
        "cached" if cached else "done",
        put_in_place(record, job, output),
        "computed" if computed else "hit",
    )


def warn_if_not_kept(job: Job, output: Place) -> None:
    """Say so where Prefect could not keep a record, which it does not say itself."""
    record = row_records(output) / job.key
    try:
        there = record.exists() if isinstance(record, Path) else bool(version_of(record).size)
    except OSError:
        there = False
    if not there:
        logger.warning(
            "%s: it is done, but its record cannot be kept at %s: the next run makes it again",
            job.output,
            told(record),
        )


def failed_ending(
    job: Job, picture: PrefectFuture[PictureRecord], style: Style | None, output: Place
) -> Ending:
    """Why a row failed, in a line; the traceback goes to a file beside the pictures."""
    failed, subject = ended(picture), ""
    if isinstance(style, PrefectFuture) and not ended(style).is_completed():
        failed, subject = ended(style), f"style {job.style_name}: "
    error = failed.result(raise_on_failure=False)
    if isinstance(error, StoppedError):
        return Ending("interrupted", error=str(error), interrupted_picture=error.picture)
    if isinstance(error, CancelledError | AsyncCancelledError):
        return PENDING
    if not isinstance(error, BaseException):
        why = f"{subject}{failed.name}: {failed.message or 'no reason was given'}"
        return Ending("failed", error=why)
    why = f"{subject}{in_a_line(error)}"
    if isinstance(error, StorageError) and str(error.filename).startswith(told(output)):
        return Ending("failed", error=why, is_output_lost=True)
    write_traceback(error, error_path(output, job.output))
    return Ending("failed", error=why)


def in_a_line(error: BaseException) -> str:
    """What an error says, as a cell of a table can hold it."""
    told = without_secrets(" ".join(f"{type(error).__name__}: {error}".split()))
    return told if len(told) <= LONGEST_ERROR else f"{told[:LONGEST_ERROR]} ..."


def write_traceback(error: BaseException, path: Place) -> None:
    """Keep it for whoever mends the cause; a full disk shall not cost the table as well."""
    try:
        told = without_secrets("".join(traceback.format_exception(error)))
        write_whole(path, told.encode())
    except OSError:
        logger.exception("the traceback of a failed row could not be written to %s", path)


def has_begun(picture: PrefectFuture[PictureRecord]) -> bool:
    """Whether a task run that was waited for ever ran; without its style it cannot."""
    return picture.state.name != "NotReady"


def tell_end(job: Job, ending: Ending) -> None:
    """Tell how a row ended that could not tell so itself, in another process or not begun."""
    if ending.record:
        tell(RowProgress(job.line, job.output, "done", share=1, loss=ending.record.total_loss))
    else:
        tell(RowProgress(job.line, job.output, "failed", message=ending.error))
