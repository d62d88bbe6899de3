"""The time left of a batch, on simulated batches: they have no clock and need no time."""

import heapq
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

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
from tasks.report.time_left import TimeLeft, last_end

SIDES = (128, 256, 384, 512, 768, 1024)
REPORTS = 12
"""Reports of a row that does all of its steps."""


@dataclass(frozen=True)
class TrueRow:
    """What a row really takes, in seconds, and the share of its work after which it stops."""

    estimate: RowEstimate
    preparation: float
    work: float
    share: float

    def events(self, began: float, compilation: float) -> Iterator[tuple[float, Event]]:
        """Yield the events of the row; two fifths of the compilation come before its steps."""
        line, name = self.estimate.line, f"{self.estimate.line}.png"
        yield began, RowStarted(line, name)
        stepping = began + 0.7 * self.preparation + 0.4 * compilation
        yield stepping, RowStepped(line, name, 0, 60, 0.0, 1.0)
        stepping += 0.6 * compilation
        for number in range(1, REPORTS + 1):
            share = min(self.share, number / REPORTS)
            yield stepping + self.work * share, RowStepped(line, name, 5 * number, 60, share, 1.0)
            if share == self.share:
                break
        end = stepping + self.work * self.share + 0.3 * self.preparation
        yield end, RowEnded(line, name, "done", 1.0)


@dataclass(frozen=True)
class TrueBatch:
    """A batch as it really runs: the first row on each device compiles, and pauses are short."""

    rows: list[TrueRow]
    devices: int
    compilation: float = 0.0
    pause: float = 0.0

    def events(self) -> list[tuple[float, Event]]:
        """Return what happens, in order, in seconds from the start."""
        happened: list[tuple[float, Event]] = []
        free = [(0.0, number) for number in range(self.devices)]
        compiled: set[int] = set()
        for row in self.rows:
            began, device = heapq.heappop(free)
            own = [*row.events(began + self.pause, 0 if device in compiled else self.compilation)]
            compiled.add(device)
            heapq.heappush(free, (own[-1][0], device))
            happened += own
        return sorted(happened, key=lambda each: each[0])

    def planned(self) -> TimeLeft:
        """Return an estimator that knows the plan."""
        left = TimeLeft()
        estimates = tuple(row.estimate for row in self.rows)
        left.note(RowsPlanned(len(estimates), len(estimates), 0, estimates), 0.0)
        left.note(DevicesOpened(tuple(f"GPU:{number}" for number in range(self.devices))), 0.0)
        return left

    def after(self, share: float) -> tuple[float, float]:
        """Return the estimated and the true time left after a share of all steps."""
        left, events = self.planned(), self.events()
        work = {row.estimate.line: row.work for row in self.rows}
        all_work = math.fsum(row.work * row.share for row in self.rows)
        done: dict[int, float] = {}
        for now, event in events:
            left.note(event, now)
            if isinstance(event, RowStepped):
                done[event.line] = event.share * work[event.line]
                if math.fsum(done.values()) >= share * all_work:
                    break
        estimated = left.seconds(now)
        assert estimated is not None
        return estimated, events[-1][0] - now


def mixed_batch(seed: int, *, noise: float = 0.15, by_size: float = 1.0) -> TrueBatch:
    """Return a batch of 40 to 200 rows of mixed sizes, whose estimates are wrong.

    Work, preparation and compilation are each wrong by a factor from 0.2 to 5 of its own.

    Args:
        seed: what the batch follows from.
        noise: the standard deviation of the logarithm of a row's time per step.
        by_size: the largest factor by which the error of each size differs in addition.
    """
    draw = random.Random(seed)
    work, preparation, compilation = (5 ** draw.uniform(-1, 1) for _ in range(3))
    devices, per_pixel = draw.randint(1, 4), 10 ** draw.uniform(-5.5, -4.5)
    usual_share, takes, compiles = draw.uniform(0.5, 1), draw.uniform(0.3, 2), draw.uniform(2, 10)
    of_size = {side: by_size ** draw.uniform(-1, 1) for side in SIDES}
    rows = []
    for line in range(draw.randint(40, 200)):
        side = draw.choice(SIDES)
        seconds = per_pixel * side**2
        estimate = RowEstimate(
            line,
            preparation=takes * preparation,
            work=seconds * work,
            compilation=compiles * compilation if line < devices else 0.0,
            share=usual_share,
            speed_group=str(side),
            share_group="x",
        )
        row = TrueRow(
            estimate,
            preparation=takes * draw.lognormvariate(0, 0.2),
            work=seconds * of_size[side] * draw.lognormvariate(0, noise),
            share=min(1.0, max(0.2, draw.gauss(usual_share, 0.08))),
        )
        rows.append(row)
    return TrueBatch(rows, devices, compiles, pause=draw.uniform(0, 0.5))


@dataclass
class Errors:
    """The relative errors of the estimates of many batches."""

    all: list[float] = field(default_factory=list)

    def within(self, limit: float) -> float:
        """Return the share of the batches whose error is at most this."""
        return sum(abs(error) <= limit for error in self.all) / len(self.all)

    @classmethod
    def after(cls, share: float, batches: Iterator[TrueBatch]) -> "Errors":
        errors = cls()
        for batch in batches:
            estimated, true = batch.after(share)
            errors.all.append(estimated / true - 1)
        return errors


