"""How a row ended: its task run, or what earlier runs left -> an `Ending`."""

import logging
import traceback
from asyncio import CancelledError as AsyncCancelledError
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from prefect.futures import PrefectFuture

from nst_core.files import StorageError, size_of, sizes_below, write_whole
from nst_core.places import Place, told, without_secrets
from nst_core.write_errors import explained
from tasks.jobs import Job
from tasks.layout import PICTURES, curve_path, error_path, picture_path, row_records
from tasks.placement import LOOKS_AT_ONCE, find_finished, first_lines, place_finished
from tasks.progress import ENDS, RowEnd, RowProgress, tell
from tasks.records import FileReference, PictureRecord, RecordError, StyleRecord
from tasks.runners import ended
from tasks.statuses import PENDING, Ending
from tasks.stopping import StoppedError

logger = logging.getLogger("nst_batch.endings")

LONGEST_ERROR = 600
"""In characters; TensorFlow's messages can fill pages, and the whole is in the row's file."""

Style = StyleRecord | PrefectFuture[StyleRecord]


def endings_of_finished(jobs: Sequence[Job], output: Place) -> dict[int, Ending]:
    """By their lines, how the jobs ended that earlier runs finished, each with its own files.

    Raises:
        StorageError: a storage does not say whether a job is done.
    """
    placed = place_finished(find_finished(jobs, output), jobs, output)
    done = {line: Ending("cached", record, "hit") for line, record in placed.records.items()}
    failed = {
        line: Ending("failed", error=f"its picture cannot be put in its place: {in_a_line(error)}")
        for line, error in placed.errors.items()
    }
    endings = done | failed
    return {
        job.line: replace(endings[job.line], same_as=first if first != job.line else None)
        for job, first in zip(jobs, first_lines(jobs), strict=True)
        if job.line in endings
    }


def gather(
    job: Job, picture: PrefectFuture[PictureRecord], style: Style | None, output: Place
) -> Ending:
    """Wait for a job's picture and say how it ended; no failure of one row reaches another."""
    try:
        if not ended(picture).is_completed():
            return failed_ending(job, picture, style, output)
        return ending_of(job, picture, style, output)
    except (OSError, RecordError) as error:
        return Ending("failed", error=in_a_line(error))


def ending_of_equal(job: Job, first: int, ending: Ending, output: Place) -> Ending:
    """How a job ended that is equal to one in an earlier line, of which it gets a copy.

    Args:
        job: what it is.
        first: the line of the other one.
        ending: how that one ended.
        output: the batch's output folder.
    """
    try:
        record = ending.record and copied_to(job.output, ending.record, output)
    except (OSError, RecordError) as error:
        return Ending("failed", error=in_a_line(error), same_as=first)
    # The output's storage is lost once, not as often as there are equal rows.
    return replace(ending, record=record, same_as=first, is_output_lost=False)


def copied_to(name: str, record: PictureRecord, output: Place) -> PictureRecord:
    """A record whose files are those of the output of this name, copied there if need be.

    Raises:
        RecordError: the picture or its curve is not there any more.
        OSError: it cannot be written.
    """
    place, curve_place = picture_path(output, name), curve_path(output, name)
    if record.file.path == place:
        return record
    file, curve = FileReference.write(place, record.file.read()), record.curve_file
    if curve:
        curve = FileReference.write(curve_place, curve.read())
    update = {"file": file, "curve": curve_place.absolute(), "curve_file": curve}
    return record.model_copy(update=update)


def confirmed(
    jobs: Iterable[Job], endings: Mapping[int, Ending], output: Place
) -> dict[int, Ending]:
    """Endings by line, a row having failed where its picture is not there when the batch ends.

    Args:
        jobs: of the rows that could run.
        endings: by line.
        output: the batch's output folder, which others may have removed or written to meanwhile.
    """
    with_picture = [job for job in jobs if endings[job.line].record]
    sizes = sizes_of_pictures([job.output for job in with_picture], output)
    checked = dict(endings)
    for job in with_picture:
        record, size = endings[job.line].record, sizes.get(job.output)
        if record and size != record.file.size:
            found = "nothing" if size is None else f"{size} bytes"
            why = (
                f"{told(record.file.path)}: found {found}, expected the {record.file.size} bytes "
                "of its picture: the output folder was changed while the batch ran; run it again"
            )
            checked[job.line] = replace(endings[job.line], status="failed", record=None, error=why)
    return checked


def sizes_of_pictures(names: Sequence[str], output: Place) -> dict[str, int]:
    """In bytes, of the pictures of these outputs that are there."""
    if not isinstance(output, Path):
        # A storage may keep its listing from us; then it is asked for each.
        with suppress(OSError):
            return sizes_below(output / PICTURES)

    def look(name: str) -> int | None:
        try:
            return size_of(picture_path(output, name))
        except OSError:
            return None

    with ThreadPoolExecutor(LOOKS_AT_ONCE) as pool:
        found = zip(names, pool.map(look, names), strict=True)
        return {name: size for name, size in found if size is not None}


def ending_of(
    job: Job, picture: PrefectFuture[PictureRecord], style: Style | None, output: Place
) -> Ending:
    """How a job ended whose task run completed: another run may have been quicker."""
    record = picture.result()
    warn_if_not_kept(job, output)
    computed = isinstance(style, PrefectFuture) and ended(style).name != "Cached"
    return Ending(
        "cached" if picture.state.name == "Cached" else "done",
        copied_to(job.output, record, output),
        "computed" if computed else "hit",
    )


def warn_if_not_kept(job: Job, output: Place) -> None:
    """Say so where Prefect could not keep a record, which it does not say itself."""
    record = row_records(output) / job.key
    try:
        there = size_of(record) > 0
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
    said = isinstance(error, OSError) and explained(error, {})
    told = without_secrets(" ".join((said or f"{type(error).__name__}: {error}").split()))
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
    # Not from the future itself, which asks the server where its task broke off.
    return ended(picture).name != "NotReady"


def tell_end(job: Job, ending: Ending) -> None:
    """Tell how a row ended that could not tell so itself: elsewhere, not begun, or equal to one."""
    if ending.record:
        tell(RowProgress(job.line, job.output, "done", share=1, loss=ending.record.total_loss))
        return
    event: RowEnd = ending.status if ending.status in ENDS else "failed"
    tell(RowProgress(job.line, job.output, event, message=ending.error))
