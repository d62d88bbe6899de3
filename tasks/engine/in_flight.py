"""Rows in flight: submitted a limited number ahead, gathered in the order of the manifest."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from prefect.futures import PrefectFuture

from nst_core.storage.files import StorageError
from tasks.engine.collect import Style, gather, has_begun, report_end
from tasks.engine.runner_choice import LOCAL, RunnerName
from tasks.job import Job, JobStyle
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

SubmitStyle = Callable[[Job, JobStyle], Style]
"""Returns the targets of one of a job's styles, or the future of the task that computes them."""

SubmitRow = Callable[[Job, list[Style]], PrefectFuture[PictureRecord]]
"""Submits a job's own task, which waits for its styles."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class InFlight:
    """The rows of a batch in flight, and how its rows ended.

    Attributes:
        results: how rows ended, by line; entries are added as they become known.
        output: the output folder.
        runner: where the rows run.
        pictures: futures, by the keys of rows; each is removed once it is gathered.
        styles: records of cached targets, futures of those being computed, by the keys of styles.
        ended: the line of the first row with a key, and how it ended.
    """

    results: dict[int, RowResult]
    output: OutputFolder
    runner: RunnerName
    pictures: dict[str, PrefectFuture[PictureRecord]] = field(default_factory=dict)
    styles: dict[str, Style] = field(default_factory=dict)
    ended: dict[str, tuple[int, RowResult]] = field(default_factory=dict)

    def submit(
        self, jobs: Iterable[Job], submit_style: SubmitStyle, submit_row: SubmitRow
    ) -> Iterator[Job]:
        """Submit the jobs in order, and yield each once its picture is done or in flight.

        A style is submitted just before the first row that needs it.
        """
        for job in jobs:
            if job.key not in self.pictures and job.key not in self.ended:
                for style in job.styles:
                    if style.key not in self.styles:
                        self.styles[style.key] = submit_style(job, style)
                self.pictures[job.key] = submit_row(job, self._styles_of(job))
            yield job

    def gather(self, submitted: Iterable[Job], most_ahead: int | None = None) -> None:
        """Wait for each job in order, and store how it ended.

        Args:
            submitted: the jobs, each of which is submitted as it is drawn.
            most_ahead: how many are drawn ahead of the one that is waited for; by default, at most
                `MAX_IN_FLIGHT`.

        Raises:
            StorageError: several rows in succession could not reach the output.
        """
        lost = 0
        for job in lookahead(submitted, MAX_IN_FLIGHT if most_ahead is None else most_ahead):
            raise_if_asked_to_stop()
            is_first, picture = job.key not in self.ended, self.pictures.get(job.key)
            result = self.results[job.line] = self.gather_row(job)
            if not is_first or self.runner != LOCAL or (picture and not has_begun(picture)):
                report_end(job, result)
            lost = lost + 1 if result.is_output_lost else 0
            if lost == MAX_STORAGE_FAILURES:
                raise StorageError(f"{self.output} does not answer: {result.error}")

    def gather_row(self, job: Job) -> RowResult:
        """Wait for a job, or for its equal in an earlier line, and return how it ended."""
        if job.key in self.ended:
            return result_of_equal(job, *self.ended[job.key], self.output)
        result = gather(job, self.pictures[job.key], self._styles_of(job), self.output)
        self.ended[job.key] = (job.line, result)
        # Without the future, Prefect can free what it holds of the task run.
        del self.pictures[job.key]
        return result

    def _styles_of(self, job: Job) -> list[Style]:
        """Return the styles of a job that was submitted, in their order."""
        return [self.styles[style.key] for style in job.styles]

    def gather_what_is_there(self, jobs: Iterable[Job]) -> None:
        """Store how the other jobs of a stopped batch ended, without waiting for a cluster."""
        for job in jobs:
            if job.line not in self.results:
                is_known = job.key in self.ended or (
                    self.runner == LOCAL and job.key in self.pictures
                )
                self.results[job.line] = self.gather_row(job) if is_known else PENDING


def lookahead(items: Iterable[Item], most: int) -> Iterator[Item]:
    """Yield the items in order, each only when `most` more have been drawn, or all."""
    drawn: deque[Item] = deque()
    for item in items:
        drawn.append(item)
        if len(drawn) > most:
            yield drawn.popleft()
    yield from drawn
