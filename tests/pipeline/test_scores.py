"""Scores of rows, as the flow computes and reports them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import nst_core as nst
from flows.cli.commands.show import show
from flows.cli.terminal import Terminal
from nst_core.images.resize import resize
from nst_core.samples.paintings import PAINTINGS
from nst_core.samples.photographs import photograph
from tasks.events import Event, RowStarted, subscribed
from tasks.report.saved_table import read_summary
from tasks.store.output_folder import OutputFolder
from tasks.work import scores as row_scores
from tests.pipeline.conftest import Batch

SIZE = 48
SETTINGS = {"size": SIZE}
HEADER = ("content", "style", "output")


def save(path: Path, pixels: Any) -> None:
    Image.fromarray(np.round(pixels).astype(np.uint8)).save(path)


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    """Return a batch with a photograph, a small one, two paintings, a mask and a folder."""
    whole = photograph("cat").astype(np.float32)
    save(tmp_path / "a.png", resize(whole[:300, :300], 64, 64))
    save(tmp_path / "small.png", resize(whole[:300, :300], 36, 36))
    for name in ("swirls", "mosaic"):
        save(tmp_path / f"{name}.png", resize(PAINTINGS[name](192, 1).astype(np.float32), 96, 96))
    (tmp_path / "both").mkdir()
    for name in ("swirls", "mosaic"):
        (tmp_path / "both" / f"{name}.png").write_bytes((tmp_path / f"{name}.png").read_bytes())
    save(tmp_path / "mask.png", np.pad(np.full((64, 32), 255.0), ((0, 0), (0, 32))))
    return Batch(tmp_path)


def run(batch: Batch, *rows: tuple[Any, ...], **options: Any) -> Any:
    options = {"settings": SETTINGS, **options}
    return batch.run(*(rows if rows[0][0] == "content" else (HEADER, *rows)), **options)


def expected(batch: Batch, row: Any, style: str, **options: Any) -> nst.Scores:
    """Return the scores of a row's file, computed from the files, at full precision."""
    load = nst.load
    content = load(batch.folder / row["content"], size=SIZE)
    result = load(batch.output / row["picture"])
    return nst.score(result, content, load(batch.folder / f"{style}.png"), **options)


def kept_files(batch: Batch) -> list[Path]:
    return sorted((batch.cache / "styles" / "scores").glob("*.safetensors"))


def test_each_row_has_the_scores_of_its_file(batch: Batch) -> None:
    rows = (
        ("content", "style", "output", "style_scale", "depth", "format"),
        ("a.png", "swirls.png", "plain", "", "", ""),
        ("a.png", "mosaic.png", "scaled", 1.5, "", ""),
        ("a.png", "swirls.png", "deep", "", 16, "tiff"),
    )
    _, table = run(batch, *rows)
    assert table["status"].tolist() == ["done"] * 3
    for (_, row), (style, scale) in zip(
        table.iterrows(), (("swirls", 1.0), ("mosaic", 1.5), ("swirls", 1.0)), strict=True
    ):
        found = expected(batch, row, style, style_scale=scale)
        assert row["style_score"] == pytest.approx(found.style, abs=2e-3)
        assert row["content_score"] == pytest.approx(found.content, abs=2e-3)
    assert len(kept_files(batch)) == 2, "rows share what is kept of a style at a size"
    page = (batch.output / "gallery.html").read_text()
    for score in (*table["style_score"], *table["content_score"]):
        assert f'-score="{score}"' in page
    saved = read_summary(OutputFolder(batch.output)).rows
    assert [row.style_score for row in saved] == table["style_score"].tolist()


