"""Style targets that are removed or replaced while a batch runs, which fails no row."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from flows.cli.commands.cache import prune
from flows.cli.terminal import Terminal
from nst_core.storage.held_files import part_name
from nst_core.transfer.styles.targets import StyleTargets
from tasks.engine.row_report import RowReport
from tasks.store.file_reference import FileReference
from tasks.store.records import StyleRecord, write_record
from tasks.store.style_cache import StyleCache
from tests.pipeline.conftest import Batch

ROWS = (("content", "style"), *((name, "s.png") for name in ("a.png", "b.png", "t.png")))


@pytest.fixture
def before_each_row(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Return a function that sets what happens when a row begins, after it was submitted."""
    started = RowReport.started

    def install(act: Callable[[], object]) -> None:
        def act_and_start(self: RowReport) -> None:
            act()
            started(self)

        monkeypatch.setattr(RowReport, "started", act_and_start)

    return install


def cached_record(batch: Batch) -> StyleRecord:
    (targets,) = StyleCache(batch.cache).files.glob("*.safetensors")
    record = StyleCache(batch.cache).find(targets.stem)
    assert record
    return record


def remove_all(batch: Batch) -> None:
    shutil.rmtree(batch.cache / "styles")


def remove_files(batch: Batch) -> None:
    for targets in StyleCache(batch.cache).files.iterdir():
        targets.unlink()


def remove_records(batch: Batch) -> None:
    """Remove the records, after the files that they name were changed."""
    for targets in StyleCache(batch.cache).files.iterdir():
        targets.write_bytes(b"")
        (StyleCache(batch.cache).records / targets.stem).unlink()


@pytest.mark.parametrize(
    "remove",
    [
        remove_all,
        *(pytest.param(part, marks=pytest.mark.nights) for part in (remove_files, remove_records)),
    ],
)
def test_targets_that_vanish_are_computed_again(
    batch: Batch,
    computed: list[str],
    before_each_row: Any,
    remove: Callable[[Batch], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    before_each_row(lambda: remove(batch))
    state, table = batch.run(*ROWS)
    assert state.message == "3 done"
    assert table["error"].isna().all()
    assert sorted(computed) == ["row"] * 3 + ["style"] * 4
    assert (
        "style s.png: its targets are no longer in the cache; computing them again" in caplog.text
    )
    computed.clear()
    batch.run(*ROWS, refresh=False, output=batch.folder / "other")
    assert cached_record(batch)
    undisturbed = Image.open(batch.folder / "other" / table.loc[2, "picture"])
    disturbed = Image.open(batch.output / table.loc[2, "picture"])
    np.testing.assert_array_equal(np.asarray(disturbed), np.asarray(undisturbed))


def test_rows_that_need_vanished_targets_compute_them_once(
    batch: Batch, computed: list[str], before_each_row: Any
) -> None:
    done: list[bool] = []

    def remove_once() -> None:
        if not done:
            remove_all(batch)
        done.append(True)

    before_each_row(remove_once)
    state, _ = batch.run(*ROWS)
    assert state.message == "3 done"
    assert computed.count("style") == 2
    computed.clear()
    state, table = batch.run(("content", "style"), ("s.png", "s.png"))
    assert (state.message, list(table["style_targets"])) == ("1 done", ["hit"])
    assert computed == ["row"]


def test_targets_that_another_run_computed_again_are_used(
    batch: Batch, computed: list[str], before_each_row: Any
) -> None:
    """A run with `--refresh` on another device does this; the last bits then differ."""

    def replace() -> None:
        record = cached_record(batch)
        targets = StyleTargets.from_bytes(record.file.read())
        octaves = [
            {layer: np.nextafter(gram, np.float32(9)) for layer, gram in grams.items()}
            for grams in targets.grams
        ]
        other = StyleTargets(tuple(octaves), targets.centers, targets.colors).to_bytes()
        file = FileReference.write(record.file.path, other)
        assert file.sha256 != record.file.sha256
        folder = StyleCache(batch.cache).records
        write_record(folder / record.key, record.model_copy(update={"file": file}))

    before_each_row(replace)
    state, table = batch.run(*ROWS)
    assert state.message == "3 done"
    assert table["error"].isna().all()
    assert computed.count("style") == 1


def test_targets_that_cannot_be_cached_are_still_used(
    batch: Batch, before_each_row: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def replace_by_file() -> None:
        shutil.rmtree(batch.cache / "styles", ignore_errors=True)
        (batch.cache / "styles").touch()

    before_each_row(replace_by_file)
    state, _ = batch.run(*ROWS)
    assert state.message == "3 done"
    assert "style s.png: its targets cannot be cached" in caplog.text


def test_a_cache_that_belongs_to_somebody_else_is_used(
    batch: Batch, computed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch.run(*ROWS)
    computed.clear()

    original = os.open

    def refuse(path: object, *_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted", str(path))

    def open_unless_to_write(path: Any, flags: int, *rest: Any, **options: Any) -> int:
        if str(path).endswith(".safetensors") and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            refuse(path)
        return original(path, flags, *rest, **options)

    monkeypatch.setattr(os, "utime", refuse)
    monkeypatch.setattr(os, "open", open_unless_to_write)
    state, _ = batch.run(*ROWS, output=batch.folder / "other")
    assert (state.message, computed) == ("3 done", ["row"] * 3)


def test_prune_leaves_what_a_run_needs_until_the_run_is_over(
    batch: Batch, computed: list[str], before_each_row: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def prune_all() -> None:
        assert prune(Terminal(), StyleCache(batch.cache), 0, dry_run=False) == 0

    before_each_row(prune_all)
    state, _ = batch.run(*ROWS)
    assert state.message == "3 done"
    assert computed.count("style") == 1
    output = capsys.readouterr().out
    assert "removed 0 files, 0.0 MB; 1 more were kept, because runs are using them" in output
    prune_all()
    assert not list(StyleCache(batch.cache).files.iterdir())
    assert not list(StyleCache(batch.cache).in_use.folder.iterdir())


def test_a_run_removes_files_that_killed_runs_were_writing(batch: Batch) -> None:
    batch.run(*ROWS[:2])
    folders = [
        *(batch.output, batch.output / "pictures", batch.output / "losses" / "deep"),
        *(batch.output / ".nst-batch" / "rows", StyleCache(batch.cache).files),
        batch.cache / "weights",
    ]
    for folder in folders:
        Path(folder).mkdir(exist_ok=True)
        for name in (part_name("a.png"), "x.part"):
            (folder / name).write_bytes(b"half")
    elsewhere = batch.folder / part_name("elsewhere")
    elsewhere.write_bytes(b"half")
    batch.run(*ROWS[:2])
    left = [path.name for path in batch.folder.rglob("*.part")]
    assert left.count("x.part") == len(folders)
    assert [name for name in left if name != "x.part"] == [elsewhere.name]
