"""Rows that were interrupted continue from their checkpoints, and end as if undisturbed."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nst_core.transfer.optimization.checkpoint import Checkpoint
from tasks.engine import retries
from tasks.store import checkpoints as module
from tests.pictures import write_picture
from tests.pipeline.conftest import Batch, call_with_iterates

HEADER = ("content", "style")
ROW = ("a.png", "s.png")
SETTINGS = {"size": 64, "steps": 30, "octaves": 2, "tolerance": 0}
STEPS = (0, 10, 20, 30, 30, 40, 50, 60)


class DeviceLostError(Exception):
    """What ends a row in the middle, as a lost device would."""


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Return a list that receives the step of each iterate, in all runs."""
    steps: list[int] = []
    call_with_iterates(monkeypatch, lambda iterate: steps.append(iterate.step))
    return steps


def _fail_after(patch: pytest.MonkeyPatch, step: int) -> None:
    """Let the row fail at the first iterate after a step."""

    def fail(iterate: Any) -> None:
        if iterate.step > step:
            raise DeviceLostError("the device is lost")

    call_with_iterates(patch, fail)


def run(batch: Batch, *, every: float = 1e-6, **options: Any) -> Any:
    """Run the row; by default, a checkpoint is written at every iterate."""
    return batch.run(HEADER, ROW, settings=SETTINGS, checkpoint_every=every, **options)[1]


@pytest.fixture(autouse=True)
def _always_due(monkeypatch: pytest.MonkeyPatch, batch: Batch) -> None:
    monkeypatch.setattr(module, "SMALLEST_INTERVALS", 0)
    monkeypatch.setattr(module, "SHORTEST_ROW", 0)
    write_picture(batch.folder / "a.png", 7, height=64, width=64)


def results(batch: Batch) -> tuple[bytes, bytes]:
    """Return the bytes of the row's picture and curve."""
    names = ("pictures/a_s.png", "losses/a_s.csv")
    picture, curve = ((batch.output / name).read_bytes() for name in names)
    return picture, curve


def checkpoints(batch: Batch) -> list[Path]:
    return [*(batch.output / ".nst-batch" / "checkpoints").glob("*")]


@pytest.fixture
def undisturbed(batch: Batch) -> tuple[bytes, bytes]:
    """Return the results of a run that nothing disturbs; forget that it happened."""
    run(batch, every=0)
    found = results(batch)
    for name in ("pictures/a_s.png", "losses/a_s.csv"):
        (batch.output / name).unlink()
    return found


