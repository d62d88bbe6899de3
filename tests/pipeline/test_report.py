"""Outputs for people: intermediates, pages, comparison, and what a stopped run keeps."""

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from prefect.task_engine import SyncTaskRunEngine

from nst_core.images.read import load
from nst_core.storage.files import list_files
from tasks.report.gallery import page_pictures
from tasks.request import BatchRequest
from tasks.stopping import ask_to_stop, is_stopped
from tests.pictures import write_csv, write_picture
from tests.pipeline.conftest import QUICK, Batch

HEADER = ("content", "style")


def files_of(batch: Batch, folder: str) -> list[str]:
    return sorted(list_files(batch.output / folder))


def test_intermediates_are_kept_at_regular_steps_of_each_size(batch: Batch) -> None:
    settings = {"size": 64, "steps": 25, "octaves": 2, "tolerance": 0}
    write_picture(batch.folder / "large.png", 1, height=64, width=64)
    batch.run(HEADER, ("large.png", "s.png"), settings=settings, save_every=20)
    assert files_of(batch, "intermediates") == [f"large_s/{step:06d}.png" for step in (0, 20, 45)]
    folder = batch.output / "intermediates" / "large_s"
    sizes = [Image.open(folder / f"{step:06d}.png").size for step in (0, 20, 45)]
    assert sizes == [(32, 32), (32, 32), (64, 64)]
    start = load(batch.folder / "large.png", size=32).rgb
    assert np.abs(load(folder / "000000.png").rgb - start).mean() < 0.2
    curve = pd.read_csv(batch.output / "losses" / "large_s.csv")
    assert list(curve["step"]) == [0, 10, 20, 25, 25, 35, 45, 50]


def test_a_row_that_is_made_again_has_only_its_new_intermediates(batch: Batch) -> None:
    rows = (HEADER, ("a.png", "s.png"))
    batch.run(*rows, settings={"steps": 30, "tolerance": 0}, save_every=10)
    assert len(files_of(batch, "intermediates")) == 4
    before = (batch.output / "pictures" / "a_s.png").read_bytes()
    batch.run(*rows, settings={"steps": 20, "tolerance": 0}, save_every=20, refresh=True)
    assert files_of(batch, "intermediates") == ["a_s/000000.png", "a_s/000020.png"]
    # A file of another row, in a subfolder, and a file that a killed run was writing.
    others = [batch.output / "intermediates" / "a_s" / name for name in ("x/000000.png", ".p.part")]
    for path in others:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"other")
    batch.run(*rows, settings={"steps": 30, "tolerance": 0})
    assert (batch.output / "pictures" / "a_s.png").read_bytes() == before, "they change pixels"
    assert files_of(batch, "intermediates") == ["a_s/.p.part", "a_s/x/000000.png"]


def test_the_page_has_pictures_of_all_rows_and_no_old_ones(batch: Batch) -> None:
    batch.run(HEADER, ("a.png", "s.png"), ("b.png", "s.png"), ("missing.png", "t.png"))
    names = files_of(batch, "gallery")
    assert len([name for name in names if name.startswith("thumbnails/")]) == 2 + 1 + 2
    assert len([name for name in names if name.startswith("contents/")]) == 2
    # Missing ones, as in batches of an older version, are made.
    for name in names:
        (batch.output / "gallery" / name).unlink()
    batch.run(HEADER, ("a.png", "s.png"), ("b.png", "s.png"))
    assert files_of(batch, "gallery") == names
    batch.run(HEADER, ("a.png", "s.png"))
    assert len(files_of(batch, "gallery")) == 4


def test_a_run_is_compared_with_the_one_before(batch: Batch) -> None:
    header = (*HEADER, "output", "style_weight")
    (batch.folder / "c.png").write_text("no picture yet")
    rows = {
        "same": ("a.png", "s.png", "same", ""),
        "changed": ("a.png", "t.png", "changed", "1"),
        "mended": ("c.png", "s.png", "mended", ""),
        "broken": ("b.png", "s.png", "broken", ""),
        "gone": ("b.png", "t.png", "gone", ""),
    }
    _, first = batch.run(header, *rows.values())
    assert first["change"].isna().all()
    losses = first.set_index("output")["total_loss"]
    del rows["gone"]
    rows["changed"] = ("a.png", "t.png", "changed", "2")
    rows["new"] = ("a.png", "s.png", "new", "3")
    batch.picture("c.png", 5)
    (batch.folder / "b.png").unlink()
    _, second = batch.run(header, *rows.values())
    names = [name.removesuffix(".png") for name in second["output"]]
    assert list(second["change"]) == names
    previous = second.set_index("output")["previous_loss"]
    assert previous["changed.png"] == pytest.approx(losses["changed.png"], rel=1e-5)
    assert previous["broken.png"] == pytest.approx(losses["broken.png"], rel=1e-5)
    assert previous[["mended.png", "new.png"]].isna().all()


