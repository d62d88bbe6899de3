"""The timings of a batch's rows, which make the speeds of the next batch."""

from contextlib import suppress
from pathlib import Path

import pytest

from tasks.events import (
    DevicesOpened,
    Event,
    RowEnded,
    RowRetried,
    RowStarted,
    RowStepped,
    RowWaiting,
    TableWritten,
    emit,
)
from tasks.store.measuring import Timings, measuring
from tasks.store.row_kinds import MeasuredRow
from tasks.store.speeds import Speeds
from tasks.store.style_cache import StyleCache
from tests.jobs import job_of_size

JOBS = [job_of_size(line=line) for line in (2, 3, 4)]


def row(line: int, began: float, *shares: float, status: str = "done") -> list[tuple[float, Event]]:
    """Return the events of a row that compiles for 3 s, takes 10 s for all its work, and 2 s more.

    It reports its progress when these shares are done.
    """
    name, stepping = f"{line}.png", began + 1
    reports = [
        (stepping + (3 if share else 0) + 10 * share, RowStepped(line, name, 0, 60, share, 1.0))
        for share in shares
    ]
    end = RowEnded(line, name, status)  # type: ignore[arg-type]
    return [(began, RowStarted(line, name)), *reports, (reports[-1][0] + 1, end)]


def timed(*events: tuple[float, Event], devices: str = "CPU:0") -> list[MeasuredRow]:
    timings = Timings(JOBS, "here")
    timings.note(DevicesOpened((devices,)), 0.0)
    for at, event in events:
        timings.note(event, at)
    return timings.measured


def test_a_row_is_timed_from_its_start_to_its_end_and_its_steps_apart() -> None:
    first, second = timed(*row(2, 100.0, 0, 0.25, 0.5, 0.75), *row(3, 200.0, 0, 0.5, 1))
    assert (first.is_first, second.is_first) == (True, False)
    assert first.seconds == pytest.approx(2 + 3 + 7.5)
    assert (first.share, first.stepping_share) == (0.75, 0.5)
    assert first.stepping_seconds == pytest.approx(5)
    assert first.work == JOBS[0].multiplications
    assert (first.kind.device, first.kind.host, first.kind.side) == ("CPU", "here", 256)


def test_only_undisturbed_complete_rows_count() -> None:
    complete = row(2, 0.0, 0, 0.5, 1)
    waited = [complete[0], (0.1, RowWaiting(2, "2.png")), *complete[1:]]
    assert timed(*waited) == []
    retried = [complete[0], (0.1, RowRetried(2, "2.png", "failed")), *complete[1:]]
    assert timed(*retried) == []
    early = RowEnded(2, "2.png", "done", is_typical=False)
    assert timed(*complete[:-1], (complete[-1][0], early)) == []
    assert timed(*row(2, 0.0, 0, 0.5, status="interrupted")) == []
    assert timed(*row(2, 0.0, 0, 0.5, status="failed")) == []
    assert timed(*row(2, 0.0, 0.5, 0.75, 1)) == [], "it continued from a checkpoint"
    assert timed(*row(99, 0.0, 0, 0.5, 1)) == [], "it is unknown"
    assert timed((5.0, RowEnded(3, "3.png", "done")), (6.0, TableWritten(1))) == []
    started_again = [complete[0], (50.0, complete[0][1]), *row(2, 50.0, 0, 1)[1:]]
    assert [each.seconds for each in timed(*started_again)] == [pytest.approx(15)]


def test_rows_beside_another_run_count_if_there_are_no_others(tmp_path: Path) -> None:
    cache = StyleCache(tmp_path)
    with measuring(JOBS, cache):
        emit(DevicesOpened(("CPU:0",), "process 4711 of anna"))
        emit_row(2)
    speeds = Speeds.read(cache, "cpu")
    assert speeds.knows_device
    assert speeds.is_measured(JOBS[1])
    assert speeds.is_of_shared_cpu(JOBS[1])
    with measuring(JOBS, cache):
        emit(DevicesOpened(("CPU:0",)))
        emit_row(3)
    speeds = Speeds.read(cache, "cpu")
    assert len(speeds.beside) == len(speeds.measured) == 1
    assert speeds.is_measured(JOBS[1])
    assert not speeds.is_of_shared_cpu(JOBS[1])


def test_rows_of_a_cluster_are_not_measured() -> None:
    timings = Timings(JOBS, "here")
    for at, event in row(2, 0.0, 0, 0.5, 1):
        timings.note(event, at)
    assert timings.measured == []


def emit_row(line: int) -> None:
    for _, event in row(line, 0.0, 0, 0.5, 1):
        emit(event)


def test_a_run_leaves_its_speeds_in_the_cache_even_if_it_is_stopped(tmp_path: Path) -> None:
    cache = StyleCache(tmp_path)
    with suppress(KeyboardInterrupt), measuring(JOBS, cache):
        emit(DevicesOpened(("CPU:0",)))
        emit_row(2)
        raise KeyboardInterrupt
    assert Speeds.read(cache, "cpu").is_measured(JOBS[0])
    before = (tmp_path / ".nst-batch" / "speeds.json").read_bytes()
    with measuring(JOBS, cache):
        emit(DevicesOpened(("CPU:0",)))
    emit_row(3)
    assert (tmp_path / ".nst-batch" / "speeds.json").read_bytes() == before
