"""Rows in the processes of their devices: the same results, and no row ends the batch."""

import json
import os
import signal
from collections.abc import Callable
from functools import partial
from typing import Any

import pandas as pd
import pytest
from prefect.client.schemas.objects import State

from nst_core.devices import Say, processes
from tasks.engine import retries
from tasks.events import Event, RowEvent, RowStarted, RowStepped, subscribed
from tasks.stopping import ask_to_stop
from tasks.work import targets
from tests.pictures import write_picture
from tests.pipeline.conftest import Batch

HEADER = ("content", "style", "output", "steps")
SHORT = {"size": 64, "octaves": 1, "tolerance": 0}
LONG = 200
"""Steps that take seconds, even on a fast machine, so that something can happen meanwhile."""

Run = tuple[State, pd.DataFrame]


@pytest.fixture
def batch(batch: Batch) -> Batch:
    for seed, name in enumerate(("a.png", "b.png", "c.png")):
        write_picture(batch.folder / name, 7 + seed, height=64, width=64)
    return batch


def run(batch: Batch, *rows: tuple[Any, ...], **options: Any) -> Run:
    options = {"settings": SHORT, "isolate": True, "checkpoint_every": 0.01, **options}
    return batch.run(HEADER, *rows, **options)


def results(batch: Batch) -> dict[str, Any]:
    """Return all pictures, curves and records, without how long they took, and in which memory."""
    found: dict[str, Any] = {}
    for folder in ("pictures", "losses", ".nst-batch/rows"):
        for file in sorted((batch.output / folder).iterdir()):
            found[f"{folder}/{file.name}"] = file.read_bytes()
            if folder == ".nst-batch/rows":
                record = json.loads(json.loads(file.read_text())["result"])
                assert record.pop("seconds") > 0
                assert record.pop("peak_memory_mb") > 0
                found[f"{folder}/{file.name}"] = record
    return found


def in_steps(act: Callable[[RowStepped], object], output: str, when: Callable[[], bool]) -> Any:
    """Subscribe to the steps of a row, and act once, as soon as something is so."""
    done: list[RowStepped] = []

    def look(event: Event) -> None:
        if isinstance(event, RowStepped) and event.output == output and not done and when():
            done.append(event)
            act(event)

    return subscribed(look)


def has_checkpoint(batch: Batch) -> bool:
    return any((batch.output / ".nst-batch" / "checkpoints").glob("[0-9a-f]*"))


def kill(_: object = None) -> None:
    os.kill(processes.process_of("CPU:0").process_id, signal.SIGKILL)


def leaves_no_process() -> bool:
    return not any(process.is_alive for process in processes._processes.values())


def of_rows(events: list[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, RowEvent)]


def test_results_and_events_are_the_same_and_nothing_is_computed_here(
    batch: Batch, computed: list[str]
) -> None:
    rows = (("a.png", "s.png", "one", 20), ("b.png", "t.png", "two", 10))
    seen: list[Event] = []
    with subscribed(seen.append):
        run(batch, *rows, isolate=False)
    assert computed.count("row") == computed.count("style") == 2
    expected, happened = results(batch), [*seen]
    batch.output.rename(batch.folder / "before")
    batch.cache.rename(batch.folder / "cache before")
    seen.clear()
    computed.clear()
    with subscribed(seen.append):
        state, table = run(batch, *rows)
    assert state.is_completed()
    assert set(table["device"]) == {"CPU:0"}
    assert computed == []
    assert results(batch) == expected
    assert of_rows(seen) == of_rows(happened)
    assert len(of_rows(seen)) == 2 * 2 + 3 + 2
    assert leaves_no_process()


def three(batch: Batch, **options: Any) -> Run:
    one, last = ("a.png", "s.png", "one", 4), ("c.png", "s.png", "three", 4)
    return run(batch, one, ("b.png", "s.png", "two", LONG), last, **options)


