"""The rows of a batch, timed by their events, so that the next batch knows this machine's speed."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tasks.events import (
    DevicesOpened,
    Event,
    RowEnded,
    RowRetried,
    RowStarted,
    RowStepped,
    RowWaiting,
    subscribed,
)
from tasks.job import Job
from tasks.store.row_kinds import Kind, MeasuredRow, device_kind
from tasks.store.speeds import Speeds
from tasks.store.style_cache import StyleCache


@dataclass
class _Running:
    """A row that runs: when it started, and its steps so far.

    Attributes:
        steps: when each report came, and the share of the work that was done by then.
        is_first: whether its device compiled its kind of rows.
    """

    started: float
    is_first: bool
    steps: list[tuple[float, float]]


class Timings:
    """The times of rows, from their events; there is no clock, as times are arguments, in seconds.

    Only rows that ran undisturbed from their start to their end count: a row that waited for a
    device, was tried again, continued from a checkpoint or was made to end early says nothing about
    how long such rows take. Rows on a CPU that another run uses are kept apart.

    Attributes:
        measured: the rows that had their device to themselves.
        beside: the rows on a CPU that another run used, too.
    """

    def __init__(self, jobs: Iterable[Job], host: str) -> None:
        self.measured: list[MeasuredRow] = []
        self.beside: list[MeasuredRow] = []
        self._jobs = {job.line: job for job in jobs}
        self._host = host
        self._devices: tuple[str, ...] = ()
        self._is_beside = False
        self._running: dict[int, _Running] = {}
        self._begun: dict[tuple[str, ...], int] = {}

    def note(self, event: Event, now: float) -> None:
        """Take note of an event that happened at this time."""
        match event:
            case DevicesOpened():
                self._devices = event.devices
                self._is_beside = bool(event.cpu_shared_with)
            case RowStarted():
                self._start(event.line, now)
            case RowStepped() if event.line in self._running:
                self._running[event.line].steps.append((now, event.share))
            case RowWaiting() | RowRetried():
                self._running.pop(event.line, None)
            case RowEnded():
                row = self._running.pop(event.line, None)
                if row and event.status == "done" and event.is_typical:
                    self._end(self._jobs[event.line], row, now)
            case _:
                # The other events say nothing about how long rows take.
                pass

    def _start(self, line: int, now: float) -> None:
        if self._devices and line in self._jobs:
            program = self._kind(self._jobs[line]).program
            begun = self._begun[program] = self._begun.get(program, 0) + 1
            self._running[line] = _Running(now, begun <= len(self._devices), [])

    def _end(self, job: Job, row: _Running, now: float) -> None:
        if len(row.steps) < 2 or row.steps[0][1] > 0:
            return
        # A device that compiles does so before the first row's second report.
        (begin, from_share), (end, share) = row.steps[1], row.steps[-1]
        (self.beside if self._is_beside else self.measured).append(
            MeasuredRow(
                kind=self._kind(job),
                work=job.multiplications,
                share=share,
                seconds=now - row.started,
                stepping_seconds=end - begin,
                stepping_share=share - from_share,
                is_first=row.is_first,
            )
        )

    def _kind(self, job: Job) -> Kind:
        return Kind.of(job, device_kind(self._devices), self._host)


@contextmanager
def measuring(jobs: Iterable[Job], cache: StyleCache) -> Iterator[None]:
    """Measure the rows that end while the context lasts, and store their speeds at its end.

    Rows on a cluster are not measured, as their events do not reach this process.

    Args:
        jobs: the jobs of these rows.
        cache: the cache that runs use.
    """
    host = Speeds().host
    timings = Timings(jobs, host)
    with subscribed(lambda event: timings.note(event, time.monotonic())):
        try:
            yield
        finally:
            if timings.measured or timings.beside:
                Speeds.read(cache).with_rows(timings.measured, timings.beside).write(cache)