@pytest.fixture(
    params=[
        pytest.param(10, marks=pytest.mark.nights),
        30,
        pytest.param(50, marks=pytest.mark.torture),
    ]
)
def interrupted(
    request: pytest.FixtureRequest, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> int:
    """Return the step after which a row failed, with a checkpoint."""
    with monkeypatch.context() as patch:
        _fail_after(patch, request.param)
        table = run(batch)
    assert list(table["status"]) == ["failed"]
    assert len(checkpoints(batch)) == 1
    step: int = request.param
    return step


def test_a_row_continues_and_ends_with_the_same_files(
    batch: Batch, undisturbed: tuple[bytes, bytes], interrupted: int, seen: list[int]
) -> None:
    table = run(batch)
    assert list(table["status"]) == ["done"]
    assert seen == [step for step in STEPS if step > interrupted]
    assert results(batch) == undisturbed
    assert not checkpoints(batch)


@pytest.mark.parametrize("refresh", [pytest.param(False, marks=pytest.mark.nights), True])
def test_a_row_that_is_tried_again_continues_from_its_own_checkpoint(
    batch: Batch,
    undisturbed: tuple[bytes, bytes],
    interrupted: int,
    monkeypatch: pytest.MonkeyPatch,
    seen: list[int],
    refresh: bool,
) -> None:
    failed: list[int] = []

    def fail_once(iterate: Any) -> None:
        if iterate.step == 60 and not failed:
            failed.append(iterate.step)
            raise ConnectionError("no room")

    monkeypatch.setattr(retries, "DELAYS", (0.0,))
    call_with_iterates(monkeypatch, fail_once)
    table = run(batch, refresh=refresh)
    assert (table.loc[2, "status"], table.loc[2, "retries"]) == ("done", 1)
    # A refresh does not use the checkpoint of the run before.
    first = [step for step in STEPS if refresh or step > interrupted]
    assert seen == [*first, 60]
    assert results(batch) == undisturbed
    assert not checkpoints(batch)


@pytest.mark.nights
def test_a_refresh_that_fails_before_its_first_checkpoint_starts_from_the_beginning(
    batch: Batch,
    interrupted: int,  # noqa: ARG001 - leaves a checkpoint
    monkeypatch: pytest.MonkeyPatch,
    seen: list[int],
) -> None:
    def fail_once(iterate: Any) -> None:
        if iterate.step == 0 and len(seen) == 1:
            raise ConnectionError("no room")

    monkeypatch.setattr(retries, "DELAYS", (0.0,))
    call_with_iterates(monkeypatch, fail_once)
    table = run(batch, every=3600, refresh=True)
    assert (table.loc[2, "status"], table.loc[2, "retries"]) == ("done", 1)
    assert seen == [0, *STEPS]


@pytest.mark.nights
def test_seconds_are_those_of_all_runs(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        _fail_after(patch, 30)
        call_with_iterates(patch, lambda _: time.sleep(0.3))
        run(batch)
    table = run(batch)
    assert table.loc[2, "seconds"] > 5 * 0.3
    assert table.loc[2, "steps"] == 60


def test_a_stop_writes_a_checkpoint_before_one_is_due(
    batch: Batch, undisturbed: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch, seen: list[int]
) -> None:
    from tasks.work import stylization

    with monkeypatch.context() as patch:
        stopped: list[int] = []
        call_with_iterates(patch, lambda iterate: stopped.append(iterate.step))
        patch.setattr(stylization, "is_stopped", lambda _: stopped[-1] == 20)
        table = run(batch, every=3600)
    assert table.loc[2, "status"] == "interrupted"
    assert "; the next run continues from there; its best picture" in table.loc[2, "error"]
    assert len(checkpoints(batch)) == 1
    seen.clear()
    run(batch)
    assert seen == [30, 30, 40, 50, 60]
    assert results(batch) == undisturbed


@pytest.mark.nights
def test_none_is_written_if_none_is_wanted(
    batch: Batch, monkeypatch: pytest.MonkeyPatch, seen: list[int]
) -> None:
    with monkeypatch.context() as patch:
        _fail_after(patch, 20)
        run(batch, every=0)
    assert not checkpoints(batch)
    seen.clear()
    run(batch)
    assert seen == list(STEPS)


@pytest.mark.nights
def test_a_refresh_starts_from_the_beginning(
    batch: Batch,
    undisturbed: tuple[bytes, bytes],
    monkeypatch: pytest.MonkeyPatch,
    seen: list[int],
) -> None:
    with monkeypatch.context() as patch:
        _fail_after(patch, 20)
        run(batch)
    seen.clear()
    run(batch, refresh=True)
    assert seen == list(STEPS)
    assert results(batch) == undisturbed
    assert not checkpoints(batch)


def _tear(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _of_other_targets(path: Path) -> None:
    checkpoint, notes = Checkpoint.from_bytes(path.read_bytes())
    path.write_bytes(checkpoint.to_bytes(notes.replace('"targets": "', '"targets": "0')))


def _of_another_stylization(path: Path) -> None:
    checkpoint, notes = Checkpoint.from_bytes(path.read_bytes())
    path.write_bytes(Checkpoint.to_bytes(_with_octave(checkpoint, 7), notes))


def _with_octave(checkpoint: Checkpoint, octave: int) -> Checkpoint:
    from dataclasses import replace

    return replace(checkpoint, octave=octave)


def _be_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "x").touch()


@pytest.mark.parametrize(
    "damage",
    [
        _of_another_stylization,
        *(
            pytest.param(damage, marks=pytest.mark.torture)
            for damage in (_tear, _of_other_targets, _be_a_folder)
        ),
    ],
)
def test_one_that_cannot_be_used_costs_only_its_steps(
    batch: Batch,
    undisturbed: tuple[bytes, bytes],
    damage: Callable[[Path], None],
    monkeypatch: pytest.MonkeyPatch,
    seen: list[int],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with monkeypatch.context() as patch:
        _fail_after(patch, 20)
        run(batch)
    damage(*checkpoints(batch))
    seen.clear()
    table = run(batch, every=3600)
    assert list(table["status"]) == ["done"]
    assert "checkpoint" in caplog.text
    assert seen == list(STEPS)
    assert results(batch) == undisturbed


def test_a_disk_without_room_for_one_fails_no_row(
    batch: Batch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: Any) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_atomic_parts", full)
    table = run(batch)
    assert list(table["status"]) == ["done"]
    assert caplog.text.count("no checkpoint can be written: No space left on device") == 1


def test_a_short_row_has_none(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHORTEST_ROW", 1000)
    with monkeypatch.context() as patch:
        _fail_after(patch, 20)
        run(batch)
    assert not checkpoints(batch)


def test_old_ones_are_removed(batch: Batch) -> None:
    folder = batch.output / ".nst-batch" / "checkpoints"
    folder.mkdir(parents=True)
    old, new, other = (folder / name for name in ("0" * 64, "1" * 64, "notes.txt"))
    for path in (old, new, other):
        path.write_bytes(b"")
    os.utime(old, (0, 0))
    os.utime(other, (0, 0))
    run(batch)
    assert sorted(checkpoints(batch)) == [new, other]


def test_a_checkpoint_is_due_after_a_time_and_never_too_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(module, "SMALLEST_INTERVALS", 20)
    row = module.Checkpoints.of_row(tmp_path / "x", b"targets", 60)
    assert not row.is_due(100)
    now[0] += 60
    assert row.is_due(100)
    monkeypatch.setattr(module, "SHORTEST_ROW", 5)
    assert not row.is_due(4)

    def slow(*_: Any) -> str:
        now[0] += 5
        return ""

    monkeypatch.setattr(module, "write_atomic_parts", slow)
    state = module.RowState(_any_checkpoint(), [], 1.0)
    assert row.write(state)
    now[0] += 99
    assert not row.is_due(100)
    now[0] += 1
    assert row.is_due(100)


def _any_checkpoint() -> Checkpoint:
    from nst_core.transfer.optimization.checkpoint import Totals

    return Checkpoint(0, Totals(0, 0, 0), Totals(0, 0, 0), (1.0,), [])
