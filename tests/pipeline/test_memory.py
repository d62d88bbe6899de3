"""Rows of a batch that need more memory than there is: degraded, and the batch complete."""

from collections.abc import Callable
from typing import Any

import pytest
import tensorflow as tf
from prefect.client.schemas.objects import State

from nst_core.transfer.optimization import compiled
from nst_core.transfer.optimization.optimization import OctaveTask
from nst_core.transfer.tiles.grid import Tiles
from tasks.store import checkpoints
from tasks.work import ladder
from tests.pictures import write_picture
from tests.pipeline.conftest import Batch

HEADER = ("content", "style", "output", "size", "octaves")
LARGE = ("a.png", "s.png", "large", 64, 2)
SMALL = ("b.png", "s.png", "small", 32, 1)
ROWS = (HEADER, LARGE, SMALL)

OCTAVE_FAILS = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
Prepare = Callable[..., OctaveTask]


@pytest.fixture
def batch(batch: Batch) -> Batch:
    """Return the batch with a content whose coarser octave is large enough to be used."""
    write_picture(batch.folder / "a.png", 7, height=64, width=64)
    return batch


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, bool]]:
    """Return a list that receives the height of each octave, and whether it rematerializes."""
    return _observe(monkeypatch, lambda _, __: None)


def _observe(
    patch: pytest.MonkeyPatch, each: Callable[[int, bool], object]
) -> list[tuple[int, bool]]:
    original: Prepare = OctaveTask.prepare
    seen: list[tuple[int, bool]] = []

    def prepare(*arguments: Any, rematerialize: bool, **options: Any) -> OctaveTask:
        height = arguments[-1][0]
        seen.append((height, rematerialize))
        each(height, rematerialize)
        return original(*arguments, rematerialize=rematerialize, **options)

    patch.setattr(OctaveTask, "prepare", prepare)
    return seen


def fail_at(
    patch: pytest.MonkeyPatch,
    heights: set[int],
    *,
    even_rematerialized: bool,
    error: Exception = OCTAVE_FAILS,
) -> list[tuple[int, bool]]:
    """Let allocation fail in the octaves of these heights; return what `tried` returns."""

    def fail(height: int, rematerialize: bool) -> None:
        if height in heights and (even_rematerialized or not rematerialize):
            raise error

    return _observe(patch, fail)


def degraded(run: tuple[State, Any]) -> list[str]:
    """Return the cells of the column, if the batch is complete."""
    state, table = run
    assert state.is_completed(), state.message
    return [*table["degraded"].astype(object).fillna("")]


@pytest.mark.parametrize("height", [32, 64])
@pytest.mark.parametrize("error", [OCTAVE_FAILS, MemoryError("no memory")])
def test_a_row_whose_octave_fails_is_rematerialized(
    batch: Batch, monkeypatch: pytest.MonkeyPatch, height: int, error: Exception
) -> None:
    tried = fail_at(monkeypatch, {height}, even_rematerialized=False, error=error)
    _, table = run = batch.run(HEADER, LARGE)
    assert degraded(run) == ["rematerialization"]
    assert tried[-2:] == [(32, True), (64, True)]
    assert table.loc[2, ["width", "height"]].tolist() == [64, 64]
    assert table.loc[2, "warnings"] == "degraded for lack of memory: rematerialization"