def test_show_prints_the_scores_of_a_picture_in_its_batch(
    batch: Batch, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, table = run(batch, ("a.png", "swirls.png", "x"))
    (row,) = table.to_dict("records")
    inside, outside = batch.output / row["picture"], batch.folder / "sent.png"
    outside.write_bytes(inside.read_bytes())
    capsys.readouterr()
    assert show(Terminal(as_json=True), [inside, outside], [batch.folder]) == 0
    of_inside, of_outside = json.loads(capsys.readouterr().out)
    columns = ("style_score", "content_score")
    assert of_inside["scores"] == {name: row[name] for name in columns}
    assert of_outside["scores"] == dict.fromkeys(columns)
    monkeypatch.setattr(Terminal, "is_rich", True)
    for picture, count in ((inside, 2), (outside, 0)):
        show(Terminal(), [picture], [batch.folder])
        facts = capsys.readouterr().out.splitlines()
        assert len([fact for fact in facts if fact.startswith(columns)]) == count


def test_finished_rows_keep_their_scores_and_their_style_is_not_loaded_again(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, first = run(batch, ("a.png", "swirls.png", "x"))
    loaded: list[str] = []
    load = row_scores.load_picture

    def noting(path: Path, *arguments: Any, **options: Any) -> Any:
        loaded.append(path.name)
        return load(path, *arguments, **options)

    monkeypatch.setattr(row_scores, "load_picture", noting)
    _, second = run(batch, ("a.png", "swirls.png", "x"), ("small.png", "swirls.png", "y"))
    assert second["status"].tolist() == ["cached", "done"]
    assert second["style_score"].iloc[0] == first["style_score"].iloc[0]
    assert second["content_score"].notna().all()
    assert loaded == []
    # The second photograph is smaller than `size`, so that its style is larger beside it.
    small = expected(batch, second.iloc[1], "swirls", style_scale=SIZE / 36)
    assert second["style_score"].iloc[1] == pytest.approx(small.style, abs=2e-3)
    (kept_files(batch)[0]).write_bytes(b"damaged")
    _, third = run(batch, ("a.png", "swirls.png", "x"), refresh=True)
    assert third["style_score"].iloc[0] == first["style_score"].iloc[0]
    assert loaded == ["swirls.png"]


def test_a_row_of_several_styles_has_their_weighted_mean(batch: Batch) -> None:
    rows = (
        ("content", "style", "output", "style_blend"),
        ("a.png", "swirls.png; mosaic.png", "blend", "3; 1"),
        ("a.png", "both", "folder", ""),
    )
    _, table = run(batch, *rows)
    for (_, row), weights in zip(table.iterrows(), ((0.75, 0.25), (0.5, 0.5)), strict=True):
        parts = [expected(batch, row, style).style for style in ("swirls", "mosaic")]
        assert row["style_score"] == pytest.approx(np.dot(parts, weights), abs=2e-3)


def test_an_enlarged_result_is_judged_at_the_size_at_which_it_was_optimized(batch: Batch) -> None:
    _, table = run(
        batch, ("a.png", "swirls.png", "x"), settings={"size": 40, "enlarge_result": True}
    )
    (row,) = table.to_dict("records")
    assert row["width"] == 64
    judged = nst.load(batch.output / row["picture"], size=40)
    content, style = (nst.load(batch.folder / name) for name in ("a.png", "swirls.png"))
    found = nst.score(judged, content, style)
    assert row["style_score"] == pytest.approx(found.style, abs=5e-3)
    assert row["content_score"] == pytest.approx(found.content, abs=5e-3)


def test_a_masked_row_has_no_style_score(batch: Batch) -> None:
    rows = (
        ("content", "style", "output", "content_mask"),
        ("a.png", "swirls.png", "whole", ""),
        ("a.png", "swirls.png", "masked", "mask.png"),
    )
    _, table = run(batch, *rows)
    assert table["status"].tolist() == ["done"] * 2
    assert table["style_score"].notna().tolist() == [True, False]
    assert table["content_score"].notna().all()
    assert table["warnings"].isna().all()


def test_a_row_whose_style_is_gone_is_done_without_a_style_score(batch: Batch) -> None:
    """Its targets are in the cache, so that the picture is not needed to make the result."""
    run(batch, ("a.png", "swirls.png", "x"))
    for file in kept_files(batch):
        file.unlink()

    def without_style(event: Event) -> None:
        if isinstance(event, RowStarted):
            (batch.folder / "swirls.png").unlink()

    with subscribed(without_style):
        _, table = run(batch, ("a.png", "swirls.png", "x"), refresh=True)
    (row,) = table.to_dict("records")
    assert row["status"] == "done"
    assert np.isnan(row["style_score"])
    assert row["content_score"] == pytest.approx(row["content_score"])
    assert "style_score: the picture is made, but cannot be judged" in row["warnings"]
    assert "swirls.png" in row["warnings"]


def test_no_failure_of_scoring_fails_a_row(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> float:
        raise MemoryError("no room")

    monkeypatch.setattr(row_scores, "content_score", broken)
    _, table = run(batch, ("a.png", "swirls.png", "x"))
    (row,) = table.to_dict("records")
    assert row["status"] == "done"
    assert row["style_score"] == row["style_score"]
    assert np.isnan(row["content_score"])
    assert row["warnings"] == (
        "content_score: the picture is made, but cannot be judged (MemoryError: no room)"
    )


def test_previews_have_scores(batch: Batch) -> None:
    _, table = run(batch, ("a.png", "swirls.png", "x"), preview=32)
    assert table["size"].tolist() == [32]
    assert table[["style_score", "content_score"]].notna().all(axis=None)


@pytest.mark.nights
def test_rows_in_processes_of_devices_have_the_same_scores(batch: Batch) -> None:
    _, isolated = run(batch, ("a.png", "swirls.png", "x"), isolate=True)
    assert isolated[["style_score", "content_score"]].notna().all(axis=None)
    _, plain = run(batch, ("a.png", "swirls.png", "x"), output=batch.folder / "other")
    columns = ["style_score", "content_score"]
    assert plain[columns].to_numpy() == pytest.approx(isolated[columns].to_numpy())
    record = next((batch.output / ".nst-batch" / "rows").glob("[0-9a-f]*"))
    scores = json.loads(json.loads(record.read_text())["result"])["scores"]
    assert scores["style"] == isolated["style_score"].iloc[0]
