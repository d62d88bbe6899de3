"""Batches of which only some rows are asked for."""

from typing import Any

import pandas as pd
import pytest

from flows.choice import keys_to_begin
from nst_core.transfer import stylize
from tasks.events import Event, RowsPlanned, RowsSelected, subscribed
from tasks.intake.manifest import ManifestError
from tasks.report.selection import OnlyError
from tasks.store.statuses import RowResult
from tests.finished_rows import job_of, key_of
from tests.pictures import write_picture
from tests.pipeline.conftest import Batch

HEADER = ("content", "style")
DONE, FAILS, INVALID, NEW = (
    *(("a.png", "s.png"), ("wide.png", "s.png")),
    *(("missing.png", "s.png"), ("b.png", "t.png")),
)


def facts(table: pd.DataFrame) -> list[tuple[str, bool, str]]:
    """Return each row's status, whether it was asked for, and its last status."""
    columns = ("status", "asked", "last_status")
    cells = [table[name].astype(object).fillna("").tolist() for name in columns]
    return list(zip(*cells, strict=True))


@pytest.fixture
def ended(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> Batch:
    """Return a batch after a run in which a row was done, one failed, and one was invalid."""
    write_picture(batch.folder / "wide.png", 9, height=20, width=31)
    iterates = stylize.iterates

    def failing(encoder: Any, content: Any, *arguments: Any, **options: Any) -> Any:
        if content.shape[1] == 31:
            raise ValueError("a bug")
        return iterates(encoder, content, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(stylize, "iterates", failing)
        _, table = batch.run(HEADER, DONE, FAILS, INVALID)
    assert list(table["status"]) == ["done", "failed", "invalid"]
    return batch


def test_only_failed_rows_run_wherever_their_lines_are_now(
    ended: Batch, computed: list[str]
) -> None:
    events: list[Event] = []
    with subscribed(events.append):
        state, table = ended.run(HEADER, INVALID, NEW, DONE, FAILS, only="failed")
    assert facts(table) == [
        ("invalid", False, ""),
        ("pending", False, ""),
        ("cached", False, ""),
        ("done", True, ""),
    ]
    assert computed == ["row"]
    # The row that is invalid was not asked for, so it is shown but does not count.
    assert (state.name, state.message) == ("Completed", "1 done, 1 cached, 1 invalid, 1 pending")
    assert table.loc[3, "error"] == "not asked for (--only failed)"
    assert RowsSelected("failed", 1, 4) in events
    (planned,) = (event for event in events if isinstance(event, RowsPlanned))
    assert (planned.to_run, planned.total, planned.is_part) == (1, 2, True)
    assert [each.line for each in planned.estimates] == [5]


@pytest.mark.nights
def test_a_failed_row_that_is_not_asked_for_is_still_found_as_failed_later(
    ended: Batch, computed: list[str]
) -> None:
    rows = (HEADER, DONE, FAILS, INVALID, NEW)
    state, table = ended.run(*rows, only="5")
    assert facts(table) == [
        ("cached", False, ""),
        ("pending", False, "failed"),
        ("invalid", False, ""),
        ("done", True, ""),
    ]
    assert state.is_completed()
    assert table.loc[3, "error"] == "not asked for (--only 5); it last ended as failed"
    assert "not asked for" in (ended.output / "gallery.html").read_text("utf-8")
    computed.clear()
    _, table = ended.run(*rows, only="failed")
    assert list(table["status"]) == ["cached", "done", "invalid", "cached"]
    assert list(table["change"]) == ["same", "mended", "same", "same"]
    assert computed == ["row"]


def test_asked_rows_decide_how_the_run_ends(ended: Batch) -> None:
    state, _ = ended.run(HEADER, DONE, FAILS, INVALID, only="invalid")
    counts, *reasons = (state.message or "").splitlines()
    assert (state.name, counts) == ("AllRowsFailed", "1 cached, 1 invalid, 1 pending")
    assert len(reasons) == 1
    state, _ = ended.run(HEADER, DONE, FAILS, INVALID, only="2,invalid")
    assert state.name == "SomeRowsFailed"


def test_if_no_row_failed_nothing_runs_and_the_run_is_completed(
    batch: Batch, computed: list[str]
) -> None:
    batch.run(HEADER, DONE)
    computed.clear()
    events: list[Event] = []
    with subscribed(events.append):
        state, table = batch.run(HEADER, DONE, NEW, only="failed")
    assert (state.name, state.message, computed) == ("Completed", "1 cached, 1 pending", [])
    (selected,) = [event for event in events if isinstance(event, RowsSelected)]
    assert str(selected) == (
        "--only failed: no row ended that way in the last run; nothing is left to do"
    )
    assert list(table["asked"]) == [False, False]


@pytest.mark.nights
def test_a_refresh_makes_only_the_rows_again_that_are_asked_for(
    batch: Batch, computed: list[str]
) -> None:
    header, rows = (*HEADER, "output"), (("a.png", "s.png", "one"), ("b.png", "s.png", "two"))
    batch.run(header, *rows)
    before = {path: path.stat().st_mtime_ns for path in (batch.output / "pictures").iterdir()}
    computed.clear()
    _, table = batch.run(header, *rows, refresh=True, only="3")
    assert list(table["status"]) == ["cached", "done"]
    assert sorted(computed) == ["row", "style"]
    changed = [path.name for path, at in before.items() if path.stat().st_mtime_ns != at]
    assert changed == ["two.png"]


@pytest.mark.nights
def test_a_row_that_equals_one_that_is_not_asked_for_runs_itself(batch: Batch) -> None:
    header, rows = (*HEADER, "output"), (("a.png", "s.png", "one"), ("a.png", "s.png", "two"))
    _, table = batch.run(header, *rows, only="3")
    assert list(table["status"]) == ["pending", "done"]
    _, table = batch.run(header, *rows)
    assert list(table["status"]) == ["cached", "cached"]


@pytest.mark.nights
def test_strict_judges_the_rows_that_are_asked_for(ended: Batch) -> None:
    state, table = ended.run(HEADER, DONE, FAILS, INVALID, only="failed", strict=True)
    assert list(table["status"]) == ["cached", "done", "invalid"]
    state, _ = ended.run(HEADER, DONE, FAILS, INVALID, only="invalid", strict=True)
    assert isinstance(state.result(raise_on_failure=False), ManifestError)


def test_what_cannot_be_selected_ends_the_run_before_anything(batch: Batch) -> None:
    from flows.stylize_manifest import stylize_manifest
    from tests.pictures import write_csv

    manifest = write_csv(batch.folder / "m.csv", HEADER, DONE)
    for only in ("failed", "7", "everything"):
        state = stylize_manifest(
            manifest, batch.output, cache=batch.cache, only=only, return_state=True
        )
        assert isinstance(state.result(raise_on_failure=False), OnlyError)
    assert not (batch.output / "summary.csv").exists()


def test_checkpoints_of_rows_that_are_not_asked_for_are_kept() -> None:
    done, asked, other = (job_of(row, line, f"{row}.png") for line, row in enumerate("abc", 2))
    jobs, results = (done, asked, other), {2: RowResult("cached")}
    assert keys_to_begin(jobs, [asked], results, refresh=False) == {key_of("a")}
    assert keys_to_begin(jobs, [asked], results, refresh=True) == {key_of("a"), key_of("b")}
