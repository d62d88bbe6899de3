"""Rows in flight: submitted a limited number ahead, gathered in the order of the manifest."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

from prefect.futures import PrefectFuture

from nst_core.storage.files import StorageError
from tasks.engine.collect import Style, gather, has_begun, report_end
from tasks.engine.runner_choice import LOCAL, RunnerName
from tasks.job import Job
from tasks.stopping import raise_if_asked_to_stop
from tasks.store.finished import result_of_equal
from tasks.store.output_folder import OutputFolder
from tasks.store.records import PictureRecord
from tasks.store.statuses import PENDING, RowResult

MAX_IN_FLIGHT = 1000
"""The most rows that are submitted but not yet gathered; more would only take memory."""

MAX_STORAGE_FAILURES = 3
"""Rows in succession that could not reach the output's storage; after so many, the batch ends.

A later run resumes it.
"""

SubmitStyle = Callable[[Job], Style]
"""Returns the targets of a job's style, or the future of the task that computes them."""

SubmitRow = Callable[[Job, Style], PrefectFuture[PictureRecord]]
"""Submits a job's own task, which waits for its style."""

Item = TypeVar("Item")


class InFlight(NamedTuple):
    """What is in flight, and what has ended.

    Attributes:
        pictures: futures, by the keys of rows; each is removed once it is gathered.
        styles: records of cached targets, futures of those being computed, by the keys of styles.
        ended: the line of the first row with a key, and how it ended.
    """

    pictures: dict[str, PrefectFuture[PictureRecord]]
    styles: dict[str, Style]
    ended: dict[str, tuple[int, RowResult]]


def submit_rows(
    jobs: Iterable[Job], in_flight: InFlight, submit_style: SubmitStyle, submit_row: SubmitRow
) -> Iterator[Job]:
    """Submit the jobs in order, and yield each once its picture is done or in flight.

    A style is submitted just before the first row that needs it.
    """
    for job in jobs:
        if job.key not in in_flight.pictures and job.key not in in_flight.ended:
            if job.style_key not in in_flight.styles:
                in_flight.styles[job.style_key] = submit_style(job)
            in_flight.pictures[job.key] = submit_row(job, in_flight.styles[job.style_key])
        yield job


def gather_rows(
    submitted: Iterable[Job],
    in_flight: InFlight,
    results: dict[int, RowResult],
    output: OutputFolder,
    runner: RunnerName,
) -> None:
    """Wait for each job in order, and store how it ended, by its line in the manifest.

    Args:
        submitted: the jobs, each of which is submitted as it is drawn; at most `MAX_IN_FLIGHT`
            are drawn ahead of the one that is waited for.
        in_flight: what `submit_rows` submits.
        results: how rows ended, by line; entries are added.
        output: the output folder.
        runner: where the rows run.

    Raises:
        StorageError: several rows in succession could not reach the output.
    """
    lost = 0
    for job in lookahead(submitted, MAX_IN_FLIGHT):
        raise_if_asked_to_stop()
        is_first, picture = job.key not in in_flight.ended, in_flight.pictures.get(job.key)
        result = results[job.line] = gather_row(job, in_flight, output)
        if not is_first or runner != LOCAL or (picture and not has_begun(picture)):
            report_end(job, result)
        lost = lost + 1 if result.is_output_lost else 0
        if lost == MAX_STORAGE_FAILURES:
            raise StorageError(f"{output} does not answer: {result.error}")


def gather_row(job: Job, in_flight: InFlight, output: OutputFolder) -> RowResult:
    """Wait for a job, or for its equal in an earlier line, and return how it ended."""
    if job.key in in_flight.ended:
        return result_of_equal(job, *in_flight.ended[job.key], output)
    result = gather(job, in_flight.pictures[job.key], in_flight.styles.get(job.style_key), output)
    in_flight.ended[job.key] = (job.line, result)
    # Without the future, Prefect can free what it holds of the task run.
    del in_flight.pictures[job.key]
    return result


def gather_what_is_there(
    jobs: Iterable[Job],
    in_flight: InFlight,
    results: dict[int, RowResult],
    output: OutputFolder,
    runner: RunnerName,
) -> None:
    """Store how the other jobs of a stopped batch ended, without waiting for a cluster."""
    for job in jobs:
        if job.line not in results:
            is_known = job.key in in_flight.ended or (
                runner == LOCAL and job.key in in_flight.pictures
            )
            results[job.line] = gather_row(job, in_flight, output) if is_known else PENDING


def lookahead(items: Iterable[Item], most: int) -> Iterator[Item]:
    """Yield the items in order, each only when `most` more have been drawn, or all."""
    drawn: deque[Item] = deque()
    for item in items:
        drawn.append(item)
        if len(drawn) > most:
            yield drawn.popleft()
    yield from drawn
