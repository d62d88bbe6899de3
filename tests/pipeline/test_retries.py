"""Rows and styles that fail for a reason that may pass are tried again, as often as asked."""

import errno
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import pytest

from nst_core.devices import DeviceFailedError
from nst_core.storage.files import StorageError
from nst_core.transfer import stylize
from nst_core.transfer.styles import statistics
from tasks.engine import retries
from tasks.events import Event, RowEnded, RowRetried, RowStarted, subscribed
from tasks.stopping import ask_to_stop
from tests.pipeline.conftest import Batch

HEADER = ("content", "style")
ROW = ("a.png", "s.png")

Failure = Callable[[], Exception]


@pytest.fixture(autouse=True)
def _no_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "DELAYS", (0.0,))


@pytest.fixture
def events() -> Iterator[list[Event]]:
    """Return a list that receives every event."""
    seen: list[Event] = []
    with subscribed(seen.append):
        yield seen


def fail(
    patch: pytest.MonkeyPatch, module: Any, name: str, *failures: Failure, always: bool = False
) -> list[int]:
    """Let a function fail in its first calls, or in all; return a list that counts all calls."""
    function, calls = getattr(module, name), list[int]()

    def failing(*arguments: Any, **options: Any) -> Any:
        calls.append(len(calls))
        if always or len(calls) <= len(failures):
            raise failures[min(len(calls), len(failures)) - 1]()
        return function(*arguments, **options)

    patch.setattr(module, name, failing)
    return calls


def no_room() -> Exception:
    return ConnectionError("no answer")


def lost() -> Exception:
    return DeviceFailedError("CPU:0", "InternalError: lost")


def test_a_row_that_fails_once_is_done_and_the_table_says_what_happened(
    batch: Batch, monkeypatch: pytest.MonkeyPatch, events: list[Event]
) -> None:
    calls = fail(monkeypatch, stylize, "iterates", lost, no_room)
    state, table = batch.run(HEADER, ROW)
    assert (state.message, len(calls)) == ("1 done", 3)
    assert table.loc[2, "retries"] == 2
    assert table.loc[2, "warnings"] == (
        "tried 3 times; earlier failures: DeviceFailedError: CPU:0 failed: InternalError: lost "
        "and ConnectionError: no answer"
    )
    assert pd.isna(table.loc[2, "error"])
    assert [event.status for event in events if isinstance(event, RowEnded)] == ["done"]
    assert len([event for event in events if isinstance(event, RowStarted)]) == 1
    told = [str(event) for event in events if isinstance(event, RowRetried)]
    start = "line 2 a_s.png failed and will be tried again in 0 s"
    assert told == [
        f"{start} (retry 1 of 2): DeviceFailedError: CPU:0 failed: InternalError: lost",
        f"{start} (retry 2 of 2): ConnectionError: no answer",
    ]
    # A later run says how often, but does not warn of what is over.
    state, table = batch.run(HEADER, ROW)
    assert (state.message, table.loc[2, "retries"]) == ("1 cached", 2)
    assert pd.isna(table.loc[2, "warnings"])


def test_a_row_that_always_fails_is_failed_after_its_retries(
    batch: Batch, monkeypatch: pytest.MonkeyPatch, events: list[Event]
) -> None:
    calls = fail(monkeypatch, stylize, "iterates", lost, no_room, always=True)
    state, table = batch.run(HEADER, ROW, retries=3)
    assert (state.name, len(calls)) == ("AllRowsFailed", 4)
    assert table.loc[2, "retries"] == 3
    assert table.loc[2, "error"] == (
        "ConnectionError: no answer "
        "(tried 4 times; earlier failures: DeviceFailedError: CPU:0 failed: InternalError: lost)"
    )
    trace = (batch.output / "errors" / "a_s.txt").read_text()
    assert "an earlier attempt failed: DeviceFailedError: CPU:0 failed" in trace
    (ended,) = [event for event in events if isinstance(event, RowEnded)]
    assert (ended.status, ended.reason[:25]) == ("failed", "no answer (tried 4 times;")