@pytest.mark.nights
def test_a_row_whose_process_is_killed_goes_on_degraded_and_so_does_the_batch(
    batch: Batch, caplog: pytest.LogCaptureFixture
) -> None:
    killed_at: list[int] = []
    resumed: list[int] = []

    def kill_and_note(event: RowStepped) -> None:
        killed_at.append(event.step)
        kill()

    def after(event: Event) -> None:
        if killed_at and isinstance(event, RowStepped) and event.output == "two.png":
            resumed.append(event.step)

    when = partial(has_checkpoint, batch)
    with subscribed(after), in_steps(kill_and_note, "two.png", when):
        state, table = three(batch)
    assert state.is_completed(), state.message
    assert table["status"].tolist() == ["done"] * 3
    assert table["degraded"].fillna("").tolist() == ["", "rematerialization", ""]
    assert table.loc[3, "steps"] == LONG
    assert "two.png: the process of CPU:0 was killed by signal 9, probably because" in caplog.text
    assert 0 < min(resumed) <= killed_at[0] + 10, "it did not continue from its checkpoint"
    assert leaves_no_process()


@pytest.mark.nights
def test_with_strict_a_row_whose_process_is_killed_fails_alone(batch: Batch) -> None:
    with in_steps(kill, "two.png", lambda: True):
        state, table = three(batch, strict=True, retries=0)
    assert state.name == "SomeRowsFailed"
    assert table["status"].tolist() == ["done", "failed", "done"]
    error = table.loc[3, "error"]
    assert error.startswith("NotEnoughMemoryError: memory: expected about ")
    assert "found that the process of CPU:0 was killed by signal 9, probably because mem" in error
    assert "lower size" in error
    assert leaves_no_process()


def files(batch: Batch) -> dict[str, Any]:
    """Return the pictures and curves among the results."""
    return {name: data for name, data in results(batch).items() if not name.startswith(".")}


@pytest.mark.nights
def test_a_stopped_row_writes_its_checkpoint_there_and_continues(batch: Batch) -> None:
    row = ("a.png", "s.png", "one", LONG)
    run(batch, row, isolate=False)
    expected = files(batch)
    batch.output.rename(batch.folder / "before")
    when = partial(has_checkpoint, batch)
    with (
        in_steps(lambda _: ask_to_stop(), "one.png", when),
        pytest.raises(KeyboardInterrupt),
    ):
        run(batch, row, checkpoint_every=0.5)
    table = pd.read_csv(batch.output / "summary.csv").set_index("line")
    assert table.loc[2, "status"] == "interrupted"
    assert table.loc[2, "picture"] == "interrupted/one.png"
    assert (batch.output / "interrupted" / "one.png").is_file()
    assert f"of {LONG} steps; the next run continues from there" in table.loc[2, "error"]
    assert leaves_no_process()
    steps: list[int] = []
    with in_steps(lambda event: steps.append(event.step), "one.png", lambda: True):
        run(batch, row)
    assert 0 < steps[0] < LONG
    assert files(batch) == expected


@pytest.mark.nights
def test_a_row_that_fails_there_has_its_error_and_its_traceback_here(batch: Batch) -> None:
    def change(event: Event) -> None:
        if isinstance(event, RowStarted) and event.output == "one.png":
            batch.picture("a.png", 99)

    rows = (("a.png", "s.png", "one", 4), ("b.png", "s.png", "two", 4))
    with subscribed(change):
        state, table = run(batch, *rows)
    assert state.name == "SomeRowsFailed"
    assert table["status"].tolist() == ["failed", "done"]
    assert table.loc[2, "error"].startswith("PictureError: ")
    assert "a.png" in table.loc[2, "error"]
    trace = next((batch.output / "errors").iterdir()).read_text()
    assert "In the process of CPU:0:\nTraceback" in trace
    assert "in _on_rung" in trace


def dies(_: Say) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.nights
def test_a_style_whose_process_is_killed_is_tried_again(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, left = targets.isolated, [dies]

    def isolated(device: str, settings: Any, output: Any, work: Any) -> Any:
        return original(device, settings, output, left.pop() if left else work)

    monkeypatch.setattr(retries, "DELAYS", (0.0,))
    monkeypatch.setattr(targets, "isolated", isolated)
    state, table = run(batch, ("a.png", "s.png", "one", 4))
    assert state.is_completed()
    said = table.loc[2, "warnings"]
    assert said.startswith("style s.png: tried 2 times; earlier failures: ProcessKilledError: the ")
    assert "was killed by signal 9, probably because memory ran out" in said
