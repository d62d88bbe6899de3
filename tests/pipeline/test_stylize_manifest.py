"""The flow on a server: what runs, what is skipped, what fails, and what is reported."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from prefect.task_runners import ThreadPoolTaskRunner

from nst_core.images.write import read_text
from tasks.events import Event, RowEnded, subscribed
from tasks.store.output_folder import OutputFolder
from tasks.store.style_cache import StyleCache
from tests.pictures import write_picture
from tests.pipeline.conftest import Batch

HEADER = ("content", "style")
GRID = (
    HEADER,
    *((content, style) for content in ("a.png", "b.png") for style in ("s.png", "t.png")),
)


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_a_batch_from_manifest_to_table(batch: Batch, computed: list[str]) -> None:
    state, table = batch.run(*GRID)
    assert state.is_completed()
    assert state.message == "4 done"
    assert sorted(computed) == ["row"] * 4 + ["style"] * 2
    assert list(table.index) == [2, 3, 4, 5]
    assert set(table["status"]) == {"done"}
    assert list(table["style_targets"]) == ["computed"] * 4
    for _, row in table.iterrows():
        picture = Image.open(batch.output / row["picture"])
        assert picture.size == (row["width"], row["height"]) == (32, 24)
        weighted = 0.05 * row["content_loss"] + row["style_loss"] + 0.5 * row["tv_loss"]
        assert row["total_loss"] == pytest.approx(weighted, rel=1e-3)
        assert row["total_loss"] < row["start_loss"]
        curve = pd.read_csv(batch.output / row["curve"])
        assert list(curve["step"]) == [0, 2]
        assert row["device"] == "CPU:0"
        assert row["peak_memory_mb"] > 100
        assert len(row["encoder_fingerprint"]) == 64
    assert table.filter(like="relative_loss_").notna().all().all()
    pd.testing.assert_frame_equal(
        pd.read_parquet(batch.output / "summary.parquet")[["status", "picture"]],
        table.reset_index()[["status", "picture"]],
    )


def test_a_picture_contains_how_it_was_made(batch: Batch) -> None:
    _, table = batch.run(HEADER, ("a.png", "s.png"), settings={"tv_weight": 0.25})
    facts = json.loads(read_text(batch.output / table.loc[2, "picture"])["nst-batch"])
    assert facts["settings"]["tv_weight"] == 0.25
    assert facts["seed"] == table.loc[2, "seed"]
    assert facts["total_loss"] == pytest.approx(table.loc[2, "total_loss"], rel=1e-5)
    assert (facts["content"], facts["style"]) == ("a.png", "s.png")
    assert len(facts["key"]) == len(facts["content_sha256"]) == len(facts["style_sha256"]) == 64


def test_a_second_run_computes_nothing(batch: Batch, computed: list[str]) -> None:
    batch.run(*GRID)
    computed.clear()
    state, table = batch.run(*GRID)
    assert state.message == "4 cached"
    assert computed == []
    assert set(table["style_targets"]) == {"hit"}
    assert table["total_loss"].notna().all()


def test_only_lost_and_damaged_pictures_are_made_again(batch: Batch, computed: list[str]) -> None:
    _, table = batch.run(*GRID)
    first, second = (batch.output / table.loc[line, "picture"] for line in (3, 4))
    before = pixels(first)
    first.unlink()
    second.write_bytes(second.read_bytes()[:-40])
    computed.clear()
    _, table = batch.run(*GRID)
    assert list(table["status"]) == ["cached", "done", "done", "cached"]
    assert computed == ["row", "row"]
    np.testing.assert_array_equal(pixels(first), before)


def test_refresh_runs_everything_again(batch: Batch, computed: list[str]) -> None:
    batch.run(*GRID[:2])
    computed.clear()
    _, table = batch.run(*GRID[:2], refresh=True)
    assert computed == ["style", "row"]
    assert list(table["status"]) == ["done"]


def test_a_change_reruns_exactly_the_rows_it_affects(batch: Batch, computed: list[str]) -> None:
    header = (*HEADER, "content_weight")
    rows = [(*row, "") for row in GRID[1:]]
    batch.run(header, *rows)

    batch.picture("b.png", 77)
    assert list(batch.run(header, *rows)[1]["status"]) == ["cached", "cached", "done", "done"]

    batch.picture("t.png", 78)
    computed.clear()
    assert list(batch.run(header, *rows)[1]["status"]) == ["cached", "done", "cached", "done"]
    assert sorted(computed) == ["row", "row", "style"]

    rows[0] = ("a.png", "s.png", "0.3")
    assert list(batch.run(header, *rows)[1]["status"]) == ["done", "cached", "cached", "cached"]


def test_order_and_neighboring_rows_change_no_picture(batch: Batch) -> None:
    settings = {"start": "noise"}
    _, table = batch.run(*GRID, settings=settings)
    before = [pixels(batch.output / picture) for picture in table["picture"]]
    reordered = (HEADER, GRID[4], GRID[2])
    _, table = batch.run(*reordered, settings=settings, output=batch.folder / "other")
    assert list(table["status"]) == ["done", "done"]
    for line, original in ((2, 3), (3, 1)):
        again = pixels(batch.folder / "other" / table.loc[line, "picture"])
        np.testing.assert_array_equal(again, before[original])


@pytest.mark.nights
def test_one_style_is_computed_once_for_twenty_contents(batch: Batch, computed: list[str]) -> None:
    names = [f"{number}.png" for number in range(20)]
    for number, name in enumerate(names):
        batch.picture(name, 100 + number)
    rows = [(name, "s.png") for name in names]
    state, _ = batch.run(HEADER, *rows)
    assert state.message == "20 done"
    assert (computed.count("style"), computed.count("row")) == (1, 20)
    computed.clear()
    _, table = batch.run(HEADER, *rows, output=batch.folder / "elsewhere")
    assert (computed.count("style"), computed.count("row")) == (0, 20)
    assert set(table["style_targets"]) == {"hit"}


def test_styles_are_identified_by_their_pixels(batch: Batch, computed: list[str]) -> None:
    batch.picture("same.png", 2)
    batch.run(HEADER, ("a.png", "s.png"), ("b.png", "same.png"))
    assert computed.count("style") == 1


def test_the_same_style_at_two_sizes_has_two_targets(batch: Batch, computed: list[str]) -> None:
    batch.run((*HEADER, "size"), ("a.png", "s.png", "32"), ("b.png", "s.png", "24"))
    assert computed.count("style") == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-3]),
        lambda path: path.write_bytes(path.read_bytes()[:-1] + b"\x55"),
    ],
    ids=["missing", "empty", "truncated", "flipped"],
)
def test_damaged_style_targets_are_computed_again(
    batch: Batch, computed: list[str], damage: Any, caplog: pytest.LogCaptureFixture
) -> None:
    batch.run(HEADER, ("a.png", "s.png"))
    (targets,) = StyleCache(batch.cache).files.glob("*.safetensors")
    intact = targets.read_bytes()
    damage(targets)
    computed.clear()
    state, _ = batch.run(HEADER, ("b.png", "s.png"))
    assert state.is_completed()
    assert computed == ["style", "row"]
    assert targets.read_bytes() == intact
    assert targets.name in caplog.text


def test_a_new_name_needs_no_new_picture(batch: Batch, computed: list[str]) -> None:
    header = (*HEADER, "output")
    batch.run(header, ("a.png", "s.png", "one"))
    computed.clear()
    _, table = batch.run(header, ("a.png", "s.png", "folder/two"))
    assert (computed, list(table["status"])) == ([], ["cached"])
    assert (batch.output / table.loc[2, "curve"]).is_file()
    one, two = (batch.output / "pictures" / name for name in ("one.png", "folder/two.png"))
    assert one.read_bytes() == two.read_bytes()


def test_equal_rows_run_once_and_both_have_their_picture(batch: Batch, computed: list[str]) -> None:
    _, table = batch.run((*HEADER, "output"), ("a.png", "s.png", "one"), ("a.png", "s.png", "two"))
    assert computed == ["style", "row"]
    assert list(table["status"]) == ["done", "done"]
    assert all((batch.output / picture).is_file() for picture in table["picture"])


def test_rows_are_submitted_a_few_ahead_and_gathered_in_order(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.engine import in_flight

    submitted: list[str] = []
    gathered: list[int] = []
    most = 0
    submit, gather = ThreadPoolTaskRunner.submit, in_flight.gather

    def submit_and_count(self: Any, task: Any, *arguments: Any, **options: Any) -> Any:
        nonlocal most
        if task.name == "stylize":
            submitted.append(task.name)
            most = max(most, len(submitted) - len(gathered))
        return submit(self, task, *arguments, **options)

    def gather_and_note(job: Any, *arguments: Any) -> Any:
        gathered.append(job.line)
        return gather(job, *arguments)

    monkeypatch.setattr(in_flight, "MAX_IN_FLIGHT", 3)
    monkeypatch.setattr(ThreadPoolTaskRunner, "submit", submit_and_count)
    monkeypatch.setattr(in_flight, "gather", gather_and_note)
    rows = [("a.png", "s.png", f"p{number}", number) for number in range(1, 9)]
    state, table = batch.run((*HEADER, "output", "style_weight"), *rows)
    assert state.message == "8 done"
    assert list(table["picture"]) == [f"pictures/p{number}.png" for number in range(1, 9)]
    assert gathered == list(range(2, 10))
    assert most == 4


def test_rows_of_higher_priority_run_first_and_the_table_keeps_its_order(batch: Batch) -> None:
    ended: list[int] = []

    def note(event: Event) -> None:
        if isinstance(event, RowEnded):
            ended.append(event.line)

    rows = [("a.png", "s.png", f"p{rank}", rank, 1 + rank) for rank in (1, 3, 2)]
    rows.append(("a.png", "s.png", "copy", 0, 4))
    with subscribed(note):
        _, table = batch.run((*HEADER, "output", "priority", "style_weight"), *rows)
    assert ended == [3, 5, 4, 2]
    assert list(table.index) == [2, 3, 4, 5]
    assert list(table["status"]) == ["done"] * 4
    assert list(table["same_as"].dropna()) == [3]


def test_rows_in_a_moved_output_folder_are_cached(batch: Batch, computed: list[str]) -> None:
    batch.run(*GRID)
    moved = batch.folder / "moved"
    batch.output.rename(moved)
    computed.clear()
    state, _ = batch.run(*GRID, output=moved)
    assert (state.message, computed) == ("4 cached", [])


def test_faulty_rows_are_in_the_table_and_the_others_run(batch: Batch) -> None:
    (batch.folder / "text.jpg").write_text("hello")
    state, table = batch.run(
        (*HEADER, "content_weight", "colour"),
        ("missing.png", "s.png", "", ""),
        ("a.png", "s.png", "", ""),
        ("text.jpg", "s.png", "-1", ""),
        ("b.png", "s.png", "", "red"),
    )
    assert (state.name, state.type.value) == ("SomeRowsFailed", "FAILED")
    assert counts_of(state) == "1 done, 3 invalid"
    assert list(table["status"]) == ["invalid", "done", "invalid", "invalid"]
    assert "line 2, column content" in table.loc[2, "error"]
    assert "column content_weight" in table.loc[4, "error"]
    assert "column content:" in table.loc[4, "error"]
    assert "column colour: found 'red'; unknown column" in table.loc[5, "error"]
    assert pd.isna(table.loc[3, "error"])


def test_strict_runs_nothing_if_a_row_is_invalid(batch: Batch, computed: list[str]) -> None:
    from flows.stylize_manifest import stylize_manifest
    from tasks.intake.manifest import ManifestError
    from tests.pictures import write_csv

    manifest = write_csv(batch.folder / "m.csv", HEADER, ("a.png", "s.png"), ("no.png", "s.png"))
    state = stylize_manifest(manifest, batch.output, strict=True, return_state=True)
    assert state.is_failed()
    assert isinstance(state.result(raise_on_failure=False), ManifestError)
    assert computed == []


def counts_of(state: Any) -> str:
    """Return the first line of a state's message; reasons follow."""
    return str(state.message).splitlines()[0]


