"""Which rows begin if a run has a deadline, and in which order."""

import math
import pickle
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.engine import in_time
from tasks.engine.in_flight import InFlight
from tasks.engine.in_time import NOT_BEGUN, NOT_HEARD_OF, Schedule, gather_in_time
from tasks.engine.runner_choice import RunnerName
from tasks.stopping import Deadline, Limits, StoppedError, check_may_continue
from tasks.store.output_folder import OutputFolder
from tasks.store.statuses import RowResult

OUTPUT = OutputFolder(Path("out"))


class Clock:
    """The time of deadlines, in seconds since 1970."""

    def __init__(self) -> None:
        self.now = 0.0

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("tasks.stopping.time", clock)
    monkeypatch.setattr(in_time, "time", clock)
    return clock


def job(line: int, seconds: float, key: str = "", after: int | None = None) -> Any:
    """Return what takes the place of a job that takes some seconds, maybe after another frame."""
    facts = {"line": line, "key": key or str(line), "seconds": seconds}
    previous = None if after is None else SimpleNamespace(line=after)
    frame = {"previous": previous, "sequence": "walk", "output": f"{line}.png"}
    return SimpleNamespace(**facts, **frame, styles=(SimpleNamespace(key="s"),))


def schedule_of(jobs: list[Any], end: float, *, continues: bool = True, **limits: Any) -> Schedule:
    deadline = Deadline(end, window=end)
    return Schedule.of(jobs, Limits(deadline, **limits), lambda job: job.seconds, continues)


def first_line(schedule: Schedule, jobs: list[Any]) -> int | None:
    found = schedule.next_of(jobs)
    return found and found.line


def test_a_row_begins_only_if_it_ends_before_the_deadline(clock: Clock) -> None:
    jobs = [job(2, 60), job(3, 20), job(4, 30)]
    schedule = schedule_of(jobs, end=100)
    assert first_line(schedule, jobs) == 2
    clock.now = 50
    assert first_line(schedule, jobs) == 3, "a later row fits, and the first does not"
    clock.now = 80
    assert first_line(schedule, jobs) == 3
    clock.now = 80.5
    assert first_line(schedule, jobs) is None


def test_a_row_longer_than_the_window_begins_if_no_other_fits(clock: Clock) -> None:
    jobs = [job(2, 101), job(3, 20), job(4, 100)]
    schedule = schedule_of(jobs, end=100)
    assert first_line(schedule, jobs) == 3
    assert first_line(schedule, [jobs[0], jobs[2]]) == 4
    clock.now = 81
    assert first_line(schedule, jobs) == 2
    assert first_line(schedule, jobs[1:]) is None, "these fit into the window of another run"
    assert first_line(schedule_of(jobs, end=100, continues=False), jobs) is None
    clock.now = 100
    assert first_line(schedule, jobs) is None


def test_no_row_takes_longer_than_its_budget(clock: Clock) -> None:
    jobs = [job(2, 1000)]
    clock.now = 85
    assert first_line(schedule_of(jobs, end=100, row_seconds=10), jobs) == 2
    assert first_line(schedule_of(jobs, end=100, row_seconds=20), jobs) is None


def test_rows_that_are_left_share_the_workers_and_equal_rows_count_once() -> None:
    jobs = [job(2, 60), job(3, 60, key="2"), job(4, 20)]
    assert schedule_of(jobs, end=1).seconds_of(jobs, at_once=1) == 80
    assert schedule_of(jobs, end=1).seconds_of(jobs, at_once=4) == 20


class FakeRow:
    """A future that is done at some moment."""

    def __init__(self, clock: Clock, ends_at: float) -> None:
        self.clock, self.ends_at = clock, ends_at

    @property
    def is_done(self) -> bool:
        return self.clock.now >= self.ends_at


