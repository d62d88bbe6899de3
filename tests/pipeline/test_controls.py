"""Controls of single rows through the whole flow: what they read, and what they repeat."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nst_core.images.read import examine, load
from nst_core.images.write import encode_png
from nst_core.storage.files import write_atomic
from tasks import style_targets
from tasks.report.rebuild import Rebuilder
from tasks.store.provenance import Provenance
from tasks.work import targets
from tests.pipeline.conftest import Batch

MASKED = ("content", "style", "output", "content_mask", "style_mask", "mask_feather")
MASKS = (
    ("a.png", "s.png", "plain", "", "", ""),
    ("a.png", "s.png", "left", "left.png", "", "0"),
    ("a.png", "s.png", "colored", "colors.png", "colors.png", ""),
)
HEADER = ("content", "style", "output", "init", "color", "color_match", "strength")
ROWS = (
    ("a.png", "s.png", "plain", "", "", "", ""),
    ("a.png", "s.png", "from", "b.png", "", "", ""),
    ("a.png", "s.png", "histogram", "", "", "histogram", ""),
    ("a.png", "s.png", "colored", "", "content", "", "0.5"),
)


def test_a_control_repeats_its_own_row_and_no_style(batch: Batch, computed: list[str]) -> None:
    _, table = batch.run(HEADER, *ROWS)
    assert set(table["status"]) == {"done"}
    assert len({*table["key"]}) == 4
    assert sorted(computed) == ["row"] * 4 + ["style"]
    assert table["init"].fillna("").tolist() == ["", "b.png", "", ""]
    assert table["color"].tolist() == ["match"] * 3 + ["content"]
    computed.clear()
    batch.picture("b.png", 7)
    stronger = (*ROWS[3][:-1], "0.75")
    _, table = batch.run(HEADER, *ROWS[:3], stronger)
    assert table["status"].tolist() == ["cached", "done", "cached", "done"]
    assert set(table["style_targets"]) == {"hit"}
    assert computed == ["row", "row"]


def test_a_row_with_controls_starts_from_its_picture_and_can_be_rebuilt(batch: Batch) -> None:
    _, table = batch.run(HEADER, *ROWS)
    starts = table["start_loss"]
    assert starts[3] != starts[2], "the picture to start from was not used"
    picture = batch.output / "pictures" / "from.png"
    provenance = Provenance.of(picture)
    init = batch.folder / "b.png"
    assert (provenance.init, provenance.init_sha256) == ("b.png", examine(init).sha256)
    rebuilt = [
        Rebuilder(batch.folder).rebuild(path, Provenance.of(path))
        for path in (picture, batch.output / "pictures" / "colored.png")
    ]
    assert [row.lost for row in rebuilt] == [(), ()]
    assert rebuilt[0].cells["init"] == "b.png"
    assert (rebuilt[1].cells["color"], rebuilt[1].cells["strength"]) == ("content", "0.5")
    header = [*dict.fromkeys(name for row in rebuilt for name in row.cells)]
    cells = [[row.cells.get(name, "") for name in header] for row in rebuilt]
    _, again = batch.run(header, *map(tuple, cells), settings={})
    assert again["status"].tolist() == ["cached", "cached"]
    assert not pd.isna(again["picture"]).any()


def write_masks(folder: Path) -> None:
    """Write a mask whose left half is white, and one of two colors."""
    mask = np.zeros((36, 48, 3), np.float32)
    mask[:, :24] = 1
    write_atomic(folder / "left.png", encode_png(mask))
    mask[:, :24], mask[:, 24:] = (1, 0, 0), (0, 0, 1)
    write_atomic(folder / "colors.png", encode_png(mask))


def test_masks_go_through_the_whole_flow(batch: Batch, computed: list[str]) -> None:
    write_masks(batch.folder)
    _, table = batch.run(MASKED, *MASKS)
    assert table["status"].tolist() == ["done"] * 3
    # The row with a mask of its content alone shares the targets of the style.
    assert sorted(computed) == ["row"] * 3 + ["style"] * 2
    assert table["content_mask"].fillna("").tolist() == ["", "left.png", "colors.png"]
    pictures = {
        name: load(batch.output / "pictures" / f"{name}.png").rgb
        for name in ("plain", "left", "colored")
    }
    photograph = load(batch.folder / "a.png", size=32).rgb
    right = np.abs(pictures["left"] - photograph)[:, 17:]
    assert right.max() <= 0.51 / 255
    assert np.abs(pictures["plain"] - photograph)[:, 17:].max() > 0.02
    computed.clear()
    rebuilt = [
        Rebuilder(batch.folder).rebuild(path, Provenance.of(path))
        for path in (batch.output / "pictures" / f"{row[2]}.png" for row in MASKS)
    ]
    assert [row.lost for row in rebuilt] == [()] * 3
    assert rebuilt[1].cells["content_mask"] == "left.png"
    header = [*dict.fromkeys(name for row in rebuilt for name in row.cells)]
    cells = [[row.cells.get(name, "") for name in header] for row in rebuilt]
    _, again = batch.run(header, *map(tuple, cells), settings={})
    assert again["status"].tolist() == ["cached"] * 3
    assert computed == []


def test_a_mask_that_changes_while_the_batch_runs_fails_its_row(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_masks(batch.folder)
    compute = targets.compute

    def changing(*arguments: Any, **options: Any) -> Any:
        write_atomic(batch.folder / "left.png", (batch.folder / "colors.png").read_bytes())
        return compute(*arguments, **options)

    monkeypatch.setattr(style_targets, "compute", changing)
    _, table = batch.run(MASKED, *MASKS[:2])
    assert table["status"].tolist() == ["done", "failed"]
    assert "left.png: the picture changed while the batch ran" in table["error"].iloc[1]
