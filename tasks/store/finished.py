"""Rows that are finished: by earlier runs, as copies of equal rows, and confirmed at the end."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

from nst_core.storage.files import reads_at_once, sizes_of_files, stat
from nst_core.storage.local import on_disk
from nst_core.storage.places import redacted
from nst_core.storage.write_errors import explained
from tasks.job import Job
from tasks.store.file_reference import FileReference, RecordError
from tasks.store.lookup import find_finished, first_lines
from tasks.store.output_folder import PICTURES, OutputFolder
from tasks.store.placement import place_finished
from tasks.store.records import PictureRecord
from tasks.store.statuses import RowResult

LONGEST_ERROR = 600
"""The most characters of an error: TensorFlow's messages can fill pages. The row's file has the
complete message."""


def results_of_finished(jobs: Sequence[Job], output: OutputFolder) -> dict[int, RowResult]:
    """Return, by line, the results of the jobs that earlier runs finished, each with its own files.

    Raises:
        StorageError: a storage does not say whether a job is done.
    """
    newer: dict[str, str] = {}
    placed = place_finished(find_finished(jobs, output, newer), jobs, output)
    done = {line: RowResult("cached", record, "hit") for line, record in placed.records.items()}
    failed = {
        line: RowResult(
            "failed",
            error=f"its picture or its curve cannot be copied to its current name: "
            f"{in_a_line(error)}",
        )
        for line, error in placed.errors.items()
    }
    not_ours = {
        job.line: RowResult("failed", error=newer[job.key]) for job in jobs if job.key in newer
    }
    results = done | failed | not_ours
    return {
        job.line: replace(results[job.line], same_as=first if first != job.line else None)
        for job, first in zip(jobs, first_lines(jobs), strict=True)
        if job.line in results
    }


def result_of_equal(job: Job, first: int, result: RowResult, output: OutputFolder) -> RowResult:
    """Return the result of a job that gets a copy from an equal job in an earlier line.

    Args:
        job: the job that gets the copy.
        first: the line of the other job.
        result: the result of the other job.
        output: the batch's output folder.
    """
    try:
        record = result.record and copied_to(job.output, result.record, output)
    except (OSError, RecordError) as error:
        return RowResult("failed", error=in_a_line(error), same_as=first)
    # The loss of the output's storage counts once, not once for each equal row.
    return replace(result, record=record, same_as=first, is_output_lost=False)


def copied_to(name: str, record: PictureRecord, output: OutputFolder) -> PictureRecord:
    """Return a record whose files are those of this output, copied there if necessary.

    Raises:
        RecordError: the picture or its curve no longer exists.
        OSError: the copy cannot be written.
    """
    place, curve_place = output.picture(name), output.curve(name)
    if record.file.path == place:
        return record
    file, curve = FileReference.write(place, record.file.read()), record.curve_file
    if curve:
        curve = FileReference.write(curve_place, curve.read())
    update = {"file": file, "curve": curve_place.absolute(), "curve_file": curve}
    return record.model_copy(update=update)


def confirmed(
    jobs: Iterable[Job], results: Mapping[int, RowResult], output: OutputFolder
) -> dict[int, RowResult]:
    """Return results by line; a row has failed if its picture is missing when the batch ends.

    Args:
        jobs: the jobs of the rows that could run.
        results: the results by line.
        output: the batch's output folder, which others may have removed or changed in the meantime.
    """
    with_picture = [job for job in jobs if results[job.line].record]
    sizes = sizes_of_pictures([job.output for job in with_picture], output)
    checked = dict(results)
    for job in with_picture:
        record, size = results[job.line].record, sizes.get(job.output)
        if record and size != record.file.size:
            found = "nothing" if size is None else f"{size} bytes"
            why = (
                f"{redacted(record.file.path)}: found {found}, expected the {record.file.size} "
                "bytes of its picture: the output folder was changed while the batch ran; run "
                "the batch again"
            )
            checked[job.line] = replace(results[job.line], status="failed", record=None, error=why)
    return checked


def sizes_of_pictures(names: Sequence[str], output: OutputFolder) -> dict[str, int]:
    """Return the sizes in bytes of these outputs' pictures, for those that exist."""
    if on_disk(output.root) is None:
        # A storage may refuse to list its files; then it is asked for each one.
        with suppress(OSError):
            return sizes_of_files(output.root / PICTURES)

    def look(name: str) -> int | None:
        try:
            return stat(output.picture(name)).size
        except OSError:
            return None

    with ThreadPoolExecutor(reads_at_once(output.root)) as pool:
        found = zip(names, pool.map(look, names), strict=True)
        return {name: size for name, size in found if size is not None}


def count_replaced(to_run: Iterable[Job], done: Collection[str], output: OutputFolder) -> int:
    """Return how many rows replace a picture that was made with other settings or pictures.

    Args:
        to_run: the jobs of the rows that run.
        done: the keys of jobs whose own pictures are there.
        output: the batch's output folder.
    """
    names = [job.output for job in to_run if job.key not in done]
    there = sizes_of_pictures(names, output) if names else {}
    return sum(name in there for name in names)


def in_a_line(error: BaseException) -> str:
    """Return an error's message on one line, short enough for a cell of the table."""
    explanation = isinstance(error, OSError) and explained(error, {})
    return shortened(
        redacted(" ".join((explanation or f"{type(error).__name__}: {error}").split()))
    )


def shortened(message: str) -> str:
    """Return a message, cut off if it is too long for a cell of the table."""
    return message if len(message) <= LONGEST_ERROR else f"{message[:LONGEST_ERROR]} ..."