def test_a_row_loses_the_octaves_that_fail_and_the_others_are_as_asked(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = fail_at(monkeypatch, {64}, even_rematerialized=True)
    _, table = run = batch.run(*ROWS)
    assert degraded(run) == ["32 x 32 instead of 64 x 64", ""]
    assert tried[:5] == [(32, False), (64, False), (32, True), (64, True), (32, False)]
    assert table.loc[2, ["status", "width", "height"]].tolist() == ["done", 32, 32]
    assert (batch.output / "losses" / "large.csv").read_text().count("\n1,32,32,") == 2
    page = (batch.output / "gallery.html").read_text()
    assert page.count(" · degraded</p>") == 1
    assert page.count("degraded for lack of memory: 32 x 32 instead of 64 x 64") == 1


@pytest.mark.nights
def test_below_the_coarsest_octave_the_style_is_examined_at_a_smaller_size(
    batch: Batch, monkeypatch: pytest.MonkeyPatch, computed: list[str]
) -> None:
    fail_at(monkeypatch, {32, 64}, even_rematerialized=True)
    _, table = run = batch.run(HEADER, LARGE)
    assert degraded(run) == ["16 x 16 instead of 64 x 64"]
    assert table.loc[2, "height"] == 16
    assert computed.count("style") == 2


def test_if_no_rung_is_left_the_row_fails_and_the_batch_goes_on(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_at(monkeypatch, {64, 32, 16, 8}, even_rematerialized=True)
    state, table = batch.run(HEADER, LARGE, ("b.png", "s.png", "small", 24, 1), retries=0)
    assert state.name == "SomeRowsFailed"
    assert table["status"].tolist() == ["failed", "done"]
    error = table.loc[2, "error"]
    assert error.startswith("NotEnoughMemoryError: memory: expected about ")
    assert "for 64 x 64 pixels" in error


@pytest.mark.parametrize("strict", [True, pytest.param(False, marks=pytest.mark.nights)])
def test_a_failure_while_the_gradient_is_compiled(
    batch: Batch, monkeypatch: pytest.MonkeyPatch, strict: bool
) -> None:
    original = compiled.loss_terms
    compiled.compile_for.cache_clear()

    def failing(*arguments: Any, rematerialize: bool, **options: Any) -> Any:
        if not rematerialize:
            raise OCTAVE_FAILS
        return original(*arguments, rematerialize=rematerialize, **options)

    with monkeypatch.context() as patch:
        patch.setattr(compiled, "loss_terms", failing)
        state, table = batch.run(*ROWS, strict=strict, retries=0)
    compiled.compile_for.cache_clear()
    if strict:
        assert state.name == "AllRowsFailed"
        assert table["error"].str.contains("NotEnoughMemoryError").all()
        assert not table["error"].str.contains("without strict, or end").eq(False).any()
    else:
        assert degraded((state, table)) == ["rematerialization"] * 2


def test_with_strict_a_row_fails_at_once(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = fail_at(monkeypatch, {64}, even_rematerialized=True)
    _, table = batch.run(*ROWS, strict=True, retries=0)
    assert table["status"].tolist() == ["failed", "done"]
    assert [height for height, again in tried if again or height == 64] == [64]


@pytest.fixture
def lean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the estimate say that rows of more than 32 pixels do not fit into memory."""

    def peak(_: Any, __: Any, shape: tuple[int, int], **___: Any) -> int:
        return 1 << 60 if max(shape) > 32 else 1

    monkeypatch.setattr(ladder, "peak_memory", peak)


@pytest.mark.usefixtures("lean")
def test_a_row_that_will_not_fit_begins_degraded_and_stays_so_when_it_is_cached(
    batch: Batch, tried: list[tuple[int, bool]]
) -> None:
    first = batch.run(*ROWS)
    assert degraded(first) == ["32 x 32 instead of 64 x 64", ""]
    assert {*tried} == {(32, False), (24, False)}
    keys = first[1]["key"].tolist()
    records = [(batch.output / ".nst-batch" / "rows" / key).read_text() for key in keys]
    assert ["degraded" in record for record in records] == [True, False]
    tried.clear()
    state, table = again = batch.run(*ROWS)
    assert degraded(again) == degraded(first)
    assert table["status"].tolist() == ["cached"] * 2
    assert state.is_completed()
    assert tried == []


@pytest.mark.parametrize("pairs", [None, pytest.param(3, marks=pytest.mark.nights)])
def test_a_row_that_only_fits_in_tiles_has_its_full_size_and_says_so(
    batch: Batch, monkeypatch: pytest.MonkeyPatch, pairs: int | None
) -> None:
    def peak(*_: Any, tiles: Tiles | None, **__: Any) -> int:
        return 1 if tiles and tiles.pairs == pairs else 1 << 60

    monkeypatch.setattr(ladder, "peak_memory", peak)
    monkeypatch.setattr(ladder, "is_worth_it", lambda *_: True)
    monkeypatch.setattr(ladder, "TILES", Tiles(16))
    settings = {"optimizer": "lbfgs" if pairs else "adam"}
    _, table = run = batch.run(HEADER, LARGE, settings=settings)
    few = " and 3 instead of 10 steps in L-BFGS's memory" if pairs else ""
    assert degraded(run) == [f"tiles{few}"]
    assert table.loc[2, ["status", "width", "height"]].tolist() == ["done", 64, 64]
    assert table.loc[2, "warnings"] == f"degraded for lack of memory: tiles{few}"
    again = batch.run(HEADER, LARGE, settings=settings)[1]
    assert again["status"].tolist() == ["cached"]


@pytest.mark.nights
def test_with_memory_again_refresh_makes_the_whole_picture_under_the_same_key(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        fail_at(patch, {64}, even_rematerialized=True)
        _, table = batch.run(HEADER, LARGE)
    _, again = run = batch.run(HEADER, LARGE, refresh=True)
    assert degraded(run) == [""]
    assert again.loc[2, "key"] == table.loc[2, "key"]
    assert again.loc[2, "height"] == 64


@pytest.mark.usefixtures("lean")
def test_a_checkpoint_is_used_on_rungs_of_the_same_size_only(
    batch: Batch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(checkpoints, "SMALLEST_INTERVALS", 0)
    monkeypatch.setattr(checkpoints, "SHORTEST_ROW", 0)
    settings = {"steps": 20, "tolerance": 0}
    row = ("a.png", "s.png", "large", 64, 3)

    def run() -> list[str]:
        options: Any = {"settings": settings, "checkpoint_every": 1e-6}
        return degraded(batch.run(HEADER, row, **options))

    with monkeypatch.context() as patch:
        patch.setattr(ladder, "peak_memory", lambda *_, **__: 1)
        # The whole picture leaves a checkpoint of its coarser octave behind.
        fail_at(patch, {64}, even_rematerialized=True)
        assert run() == ["32 x 32 instead of 64 x 64"]
    assert "it was made for a result of another size" in caplog.text