def test_a_grid_has_a_contact_sheet_as_long_as_it_is_a_grid(batch: Batch) -> None:
    grid = [(content, style) for content in ("a.png", "b.png") for style in ("s.png", "t.png")]
    sheet = batch.output / "contact_sheet.png"
    batch.run(HEADER, *grid)
    wide, tall = Image.open(sheet).size
    assert wide > 3 * 32
    assert tall > 3 * 24
    batch.run(HEADER, *grid[:3])
    assert not sheet.exists()


def test_a_picture_of_the_user_is_not_taken_for_an_old_contact_sheet(batch: Batch) -> None:
    sheet = write_picture(batch.output / "contact_sheet.png", 5)
    before = sheet.read_bytes()
    rows = [("a.png", "s.png"), ("b.png", "t.png"), (sheet, "t.png")]
    _, table = batch.run(HEADER, *rows)
    assert list(table["status"]) == ["done", "done", "invalid"]
    assert f"runs replace and remove files in {sheet}" in table.loc[4, "error"]
    assert sheet.read_bytes() == before


@pytest.mark.nights
def test_pictures_of_the_user_among_intermediates_are_kept(batch: Batch) -> None:
    steps = batch.output / "intermediates" / "a_s"
    content, own, stopped = (
        write_picture(path, seed)
        for seed, path in enumerate(
            (steps / "000010.png", steps / "000020.png", batch.output / "interrupted" / "a_s.png")
        )
    )
    before = [path.read_bytes() for path in (content, own, stopped)]
    rows = (("a.png", "s.png", "a_s"), (content, "s.png", "b_s"))
    settings = {"steps": 30, "tolerance": 0}
    for _ in range(2):
        _, table = batch.run(
            (*HEADER, "output"), *rows, settings=settings, save_every=10, refresh=True
        )
    assert list(table["status"]) == ["done", "invalid"]
    assert f"runs replace and remove files in {steps.parent}" in table.loc[3, "error"]
    found = [steps / "000010.kept-1.png", steps / "000020.kept-1.png", stopped]
    assert [path.read_bytes() for path in found] == before
    numbers = [f"a_s/{step:06d}.png" for step in (0, 10, 20, 30)]
    moved = [f"a_s/0000{step}.kept-1.png" for step in (10, 20)]
    assert files_of(batch, "intermediates") == sorted([*numbers, *moved])


def test_an_unwritable_picture_of_the_page_fails_no_row(
    batch: Batch, caplog: pytest.LogCaptureFixture
) -> None:
    batch.output.mkdir()
    (batch.output / "gallery").write_text("no folder")
    state, table = batch.run(HEADER, ("a.png", "s.png"))
    assert state.is_completed()
    assert list(table["status"]) == ["done"]
    assert "a picture of the page cannot be written" in caplog.text


def test_an_unwritable_page_gives_a_warning_and_fails_no_row(
    batch: Batch, caplog: pytest.LogCaptureFixture
) -> None:
    (batch.output / "gallery.html").mkdir(parents=True)
    state, table = batch.run(HEADER, ("a.png", "s.png"))
    assert state.is_completed()
    assert list(table["status"]) == ["done"]
    assert "the gallery is not up to date: " in caplog.text


