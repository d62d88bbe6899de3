"""Rows that begin when a worker is free, if they still fit in the time, and frames in order."""

import math
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain

from tasks.engine.collect import report_end
from tasks.engine.frame_order import end_without_previous, may_begin
from tasks.engine.in_flight import InFlight, SubmitRow, SubmitStyle
from tasks.engine.runner_choice import LOCAL
from tasks.engine.runners import is_done
from tasks.job import Job
from tasks.stopping import Deadline, Limits, raise_if_asked_to_stop
from tasks.store.statuses import STOPPED, RowResult

LOOK_EVERY = 0.05
"""Seconds between two looks at the rows that run."""

PATIENCE = 60.0
"""Seconds after the deadline in which a cluster may still say how its rows ended."""

NOT_BEGUN = RowResult(
    "pending", error="the time was up before this row began; the next run continues with it"
)
NOT_HEARD_OF = RowResult(
    "pending", error="the time was up, and the cluster did not say how this row ended"
)


@dataclass(frozen=True)
class Schedule:
    """The rows that still fit into the time of a run.

    Attributes:
        deadline: that of the run.
        seconds: the estimated seconds of each row, by its key.
        continues: whether a row that is interrupted continues in the next run.
    """

    deadline: Deadline
    seconds: Mapping[str, float]
    continues: bool

    @classmethod
    def of(
        cls, jobs: Iterable[Job], limits: Limits, estimate: Callable[[Job], float], continues: bool
    ) -> "Schedule":
        """Return the schedule of a run's jobs.

        Args:
            jobs: the jobs.
            limits: when rows must end; no row takes longer than its own limit.
            estimate: returns the seconds of a job that nothing disturbs.
            continues: see the attribute.
        """
        seconds = {job.key: min(estimate(job), limits.row_seconds) for job in jobs}
        return cls(limits.deadline, seconds, continues)

    def next_of(self, waiting: Iterable[Job]) -> Job | None:
        """Return the first job that may begin now; None if none may, now or later.

        A job that takes longer than the whole window of the run could never begin. It may therefore
        begin if no other job fits, because the next run continues it.
        """
        waiting, left = list(waiting), self.deadline.seconds_left
        if left <= 0:
            return None
        fitting = (job for job in waiting if self.seconds[job.key] <= left)
        too_long = (
            job
            for job in waiting
            if self.continues and self.seconds[job.key] > self.deadline.window
        )
        return next(chain(fitting, too_long), None)

    def seconds_of(self, jobs: Iterable[Job], at_once: int) -> float:
        """Return how long jobs would take, in seconds, if so many run at once."""
        return sum(self.seconds[key] for key in {job.key for job in jobs}) / max(1, at_once)


def _give_up(
    in_flight: InFlight,
    waiting: Iterable[Job],
    equal: Mapping[str, list[Job]],
    lines: Collection[int],
) -> list[str]:
    """Store how frames ended whose frame before has no picture, and return their keys."""
    given_up = []
    for job in waiting:
        if result := end_without_previous(job, in_flight.results, lines):
            given_up.append(job.key)
            for each in equal[job.key]:
                first = job.line if each is not job else None
                in_flight.results[each.line] = replace(result, same_as=first)
                report_end(each, result)
    return given_up


def gather_in_time(
    in_flight: InFlight,
    jobs: list[Job],
    schedule: Schedule,
    submit: tuple[SubmitStyle, SubmitRow],
    at_once: Callable[[], int],
) -> float | None:
    """Run the jobs that end in time, and store how each job ended.

    Unlike without a deadline, nothing is submitted before a worker is free: a task run takes tens
    of milliseconds even if it gives up immediately, and thousands of them would have to give up.
    The frames of a sequence run this way, too: a frame is submitted once the frame before it is
    done, because a task that waits for another one would occupy a thread.

    Args:
        in_flight: the rows in flight, of which there are none yet.
        jobs: the jobs, in the order in which they should run.
        schedule: which of them end in time.
        submit: the functions that submit the task of a style, and of a row.
        at_once: returns how many rows can run at once now.

    Returns:
        The estimated seconds that the remaining rows would take; None if no row remains, or if
        there is no deadline.
    """
    usual = at_once()
    in_flight.gather(_ended(in_flight, jobs, schedule, submit, at_once), most_ahead=0)
    for job in jobs:
        in_flight.results.setdefault(job.line, NOT_BEGUN)
    left = [job for job in jobs if in_flight.results[job.line].status in STOPPED]
    is_limited = math.isfinite(schedule.deadline.at)
    return schedule.seconds_of(left, usual) if left and is_limited else None


def _ended(
    in_flight: InFlight,
    jobs: list[Job],
    schedule: Schedule,
    submit: tuple[SubmitStyle, SubmitRow],
    at_once: Callable[[], int],
) -> Iterator[Job]:
    """Submit jobs as long as there is time, and yield each once it has ended, with its equals."""
    equal: dict[str, list[Job]] = {}
    for each in jobs:
        equal.setdefault(each.key, []).append(each)
    waiting = {key: first for key, (first, *_) in equal.items()}
    running: set[str] = set()
    lines = {each.line for each in jobs}
    frames = [first for first in waiting.values() if first.previous]
    while True:
        raise_if_asked_to_stop()
        for key in _give_up(in_flight, [f for f in frames if f.key in waiting], equal, lines):
            del waiting[key]
        # Even if a cluster has no worker at the moment, one row waits for one.
        while len(running) < max(1, at_once()) and (
            job := schedule.next_of(may_begin(waiting.values(), in_flight.results))
        ):
            for submitted in in_flight.submit([waiting.pop(job.key)], *submit):
                running.add(submitted.key)
        if not running:
            return
        if in_flight.runner != LOCAL and schedule.deadline.seconds_left < -PATIENCE:
            unknown = (each for key in running for each in equal[key])
            in_flight.results.update({each.line: NOT_HEARD_OF for each in unknown})
            return
        time.sleep(LOOK_EVERY)
        for key in [key for key in running if is_done(in_flight.pictures[key])]:
            running.remove(key)
            yield from equal[key]