def _fail_for(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, width: int) -> None:
    function = getattr(module, name)

    def failing(*arguments: Any, **options: Any) -> Any:
        pictures = [getattr(argument, "rgb", argument) for argument in arguments[:2]]
        if any(getattr(picture, "shape", (0, 0))[1] == width for picture in pictures):
            raise ArithmeticError("no room for it")
        return function(*arguments, **options)

    monkeypatch.setattr(module, name, failing)


def test_a_row_that_raises_is_a_failed_row_with_a_reason(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nst_core.transfer import stylize

    write_picture(batch.folder / "wide.png", 9, height=20, width=31)
    _fail_for(monkeypatch, stylize, "iterates", 31)
    rows = (HEADER, ("a.png", "s.png"), ("wide.png", "s.png"), ("b.png", "s.png"))
    state, table = batch.run(*rows, retries=0)
    assert (state.name, counts_of(state)) == ("SomeRowsFailed", "2 done, 1 failed")
    assert list(table["status"]) == ["done", "failed", "done"]
    assert table.loc[3, "error"] == "ArithmeticError: no room for it"
    assert "ArithmeticError: no room for it" in (batch.output / "errors" / "wide_s.txt").read_text()
    monkeypatch.undo()
    state, table = batch.run(*rows)
    assert list(table["status"]) == ["cached", "done", "cached"]
    assert not any(
        "-" in path.name or len(path.name) == 32
        for path in OutputFolder(batch.output).records.iterdir()
    )


def test_a_style_that_raises_fails_only_its_own_rows(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nst_core.transfer.styles import statistics

    write_picture(batch.folder / "wide.png", 9, height=20, width=31)
    _fail_for(monkeypatch, statistics, "style_targets", 31)
    rows = (HEADER, ("a.png", "wide.png"), ("a.png", "s.png"), ("b.png", "wide.png"))
    state, table = batch.run(*rows, retries=0)
    assert counts_of(state) == "1 done, 2 failed"
    assert list(table["status"]) == ["failed", "done", "failed"]
    assert table.loc[2, "error"] == "style wide.png: ArithmeticError: no room for it"


def test_a_run_in_which_all_rows_fail_has_its_own_state(batch: Batch) -> None:
    state, _ = batch.run(HEADER, ("no.png", "s.png"))
    assert state.name == "AllRowsFailed"


def test_simultaneous_runs_compute_a_style_once(batch: Batch, computed: list[str]) -> None:
    outputs = [batch.folder / f"out{number}" for number in range(3)]
    contents = ["a.png", "b.png", "t.png"]

    def run(number: int) -> str:
        from flows.stylize_manifest import stylize_manifest
        from nst_core.transfer.presets import Overrides
        from tests.pictures import write_csv

        manifest = write_csv(batch.folder / f"{number}.csv", HEADER, (contents[number], "s.png"))
        settings = Overrides(size=32, steps=2, octaves=1)
        state = stylize_manifest(
            manifest, outputs[number], settings, cache=batch.cache, return_state=True
        )
        return str(state.message)

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(run, range(3))) == ["1 done"] * 3
    assert computed.count("style") == 1


def test_transparency_is_kept_on_request(batch: Batch) -> None:
    transparent = Image.open(batch.folder / "a.png").convert("RGBA")
    alpha = Image.fromarray(np.tile(np.linspace(0, 255, 48).astype(np.uint8), (36, 1)))
    transparent.putalpha(alpha)
    transparent.save(batch.folder / "a.png")
    _, table = batch.run(
        (*HEADER, "keep_alpha", "output"),
        *(("a.png", "s.png", "yes", "transparent"), ("a.png", "s.png", "", "white")),
    )
    transparent, white = (Image.open(batch.output / picture) for picture in table["picture"])
    assert (transparent.mode, white.mode) == ("RGBA", "RGB")
    expected = np.asarray(alpha.resize((32, 24)), float)
    assert np.abs(np.asarray(transparent)[..., 3] - expected).max() < 12


def test_caches_and_records_are_in_private_folders(batch: Batch) -> None:
    batch.run(HEADER, ("a.png", "s.png"))
    for folder in (batch.cache, StyleCache(batch.cache).files, batch.output / ".nst-batch"):
        assert folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("changed", ["a.png", "s.png"])
def test_a_picture_that_changes_while_the_batch_runs_fails_its_row(
    batch: Batch, changed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import flows.batch as module

    examine = module.examine_rows

    def examine_and_change(*arguments: Any, **options: Any) -> Any:
        examined = examine(*arguments, **options)
        batch.picture(changed, 55)
        return examined

    monkeypatch.setattr(module, "examine_rows", examine_and_change)
    _, table = batch.run(HEADER, ("a.png", "s.png"))
    assert list(table["status"]) == ["failed"]
    assert f"{changed}: the picture changed while the batch ran" in table.loc[2, "error"]


def test_an_unwritable_new_name_fails_only_its_row(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.store.file_reference import FileReference

    header = (*HEADER, "output")
    batch.run(header, ("a.png", "s.png", "one"))
    write = FileReference.write

    def failing(path: Path, data: bytes) -> FileReference:
        if path.name == "two.png":
            raise OSError(28, "No space left on device", str(path))
        return write(path, data)

    monkeypatch.setattr(FileReference, "write", failing)
    state, table = batch.run(header, ("a.png", "s.png", "two"), ("b.png", "s.png", "three"))
    assert counts_of(state) == "1 done, 1 failed"
    assert "No space left on device" in table.loc[2, "error"]


def test_the_flow_can_be_called_without_its_decorator(batch: Batch) -> None:
    from flows.stylize_manifest import stylize_manifest
    from nst_core.transfer.presets import Overrides
    from tests.pictures import write_csv

    manifest = write_csv(batch.folder / "m.csv", HEADER, ("a.png", "s.png"))
    settings = Overrides(size=32, steps=1, octaves=1)
    state = stylize_manifest.fn(manifest, batch.output, settings, cache=batch.cache)
    assert state.message == "1 done"


def test_odd_rows_are_done_with_a_lasting_warning(batch: Batch) -> None:
    Image.new("RGB", (48, 36), (128, 128, 128)).save(batch.folder / "flat.png")
    Image.new("RGBA", (48, 36), (200, 90, 30, 0)).save(batch.folder / "hidden.png")
    with Image.open(batch.folder / "a.png") as intact:
        intact.convert("RGB").save(batch.folder / "cut.jpg")
    cut = batch.folder / "cut.jpg"
    cut.write_bytes(cut.read_bytes()[:-2])
    rows = (HEADER, ("a.png", "s.png"), ("a.png", "flat.png"), ("hidden.png", "s.png"))
    rows = (*rows, ("cut.jpg", "s.png"))
    for status in ("done", "cached"):
        _, table = batch.run(*rows, settings={"match_colors": False})
        assert set(table["status"]) == {status}
        assert pd.isna(table.loc[2, "warnings"])
        assert "style: it has just one color" in table.loc[3, "warnings"]
        assert "has a relative loss of" in table.loc[3, "warnings"]
        assert "content: it is completely transparent" in table.loc[4, "warnings"]
        assert "content: its last bytes are missing" in table.loc[5, "warnings"]
        page = (batch.output / "gallery.html").read_text("utf-8")
        assert page.count('data-warned="yes"') == 3