@pytest.fixture
def run(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that runs jobs with fake tasks; it returns what a test looks at."""
    begun: list[tuple[int, float]] = []
    monkeypatch.setattr(in_time, "is_done", lambda row: row.is_done)
    monkeypatch.setattr(
        "tasks.engine.in_flight.gather", lambda *_: RowResult("failed", error="as any other end")
    )
    monkeypatch.setattr("tasks.engine.in_flight.report_end", lambda *_: None)
    monkeypatch.setattr(in_time, "report_end", lambda *_: None)
    monkeypatch.setattr("tasks.engine.in_flight.has_begun", lambda _: True)

    def submit(job: Any, _: Any) -> Any:
        begun.append((job.line, round(clock.now)))
        return FakeRow(clock, clock.now + job.seconds)

    def run(
        jobs: list[Any], end: float, at_once: int, *, runner: RunnerName = "local", **how: Any
    ) -> tuple[dict[int, RowResult], list[tuple[int, float]], float | None]:
        in_flight = InFlight({}, OUTPUT, runner)
        seconds = gather_in_time(
            *(in_flight, jobs, schedule_of(jobs, end, **how)),
            (lambda *_: Future(), submit),  # type: ignore[arg-type,return-value]
            lambda: at_once,
        )
        return in_flight.results, begun, seconds

    return run


def test_a_row_begins_when_a_worker_is_free(run: Any) -> None:
    jobs = [job(2, 30), job(3, 10), job(4, 10), job(5, 10), job(6, 5)]
    results, begun, seconds = run(jobs, 1000, 2)
    assert begun == [(2, 0), (3, 0), (4, 10), (5, 20), (6, 30)]
    assert {result.status for result in results.values()} == {"failed"}
    assert seconds is None


def test_rows_that_do_not_fit_are_pending_and_say_how_long_they_take(run: Any) -> None:
    jobs = [job(2, 30), job(3, 90), job(4, 90, key="3"), job(5, 5), job(6, 200)]
    results, begun, seconds = run(jobs, 100, 1, continues=False)
    assert begun == [(2, 0), (5, 30)]
    assert [results[line] for line in (3, 4, 6)] == [NOT_BEGUN] * 3
    assert "the next run continues" in NOT_BEGUN.error
    assert seconds == 290


def test_ten_thousand_rows_that_do_not_fit_cost_no_task_run(run: Any) -> None:
    jobs = [job(line, 50) for line in range(2, 10_002)]
    results, begun, seconds = run(jobs, 10, 1, continues=False)
    assert begun == []
    assert len(results) == 10_000
    assert seconds == 500_000


def test_a_cluster_has_time_to_say_how_its_last_rows_ended(run: Any) -> None:
    results, begun, _ = run([job(2, 20), job(3, 9)], 10, 2, runner="dask")
    assert begun == [(3, 0), (2, 0)], "the row that is longer than the window begins, too"
    assert {result.status for result in results.values()} == {"failed"}


def test_a_cluster_that_does_not_answer_holds_no_run_up(run: Any) -> None:
    results, _, seconds = run([job(2, math.inf)], 10, 1, runner="dask")
    assert results == {2: NOT_HEARD_OF}
    assert seconds == math.inf


def test_a_cluster_without_a_worker_gets_one_row_to_wait_for_one(run: Any) -> None:
    _, begun, _ = run([job(2, 5), job(3, 5)], 100, 0)
    assert begun == [(2, 0), (3, 5)]


def test_rows_that_have_not_begun_give_up_at_the_deadline(clock: Clock) -> None:
    deadline = Deadline(10, window=10)
    check_may_continue(OUTPUT, deadline, "while it waited")
    check_may_continue(OUTPUT, Deadline(), "while it waited")
    clock.now = 10
    with pytest.raises(StoppedError, match=r"^the time was up while it waited$"):
        check_may_continue(OUTPUT, deadline, "while it waited")


def test_limits_reach_workers_of_a_cluster() -> None:
    limits = Limits(Deadline(1.8e9, window=60), row_seconds=5)
    assert pickle.loads(pickle.dumps(limits)) == limits
    assert pickle.loads(pickle.dumps(Limits())) == Limits()


@pytest.fixture
def outcomes(monkeypatch: pytest.MonkeyPatch) -> dict[int, RowResult]:
    """Return how rows end, by line, to be filled by a test that has asked for `run` first."""
    ends: dict[int, RowResult] = {}
    done = RowResult("done", record=SimpleNamespace(total_loss=1.0))  # type: ignore[arg-type]
    monkeypatch.setattr("tasks.engine.in_flight.gather", lambda job, *_: ends.get(job.line, done))
    monkeypatch.setattr("tasks.engine.in_flight.result_of_equal", lambda _, __, end, ___: end)
    return ends


@pytest.mark.parametrize("end", [1000, math.inf])
def test_frames_run_one_after_another_and_sequences_side_by_side(
    run: Any, outcomes: dict[int, RowResult], end: float
) -> None:
    assert not outcomes
    walk = [job(2, 10), job(3, 10, after=2), job(4, 10, after=3)]
    fly = [job(5, 30), job(6, 10, after=5)]
    results, begun, seconds = run([*walk, *fly, job(7, 5)], end, 2)
    assert begun == [(2, 0), (5, 0), (3, 10), (4, 20), (6, 30), (7, 30)]
    assert {result.status for result in results.values()} == {"done"}
    assert seconds is None


def test_frames_after_a_frame_that_failed_do_not_begin_and_say_why(
    run: Any, outcomes: dict[int, RowResult]
) -> None:
    outcomes[3] = RowResult("failed", error="no memory")
    walk = [job(line, 10, after=line - 1 if line > 2 else None) for line in range(2, 6)]
    results, begun, seconds = run([*walk, job(9, 10), job(10, 10, key="5", after=9)], math.inf, 1)
    assert [line for line, _ in begun] == [2, 3, 9]
    assert [results[line].status for line in (2, 3, 4, 5, 9)] == [
        *("done", "failed", "failed", "failed", "done")
    ]
    for line in (4, 5, 10):
        assert "this frame did not begin: line 3, an earlier frame" in results[line].error
        assert "'walk', is failed" in results[line].error
    assert (results[5].same_as, results[10].same_as) == (None, 5)
    assert seconds is None


def test_frames_after_a_frame_that_was_interrupted_are_pending(
    run: Any, outcomes: dict[int, RowResult]
) -> None:
    outcomes[3] = RowResult("interrupted", error="the time was up")
    walk = [job(line, 10, after=line - 1 if line > 2 else None) for line in range(2, 6)]
    results, begun, seconds = run(walk, 100, 1)
    assert [line for line, _ in begun] == [2, 3]
    assert [results[line].status for line in range(2, 6)] == [
        *("done", "interrupted", "pending", "pending")
    ]
    assert seconds == 30


def test_a_frame_whose_frame_before_is_neither_done_nor_asked_for_fails_at_once(run: Any) -> None:
    results, begun, _ = run([job(4, 10, after=3)], math.inf, 1)
    assert begun == []
    assert results[4].status == "failed"
    assert "line 3, the frame before it, is not done and was not asked for" in results[4].error