@pytest.mark.parametrize(
    ("share", "by_size", "least"), [(0.1, 1.0, 0.95), (0.1, 1.5, 0.95), (0.5, 1.5, 0.99)]
)
def test_after_a_tenth_of_the_work_it_is_right_to_20_percent(
    share: float, by_size: float, least: float
) -> None:
    batches = (mixed_batch(seed, by_size=by_size) for seed in range(120))
    errors = Errors.after(share, batches)
    assert errors.within(0.2) >= least
    assert abs(sorted(errors.all)[60]) < 0.05, "it leans to no side"


def rows_of(*seconds: float, is_measured: bool = False, wrong: float = 1.0) -> list[TrueRow]:
    """Return rows of a second of preparation and these seconds of work."""
    return [
        TrueRow(
            RowEstimate(line, wrong, wrong * work, speed_group="x", is_measured=is_measured),
            *(1.0, work, 1.0),
        )
        for line, work in enumerate(seconds)
    ]


def test_measured_rows_have_an_estimate_before_anything_runs() -> None:
    assert TrueBatch(rows_of(9, 9, 19, is_measured=True), 1).planned().seconds(0.0) == 40
    assert TrueBatch(rows_of(9, 9, 19, is_measured=True), 2).planned().seconds(0.0) == 30
    assert TrueBatch(rows_of(9, 9, 19), 1).planned().seconds(0.0) is None


def test_a_guess_is_shown_once_a_tenth_of_a_row_is_done() -> None:
    batch = TrueBatch(rows_of(120, 120, wrong=3), 1)
    left = batch.planned()
    for now, event in batch.events()[:2]:
        left.note(event, now)
        assert left.text(now) == ""
    for now, event in batch.events()[2:4]:
        left.note(event, now)
    assert left.seconds(now) == pytest.approx(0.9 * 120 - 8 + 1 + 120 + 2, abs=5)
    assert left.text(now).endswith(" left")


def test_it_falls_while_rows_run_and_ends_with_the_batch() -> None:
    batch = TrueBatch(rows_of(30, 60, 90, 30, wrong=0.5), 2, compilation=4, pause=0.2)
    left, last = batch.planned(), math.inf
    for now, event in batch.events():
        left.note(event, now)
        if isinstance(event, RowEnded) and (seconds := left.seconds(now)) is not None:
            assert seconds < last
            last = seconds
    assert left.seconds(now) is None
    assert left.text(now) == ""


def test_rows_that_failed_or_were_not_needed_count_no_more() -> None:
    batch = TrueBatch(rows_of(10, 10, 10, 10), 1)
    left = batch.planned()
    for now, event in batch.events()[: REPORTS + 3]:
        left.note(event, now)
    before = left.seconds(now) or 0
    left.note(RowEnded(1, "1.png", "failed", reason="no room"), now)
    assert left.seconds(now) == pytest.approx(before * 2 / 3)
    left.note(RowStarted(2, "2.png"), now)
    left.note(RowEnded(2, "2.png", "failed", reason="no room"), now)
    left.note(RowEnded(99, "copy.png", "done"), now)
    assert left.seconds(now) == pytest.approx(before / 3)


def test_a_row_that_begins_again_has_all_of_its_work_ahead() -> None:
    left = TrueBatch(rows_of(100, is_measured=True), 2).planned()
    left.note(RowStarted(0, "0.png"), 0.0)
    for share in (0, 0.4, 0.8):
        left.note(RowStepped(0, "0.png", 0, 60, share, 1.0), 1 + 100 * share)
    assert left.seconds(81.0) == pytest.approx(20)
    left.note(RowWaiting(0, "0.png"), 81.0)
    left.note(RowStarted(0, "0.png"), 81.0)
    assert left.seconds(81.0) == pytest.approx(101)


def test_a_row_that_continues_does_not_look_fast() -> None:
    left = TrueBatch(rows_of(100, 100, is_measured=True), 1).planned()
    left.note(RowStarted(0, "0.png"), 0.0)
    for at, share in ((1, 0.7), (11, 0.8), (21, 0.9)):
        left.note(RowStepped(0, "0.png", 0, 60, share, 1.0), at)
    assert left.seconds(21.0) == pytest.approx(10 + 101)


def test_a_cluster_reports_only_ends() -> None:
    batch = TrueBatch([replace(row) for row in rows_of(9, 9, 9, 9)], 1)
    left = batch.planned()
    assert left.seconds(5.0) is None
    left.note(RowEnded(0, "0.png", "done"), 30.0)
    assert left.seconds(30.0) == pytest.approx(90)


def test_the_longest_rows_decide_when_several_devices_end() -> None:
    assert last_end([1, 1, 1, 9], [0, 0]) == 10
    assert last_end([9, 1, 1, 1], [0, 0]) == 9
    assert last_end([], [3, 5]) == 5