@pytest.fixture
def stopped_in_the_second_row(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> Iterator[pytest.MonkeyPatch]:
    """Send Ctrl-C when a row of width 31 has done some steps."""
    from nst_core.transfer import stylize

    original = stylize.iterates

    def iterates(encoder: Any, content: Any, *arguments: Any, **options: Any) -> Any:
        steps = original(encoder, content, *arguments, **options)
        if content.shape[1] != 31:
            return (yield from steps)
        while True:
            try:
                iterate = next(steps)
            except StopIteration as stop:
                return stop.value
            if iterate.step == 10:
                os.kill(os.getpid(), signal.SIGINT)
                _wait_until_stopped(batch)
            yield iterate

    monkeypatch.setattr(stylize, "iterates", iterates)
    # A shell makes the processes that it starts in the background ignore Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield monkeypatch
    signal.signal(signal.SIGINT, before)


def _wait_until_stopped(batch: Batch) -> None:
    """Wait for the interrupt, which reaches the main thread a little later."""
    output = BatchRequest(manifest=batch.folder / "m.csv", output=batch.output).output_folder
    for _ in range(300):
        if is_stopped(output):
            return
        time.sleep(0.1)
    pytest.fail("nobody was told to stop")


def test_a_stop_keeps_the_best_picture_and_the_next_run_resumes(
    batch: Batch, stopped_in_the_second_row: pytest.MonkeyPatch
) -> None:
    from flows.stylize_manifest import stylize_manifest
    from nst_core.transfer.presets import Overrides

    write_picture(batch.folder / "wide.png", 9, height=20, width=31)
    contents = ("a.png", "wide.png", "b.png", "missing.png")
    rows = (HEADER, *((content, "s.png") for content in contents))
    settings = QUICK | {"steps": 30, "tolerance": 0}
    manifest = write_csv(batch.folder / "m.csv", *rows)
    stopped_in_the_second_row.setattr(page_pictures, "SPARE_SECONDS", 10**6)
    with pytest.raises(KeyboardInterrupt):
        stylize_manifest(manifest, batch.output, settings=Overrides(**settings), cache=batch.cache)
    table = pd.read_csv(batch.output / "summary.csv").set_index("line")
    assert list(table["status"]) == ["done", "interrupted", "pending", "invalid"]
    assert table.loc[3, "picture"] == "interrupted/wide_s.png"
    assert table.loc[3, "error"].startswith("stopped after 10 of 30 steps")
    assert Image.open(batch.output / table.loc[3, "picture"]).size == (31, 20)
    assert files_of(batch, "pictures") == ["a_s.png"]
    page = (batch.output / "gallery.html").read_text("utf-8")
    for shown in ("photograph", "style"):
        assert page.count(f'alt="{shown}: ') == 3, "of all rows but the one that cannot be read"

    stopped_in_the_second_row.undo()
    _, table = batch.run(*rows, settings=settings)
    assert list(table["status"]) == ["cached", "done", "done", "invalid"]
    assert list(table["change"]) == ["same", "new", "new", "same"]
    assert files_of(batch, "interrupted") == []
    assert files_of(batch, "pictures") == ["a_s.png", "b_s.png", "wide_s.png"]


def test_a_stop_just_as_a_row_begins_leaves_a_table(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prefect then raises something other than an `Exception`, before the task's function runs."""
    is_cancelled = SyncTaskRunEngine.is_cancelled

    def stopped_meanwhile(engine: SyncTaskRunEngine[Any, Any]) -> bool:
        if engine.task_run.name == "b_s.png":
            ask_to_stop()
            assert engine.context["cancel_event"].wait(60)
        return is_cancelled(engine)

    rows = (HEADER, ("a.png", "s.png"), ("b.png", "s.png"))
    with monkeypatch.context() as patch:
        patch.setattr(SyncTaskRunEngine, "is_cancelled", stopped_meanwhile)
        with pytest.raises(KeyboardInterrupt):
            batch.run(*rows)
    table = pd.read_csv(batch.output / "summary.csv")
    assert list(table["status"]) == ["done", "pending"]
    _, table = batch.run(*rows)
    assert list(table["status"]) == ["cached", "done"]


def test_a_stop_before_anything_is_known_still_leaves_a_table(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows import choice

    rows = (HEADER, ("a.png", "s.png"), ("missing.png", "s.png"))
    batch.run(*rows)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(choice, "results_of_finished", interrupted)
    with pytest.raises(KeyboardInterrupt):
        batch.run(*rows)
    table = pd.read_csv(batch.output / "summary.csv")
    assert list(table["status"]) == ["pending", "invalid"]
    monkeypatch.undo()
    _, table = batch.run(*rows)
    assert list(table["status"]) == ["cached", "invalid"]


def test_a_run_is_named_after_its_manifest_and_the_time(batch: Batch) -> None:
    from prefect.client.orchestration import get_client

    state, _ = batch.run(HEADER, ("a.png", "s.png"))
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(state.state_details.flow_run_id)
    started = run.expected_start_time.astimezone()
    assert run.name == f"m {started:%Y-%m-%d %H:%M}"
