"""The time that a batch still takes, from what its rows should take and what they have taken."""

import heapq
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from types import MappingProxyType

from tasks.events import (
    DevicesOpened,
    Event,
    RowEnded,
    RowEstimate,
    RowsPlanned,
    RowStarted,
    RowStepped,
    RowWaiting,
)
from tasks.report.durations import duration
from tasks.report.row_factors import Factors, Report, RunningRow

LEAST_SHARE = 0.1
"""Estimates that are only guesses are worth nothing until this share of a row is done."""


def last_end(durations: Iterable[float], free_at: Iterable[float]) -> float:
    """Return when the last row ends if each, in order, gets the device that is free first.

    Args:
        durations: of the rows, in seconds.
        free_at: when each device is free, in seconds from now; there is at least one.
    """
    free = [*free_at]
    heapq.heapify(free)
    for seconds in durations:
        heapq.heapreplace(free, free[0] + seconds)
    return max(free)


def longest_chain(
    rows: Iterable[RowEstimate],
    seconds: Callable[[RowEstimate], float],
    busy: Mapping[int, float] = MappingProxyType({}),
) -> float:
    """Return how long the longest chain of rows takes that wait for each other, in seconds.

    However many devices there are, the frames of a sequence run one after another.

    Args:
        rows: the estimates of rows that have not begun, the first of a chain first.
        seconds: returns how long a row takes.
        busy: in how many seconds each running row ends, by its line.
    """
    ends = dict(busy)
    for row in rows:
        ends[row.line] = ends.get(row.after, 0.0) + seconds(row)
    return max(ends.values(), default=0.0)


@dataclass
class _Begun:
    """What has happened since the rows were planned, in seconds.

    Attributes:
        planned_at, first_at: when they were planned, and when the first one began.
        rows: how many have begun.
        busy: what the rows that have ended took.
        estimated: what these rows should have taken.
    """

    planned_at: float = 0.0
    first_at: float | None = None
    rows: int = 0
    busy: float = 0.0
    estimated: float = 0.0


class TimeLeft:
    """Estimator of the time that a batch still takes, which learns from the batch's own rows.

    It has no clock: the times are arguments, in seconds from any moment. One thread may ask it
    while others tell it of events.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: dict[int, RowEstimate] = {}
        self._running: dict[int, RunningRow] = {}
        self._factors = Factors()
        self._devices = 1
        self._has_basis = False
        self._begun = _Begun()

    def note(self, event: Event, now: float) -> None:
        """Take note of an event that happened at this time."""
        with self._lock:
            match event:
                case RowsPlanned():
                    self._plan(event.estimates, now)
                case DevicesOpened():
                    self._devices = len(event.devices)
                case RowStarted():
                    self._start(event.line, now)
                case RowWaiting() if row := self._running.get(event.line):
                    # A row whose device failed begins again on another one.
                    row.reports.clear()
                case RowStepped() if row := self._running.get(event.line):
                    row.add(Report(now, event.share))
                    self._has_basis |= event.share >= LEAST_SHARE
                case RowEnded():
                    self._end(event, now)
                case _:
                    # The other events say nothing about how long rows take.
                    pass

    def _plan(self, estimates: tuple[RowEstimate, ...], now: float) -> None:
        self._pending = {estimate.line: estimate for estimate in estimates}
        self._has_basis = all(estimate.is_measured for estimate in estimates)
        rows = Counter(estimate.speed_group for estimate in estimates)
        work: Counter[str] = Counter()
        for estimate in estimates:
            work[estimate.speed_group] += estimate.work  # type: ignore[assignment]
        self._factors = Factors({group: work[group] / count for group, count in rows.items()})
        self._begun = _Begun(planned_at=now)

    def _start(self, line: int, now: float) -> None:
        before = self._running.get(line)
        estimate = before.estimate if before else self._pending.pop(line, None)
        if estimate is not None:
            self._running[line] = RunningRow(estimate, now)
            self._begun.first_at = now if self._begun.first_at is None else self._begun.first_at
            self._begun.rows += before is None

    def _end(self, event: RowEnded, now: float) -> None:
        row, waiting = self._running.pop(event.line, None), self._pending.pop(event.line, None)
        if waiting:
            self._begun.estimated += waiting.seconds
        if row:
            self._begun.busy += now - row.began
            if event.status == "done" and row.reports:
                self._factors.add_steps(row)
                self._factors.add_end(row, now)

    def text(self, now: float) -> str:
        """Return the time left as people say it, such as `12 min left`; empty if it is unknown."""
        seconds = self.seconds(now)
        return "" if seconds is None else f"{duration(seconds)} left"

    def seconds(self, now: float) -> float | None:
        """Return about how many seconds the batch still takes; None if there is no basis for it."""
        with self._lock:
            if not self._pending and not self._running:
                return None
            if self._begun.first_at is None and self._begun.estimated:
                return self._from_ends(now)
            return self._from_rows(now) if self._has_basis else None

    def _from_ends(self, now: float) -> float:
        """Return an estimate for a cluster, which reports nothing but the ends of rows."""
        left = sum(row.seconds for row in self._pending.values())
        return left * (now - self._begun.planned_at) / self._begun.estimated

    def _from_rows(self, now: float) -> float:
        factors = deepcopy(self._factors)
        for row in self._running.values():
            factors.add_steps(row)
        busy = {line: _left(row, factors, now) for line, row in self._running.items()}
        free_at = [*busy.values(), *[0.0] * (self._devices - len(busy))]
        pause = self._pause(now)
        pending = self._pending.values()

        def seconds(row: RowEstimate) -> float:
            return pause + factors.seconds(row)

        return max(last_end(map(seconds, pending), free_at), longest_chain(pending, seconds, busy))

    def _pause(self, now: float) -> float:
        """Return how many seconds usually pass on a device from the end of a row to the next one.

        A style may be computed there.
        """
        if self._begun.first_at is None:
            return 0.0
        busy = self._begun.busy + sum(now - row.began for row in self._running.values())
        idle = self._devices * (now - self._begun.first_at) - busy
        return max(0.0, idle) / self._begun.rows


def _left(row: RunningRow, factors: Factors, now: float) -> float:
    """Return about how many seconds a running row still takes."""
    if not row.reports:
        return max(0.0, factors.seconds(row.estimate) - (now - row.began))
    share = factors.share(row.estimate)
    # A row that is past the usual end may stop at any report.
    ahead = share - row.share if row.share < share else (1 - row.share) / 2
    return max(0.0, ahead * factors.steps(row.estimate) - (now - row.reports[-1].at))
