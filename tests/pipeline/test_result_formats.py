"""Results in other formats than PNG, through the flow."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from nst_core.images.write import read_text
from nst_core.storage.files import list_files
from tasks.report.animation import animate_row
from tasks.report.finding import find_row, table_of
from tasks.report.rebuild import Rebuilder
from tasks.store.managed import INTERRUPTED_MARK
from tasks.store.output_folder import OutputFolder
from tasks.store.provenance import Provenance
from tasks.work import stylization
from tests.pipeline.conftest import Batch

HEADER = ("content", "style", "output", "start", "keep_alpha")
STEPS = {"steps": 20, "tolerance": 0}


def row_of(output: str, content: str = "a.png") -> tuple[str, ...]:
    """Return a row that starts from noise, so that its pixels depend on the seed of its key."""
    return (content, "s.png", output, "noise", "")


def opened(batch: Batch, table: pd.DataFrame) -> list[Image.Image]:
    return [Image.open(batch.output / picture) for picture in table["picture"]]


def test_a_result_in_another_format_is_made_and_found_again(
    batch: Batch, computed: list[str]
) -> None:
    run: Any = {"settings": STEPS, "save_every": 10}
    state, table = batch.run(HEADER, row_of("deep/x.tiff"), **run)
    assert state.message == "1 done"
    assert list(table["picture"]) == ["pictures/deep/x.tiff"]
    (picture,) = opened(batch, table)
    assert (picture.format, picture.size, picture.mode) == ("TIFF", (32, 24), "RGB")
    assert list_files(batch.output / "losses") == {"deep/x.csv"}
    assert list_files(batch.output / "intermediates") == {
        f"deep/x/{step:06d}.png" for step in (0, 10, 20)
    }
    computed.clear()
    state, table = batch.run(HEADER, row_of("deep/x.tiff"), **run)
    assert (state.message, computed) == ("1 cached", [])

    output = OutputFolder(batch.output)
    row = find_row(table_of(output), output, "deep/x")
    path = batch.output / str(row.picture)
    said = Provenance.of(path)
    assert (said.key, said.seed, said.content) == (row.key, table.loc[2, "seed"], "a.png")
    rebuilt = Rebuilder(batch.folder).rebuild(path, said)
    assert rebuilt.lost == ()
    assert rebuilt.cells["output"] == "deep/x.tiff"
    assert animate_row(row, output, "gif", size=32, seconds=1).name == "x.gif"


@pytest.mark.nights
def test_a_renamed_result_stays_in_its_format_and_each_format_is_a_result_of_its_own(
    batch: Batch, computed: list[str]
) -> None:
    _, first = batch.run(HEADER, row_of("x.png"))
    computed.clear()
    # The row is done as a PNG, and no PNG may get a name that ends in .tiff.
    state, both = batch.run(HEADER, row_of("x 2.png"), row_of("y.tiff"), row_of("z.tiff"))
    assert (state.message, computed) == ("2 done, 1 cached", ["row"])
    assert list(both["status"]) == ["cached", "done", "done"]
    assert list(both["same_as"].fillna(0)) == [0, 0, 3]
    assert both.loc[2, "key"] == first.loc[2, "key"] != both.loc[3, "key"] == both.loc[4, "key"]
    pictures = opened(batch, both)
    assert [picture.format for picture in pictures] == ["PNG", "TIFF", "TIFF"]
    assert set(both["seed"]) == {first.loc[2, "seed"]}
    for picture in pictures[1:]:
        np.testing.assert_array_equal(np.asarray(picture), np.asarray(pictures[0]))

    computed.clear()
    state, renamed = batch.run(HEADER, row_of("z.png"), row_of("new/x.tiff"))
    assert (state.message, computed) == ("2 cached", [])
    assert [picture.format for picture in opened(batch, renamed)] == ["PNG", "TIFF"]


def test_transparency_is_kept_in_another_format_that_has_it(batch: Batch) -> None:
    transparent = Image.open(batch.folder / "a.png").convert("RGBA")
    transparent.putalpha(128)
    transparent.save(batch.folder / "a.png")
    _, table = batch.run(HEADER, ("a.png", "s.png", "x.tiff", "", "yes"))
    (picture,) = opened(batch, table)
    assert picture.getextrema()[3] == (128, 128)


def test_an_interrupted_picture_has_the_format_of_its_result(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter((False, True))
    with monkeypatch.context() as patch:
        patch.setattr(stylization, "is_stopped", lambda _: next(answers))
        _, table = batch.run(HEADER, row_of("x.tiff"), settings=STEPS)
    assert list(table["status"]) == ["interrupted"]
    picture = batch.output / "interrupted" / "x.tiff"
    assert list(table["picture"]) == [str(picture.relative_to(batch.output))]
    assert read_text(picture) == INTERRUPTED_MARK
    with Image.open(picture) as image:
        assert image.format == "TIFF"
    # The row has another name in the next run, which recognizes the picture all the same.
    picture.rename(batch.output / "interrupted" / "y.tiff")
    _, table = batch.run(HEADER, row_of("y.tiff"), settings=STEPS)
    assert list(table["status"]) == ["done"]
    assert list_files(batch.output / "interrupted") == set()


def test_the_manifest_refuses_outputs_that_differ_only_in_the_suffix(batch: Batch) -> None:
    _, table = batch.run(HEADER, row_of("x.png"), row_of("X.tiff", "b.png"))
    assert list(table["status"]) == ["done", "invalid"]
    assert "line 2 has the output 'x.png', whose loss curve" in table.loc[3, "error"]
    assert list_files(batch.output / "pictures") == {"x.png"}
    assert Path(batch.output / "losses" / "x.csv").exists()
