"""Batches of previews."""

import re
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from tasks.store.preview_folder import PreviewFolderError
from tests.pictures import write_picture
from tests.pipeline.conftest import Batch

HEADER = ("content", "style", "size")
ROWS = (("a.png", "s.png", 40), ("b.png", "t.png", 48), ("b.png", "s.png", 48))


def costs(output: Path) -> list[str]:
    return re.findall(r'<p class="cost">(.*?)</p>', (output / "gallery.html").read_text())


def test_previews_are_small_and_say_what_the_rows_would_take(batch: Batch) -> None:
    for seed, name in enumerate(("a.png", "b.png")):
        write_picture(batch.folder / name, seed, 48, 64)
    previews = batch.folder / "previews"
    state, table = batch.run(HEADER, *ROWS, output=previews, preview=24, only="2,3")
    assert state.is_completed()
    assert list(table["status"]) == ["done", "done", "pending"]
    with Image.open(previews / "pictures" / "b_t.png") as picture:
        assert picture.size == (24, 18)
    page = (previews / "gallery.html").read_text()
    assert "Previews of 2 of 3 rows." in page
    assert "In full, all 3 rows would take about" in page
    assert [text.split(",")[0] for text in costs(previews)] == [
        "in full: 40 \N{MULTIPLICATION SIGN} 30",
        "in full: 48 \N{MULTIPLICATION SIGN} 36",
    ]
    assert [float(row) for row in re.findall(r'data-cost="([0-9.]+)"', page)] != [0, 0]
    assert 'id="line-4"' not in page, "only rows that were asked for are shown"
    assert "<dt>size</dt><dd>48</dd>" in page, "settings are those of the rows in full"

    state, table = batch.run(HEADER, *ROWS, output=previews, preview=24)
    assert list(table["status"]) == ["cached", "cached", "done"]
    assert "Previews of 3 of 3 rows." in (previews / "gallery.html").read_text()
    state, table = batch.run(HEADER, *ROWS)
    assert list(table["status"]) == ["done"] * 3, "previews are no results"
    assert costs(batch.output) == []


@pytest.mark.parametrize("comes_first", ["previews", "results"])
def test_previews_and_results_do_not_share_a_folder(batch: Batch, comes_first: str) -> None:
    first, second = (24, None) if comes_first == "previews" else (None, 24)
    batch.run(HEADER, *ROWS, preview=first)
    before = pd.read_csv(batch.output / "summary.csv")
    with pytest.raises(PreviewFolderError, match=f"found .*{comes_first}"):
        batch.run(HEADER, *ROWS, preview=second)[0].result()
    pd.testing.assert_frame_equal(pd.read_csv(batch.output / "summary.csv"), before)


WALK = ("content", "style", "output", "sequence")
FRAMES = tuple((f"{number}.png", "s.png", f"w{number}", "walk") for number in (1, 2, 3))


def test_frames_are_previewed_with_the_frames_before_them_at_the_same_size(
    batch: Batch, computed: list[str]
) -> None:
    for number in (1, 2, 3):
        write_picture(batch.folder / f"{number}.png", 10 + number, 48, 64)
    previews = batch.folder / "previews"
    _, table = batch.run(WALK, *FRAMES, output=previews, preview=24, settings={"size": 48})
    assert list(table["status"]) == ["done"] * 3
    assert set(zip(table["width"], table["height"], strict=True)) == {(24, 18)}
    assert table["temporal_loss"].isna().tolist() == [True, False, False]
    assert [text.split(",")[0] for text in costs(previews)] == [
        "in full: 48 \N{MULTIPLICATION SIGN} 36"
    ] * 3
    # They are what a sequence of this size is: each frame continues the small one before it.
    small = batch.folder / "small"
    _, expected = batch.run(WALK, *FRAMES, output=small, settings={"size": 24})
    assert list(table["key"]) == list(expected["key"])
    for _, _, name, _ in FRAMES:
        found, wanted = (folder / "pictures" / f"{name}.png" for folder in (previews, small))
        with Image.open(found) as ours, Image.open(wanted) as theirs:
            assert ours.tobytes() == theirs.tobytes()
    computed.clear()
    write_picture(batch.folder / "2.png", 99, 48, 64)
    _, table = batch.run(WALK, *FRAMES, output=previews, preview=24, settings={"size": 48})
    assert list(table["status"]) == ["cached", "done", "done"]
    assert computed.count("row") == 2
    # Alone, a frame needs the frame before it, whose preview is there.
    _, table = batch.run(
        WALK, *FRAMES, output=previews, preview=24, only="3", refresh=True, settings={"size": 48}
    )
    assert list(table["status"]) == ["cached", "done", "cached"]
