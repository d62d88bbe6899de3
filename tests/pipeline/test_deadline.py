"""Runs that end in time, and rows that end at their budget."""

import os
from typing import Any

import pytest
from prefect.client.schemas.objects import StateType

from nst_core.devices import lending
from tasks.engine import caching
from tasks.report.saved_table import read_summary
from tasks.stopping import Deadline
from tasks.store import checkpoints
from tasks.store.output_folder import OutputFolder
from tasks.store.records import PictureRecord, read_record
from tasks.store.speeds import Speeds
from tasks.store.style_cache import StyleCache
from tasks.work.stylization import _RowRun
from tests.pictures import write_picture
from tests.pipeline.conftest import Batch, call_with_iterates

HEADER = ("content", "style")
ROWS = (HEADER, ("a.png", "s.png"), ("b.png", "s.png"))
SETTINGS = {"size": 64, "steps": 30, "octaves": 2, "tolerance": 0}
BEFORE_END = 1e6
"""Seconds that are left until the deadline, as far as rows are concerned."""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return a list whose last number is how many seconds are left until the deadline."""
    left = [BEFORE_END]
    monkeypatch.setattr(Deadline, "seconds_left", property(lambda _: left[-1]))
    return left


@pytest.fixture(autouse=True)
def seen(monkeypatch: pytest.MonkeyPatch, batch: Batch) -> list[Any]:
    """Let all rows have checkpoints; return a list that receives each iterate."""
    monkeypatch.setattr(checkpoints, "SHORTEST_ROW", 0)
    write_picture(batch.folder / "a.png", 7, height=64, width=64)
    iterates: list[Any] = []
    call_with_iterates(monkeypatch, iterates.append)
    return iterates


def files(batch: Batch) -> list[bytes]:
    """Return the bytes of all pictures and curves."""
    paths = [*batch.output.glob("pictures/*"), *batch.output.glob("losses/*")]
    return [path.read_bytes() for path in sorted(paths)]


def test_a_flow_that_begins_after_its_end_leaves_all_rows_pending(
    batch: Batch, computed: list[str]
) -> None:
    state, table = batch.run(*ROWS, until="2026-11-01T06:00Z")
    assert (state.type, state.name) == (StateType.COMPLETED, "OutOfTime")
    assert list(table["status"]) == ["pending", "pending"]
    assert not computed


def test_rows_that_do_not_fit_are_pending_and_the_state_says_so(
    batch: Batch, computed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Speeds, "seconds", lambda *_: 5000)
    state, table = batch.run(*ROWS, budget="1h", checkpoint_every=0)
    assert (state.type, state.name) == (StateType.COMPLETED, "OutOfTime")
    assert state.message == "2 pending; the remaining rows would take about 2 h 47 min"
    assert list(table["status"]) == ["pending", "pending"]
    assert set(table["error"]) == {
        "the time was up before this row began; the next run continues with it"
    }
    assert computed == []
    assert read_summary(OutputFolder(batch.output)).seconds_left == 10_000
    assert (batch.output / "gallery.html").is_file()
    state, table = batch.run(*ROWS, budget="2h", checkpoint_every=0)
    assert (state.name, state.message) == ("Completed", "2 done")
    assert read_summary(OutputFolder(batch.output)).seconds_left is None


def test_a_row_that_runs_at_the_deadline_continues_in_the_next_run(
    batch: Batch, clock: list[float], seen: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch.run(*ROWS, settings=SETTINGS)
    undisturbed = files(batch)
    for path in (*batch.output.glob("pictures/*"), *batch.output.glob("losses/*")):
        path.unlink()
    seen.clear()
    with monkeypatch.context() as patch:
        call_with_iterates(patch, lambda iterate: iterate.step == 20 and clock.append(0))
        state, table = batch.run(*ROWS, settings=SETTINGS, budget="1h", until="06:00 UTC")
    assert (state.type, state.name) == (StateType.COMPLETED, "OutOfTime")
    assert state.message.startswith("1 interrupted, 1 pending; the remaining rows would take")
    assert table.loc[2, "error"] == (
        "the time was up after 20 of 60 steps; the next run continues from there; its best picture "
        "so far is saved"
    )
    assert (batch.output / table.loc[2, "picture"]).is_file()
    assert [iterate.step for iterate in seen] == [0, 10, 20]
    clock.append(BEFORE_END)
    seen.clear()
    state, table = batch.run(*ROWS, settings=SETTINGS, budget="1h")
    assert (state.name, state.message) == ("Completed", "2 done")
    assert [iterate.step for iterate in seen][:2] == [30, 30], "the row that was interrupted"
    assert files(batch) == undisturbed


def test_failed_rows_count_more_than_rows_that_are_left(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Speeds, "seconds", lambda *_: 5000)
    state, _ = batch.run(*ROWS, ("no.png", "s.png"), budget="1h", checkpoint_every=0)
    assert (state.type, state.name) == (StateType.FAILED, "SomeRowsFailed")
    assert state.message.startswith("1 invalid, 2 pending; the remaining rows would take")


def test_a_row_that_waits_for_a_device_does_not_wait_past_the_deadline(
    batch: Batch, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def take(_: str) -> None:
        clock.append(clock[-1] - BEFORE_END / 3)

    monkeypatch.setattr(lending, "_take_if_idle", take)
    state, table = batch.run(*ROWS, budget="1h")
    assert state.name == "OutOfTime"
    assert list(table["status"]) == ["interrupted", "pending"]
    assert table.loc[2, "error"] == "the time was up while it waited for a device"


def test_a_row_whose_style_another_run_computes_does_not_wait_past_the_deadline(
    batch: Batch, clock: list[float], computed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, lock = StyleCache(batch.cache), caching.FlockLockManager.acquire_lock
    held: list[int] = []

    def acquire(self: Any, key: str, *arguments: Any, **options: Any) -> bool:
        if not held:
            held.append(cache.lock(key, timeout=0) or pytest.fail("somebody else has the lock"))
        clock.append(0.2)
        is_ours = lock(self, key, *arguments, **options)
        clock.append(0)
        return is_ours

    monkeypatch.setattr(caching.FlockLockManager, "acquire_lock", acquire)
    try:
        state, table = batch.run(*ROWS, budget="1h")
    finally:
        os.close(held[0])
    assert state.name == "OutOfTime"
    assert list(table["status"]) == ["interrupted", "pending"]
    assert table.loc[2, "error"] == "the time was up while it waited for its style's targets"
    assert computed == []


@pytest.mark.parametrize("end", [20, pytest.param(40, marks=pytest.mark.nights)])
def test_a_row_ends_at_its_best_picture_when_its_budget_is_used(
    batch: Batch, seen: list[Any], monkeypatch: pytest.MonkeyPatch, end: int
) -> None:
    """Its seconds are those of all runs, as checkpoints count them."""
    rows = ROWS[:2]
    with monkeypatch.context() as patch:
        patch.setattr(_RowRun, "_seconds", lambda _: 600 if seen[-1].step >= end else 599)
        state, table = batch.run(*rows, settings=SETTINGS, row_budget="10m")
    assert (state.name, state.message) == ("Completed", "1 done")
    assert seen[-1].step == end
    row = table.loc[2]
    assert (row["steps"], row["stop_reason"]) == (end, "budget")
    assert (row["width"], row["height"]) == (64, 64)
    assert row["warnings"].startswith(
        f"row-budget: the row ended with its best picture after {end}"
    )
    record = record_of(batch)
    assert record.total_loss == pytest.approx(row["total_loss"], rel=1e-5)
    if end > 30:  # at the result's own size
        assert record.total_loss == pytest.approx(seen[-1].losses.total, rel=1e-2)
    _, table = batch.run(*rows, settings=SETTINGS)
    assert list(table["status"]) == ["cached"]
    assert table.loc[2, "warnings"] == row["warnings"]
    _, table = batch.run(*rows, settings=SETTINGS, refresh=True)
    assert (table.loc[2, "steps"], table.loc[2, "stop_reason"]) == (60, "steps")
    assert not str(table.loc[2, "warnings"]).startswith("row-budget")


def record_of(batch: Batch) -> PictureRecord:
    """Return the only record in the output folder."""
    (path,) = (
        path for path in OutputFolder(batch.output).records.iterdir() if len(path.name) == 64
    )
    return read_record(path, path.name, PictureRecord)


def test_a_row_takes_steps_even_if_its_budget_is_used_before(
    batch: Batch, seen: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_RowRun, "_seconds", lambda _: 600)
    _, table = batch.run(*ROWS[:2], settings=SETTINGS, row_budget="10m")
    assert [iterate.step for iterate in seen] == [0, 10]
    assert table.loc[2, "stop_reason"] == "budget"


def test_a_row_that_is_finished_in_time_has_not_used_its_budget(
    batch: Batch, seen: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_RowRun, "_seconds", lambda _: 600 if seen[-1].step == 60 else 0)
    _, table = batch.run(*ROWS[:2], settings=SETTINGS, row_budget="10m")
    assert table.loc[2, "stop_reason"] == "steps"