@pytest.mark.parametrize(
    "failure",
    [
        lambda: ValueError("a bug"),
        lambda: OSError(errno.ENOSPC, "No space left on device", "/out/a.png"),
        lambda: OSError(errno.EROFS, "Read-only file system", "/out/a.png"),
        lambda: StorageError(errno.EACCES, "access denied by the storage", "s3://bucket/x"),
    ],
    ids=["bug", "full", "read-only", "denied"],
)
def test_a_failure_that_does_not_pass_is_tried_once(
    batch: Batch, monkeypatch: pytest.MonkeyPatch, failure: Failure, events: list[Event]
) -> None:
    calls = fail(monkeypatch, stylize, "iterates", failure, always=True)
    _, table = batch.run(HEADER, ROW)
    assert (table.loc[2, "status"], table.loc[2, "retries"], len(calls)) == ("failed", 0, 1)
    assert "tried" not in table.loc[2, "error"]
    assert not [event for event in events if isinstance(event, RowRetried)]


def test_without_retries_a_row_is_tried_once(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = fail(monkeypatch, stylize, "iterates", no_room)
    _, table = batch.run(HEADER, ROW, retries=0)
    assert (table.loc[2, "error"], len(calls)) == ("ConnectionError: no answer", 1)


def test_a_style_is_tried_again_too(
    batch: Batch, monkeypatch: pytest.MonkeyPatch, events: list[Event]
) -> None:
    rows = (HEADER, ROW, ("b.png", "s.png"))
    calls = fail(monkeypatch, statistics, "style_targets", no_room)
    state, table = batch.run(*rows)
    assert (state.message, len(calls)) == ("2 done", 2)
    assert list(table["retries"]) == [0, 0]
    assert set(table["warnings"]) == {
        "style s.png: tried 2 times; earlier failures: ConnectionError: no answer",
    }
    (told,) = [event for event in events if isinstance(event, RowRetried)]
    assert (told.line, told.reason[:27]) == (2, "style s.png failed and will")


def test_a_style_that_always_fails_fails_its_rows_after_its_retries(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = fail(monkeypatch, statistics, "style_targets", no_room, always=True)
    _, table = batch.run(HEADER, ROW, retries=1)
    assert (table.loc[2, "retries"], len(calls)) == (1, 2)
    assert table.loc[2, "error"] == "style s.png: ConnectionError: no answer (tried 2 times)"


def test_rows_that_lose_the_storage_end_the_batch_only_after_their_retries(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> Exception:
        return StorageError(errno.EIO, "no answer", str(batch.output / "pictures"))

    for number in range(5):
        batch.picture(f"{number}.png", 10 + number)
    calls = fail(monkeypatch, stylize, "iterates", away, always=True)
    rows = [(f"{number}.png", "s.png") for number in range(5)]
    with pytest.raises(FileNotFoundError, match=r"summary\.csv"):
        batch.run(HEADER, *rows, retries=1)
    # Another row may have begun in the meantime.
    assert 3 * 2 <= len(calls) <= 4 * 2


def test_a_stop_does_not_wait_for_a_retry(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "DELAYS", (3600.0,))
    calls = fail(monkeypatch, stylize, "iterates", no_room, always=True)

    def stop(event: Event) -> None:
        if isinstance(event, RowRetried):
            ask_to_stop()

    with subscribed(stop), pytest.raises(KeyboardInterrupt):
        batch.run(HEADER, ROW, ("b.png", "s.png"))
    table = pd.read_csv(batch.output / "summary.csv")
    assert list(table["status"]) == ["interrupted", "pending"]
    assert table.loc[0, "error"] == (
        "stopped while it waited for a retry after this failure: ConnectionError: no answer"
    )
    assert len(calls) == 1
    monkeypatch.undo()
    state, _ = batch.run(HEADER, ROW, ("b.png", "s.png"))
    assert state.message == "2 done"


def test_a_record_of_a_row_that_was_tried_once_is_as_it_was(batch: Batch) -> None:
    batch.run(HEADER, ROW)
    (record,) = (batch.output / ".nst-batch" / "rows").iterdir()
    assert "failures" not in record.read_text()
