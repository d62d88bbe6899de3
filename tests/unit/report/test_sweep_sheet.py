"""The contact sheet of a sweep: what varies, and every result in its place."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from tasks.intake.manifest import manifest_of
from tasks.report import contact_sheet as module
from tasks.report.contact_sheet import write_contact_sheet
from tasks.report.gallery.page import GalleryRow, Shown
from tasks.report.sweep_sheet import sweep_grid
from tasks.report.varied import Varied, what_varies
from tasks.store.output_folder import OutputFolder
from tests.gallery_rows import row

PAIRS = [*product(("a.png", "b.png"), ("s.png", "t.png"))]


def batch(settings: Mapping[str, list[str]]) -> tuple[tuple[GalleryRow, ...], Varied]:
    """Return the gallery's rows of a sweep, and what varies, from the text of its manifest."""
    lines = [",".join(("content,style", *settings))]
    lines += [",".join((*pair, *cells)) for pair in PAIRS for cells in product(*settings.values())]
    rows = manifest_of(Path("m.csv"), "\n".join(lines)).rows
    shown = tuple(
        row(
            each.cells["content"],
            each.cells["style"],
            line=each.line,
            result=Shown(f"{each.line}", thumbnail=f"result-{each.line}"),
        )
        for each in rows
    )
    return shown, what_varies(rows)


def test_only_settings_with_several_values_vary() -> None:
    _, varied = batch({"size": ["64"], "style_weight": ["3", "1", ""], "preset": ["draft"]})
    assert varied.names == ("style_weight",)
    assert varied.cells[2] == ("3",)
    assert varied.values(0) == ["3", "1", "default"]
    assert varied.label(0, "3") == "style-weight 3"
    assert batch({"style_weight": ["10", "9", "0.5"]})[1].values(0) == ["0.5", "9", "10"]
    assert batch({"size": ["64"]})[1] == Varied((), dict.fromkeys(range(2, 6), ()))


def test_the_setting_with_the_most_values_is_across_and_the_others_are_below_each_other() -> None:
    rows, varied = batch({"size": ["64", "32"], "style_weight": ["1", "10", "3"]})
    grid = sweep_grid(rows, varied)
    assert grid is not None
    assert grid.across == ("style-weight 1", "style-weight 3", "style-weight 10")
    assert grid.down == tuple((pair, f"size {size}") for pair in PAIRS for size in (32, 64))
    assert len(grid.cells) == 24
    for (line, column), each in grid.cells.items():
        pair, size = grid.down[line]
        assert pair == (each.content.name, each.style.name)
        cells = dict(zip(varied.names, varied.cells[each.line], strict=True))
        assert f"size {cells['size']}" == size
        assert f"style-weight {cells['style_weight']}" == grid.across[column]


def test_a_setting_is_across_for_its_values_and_not_for_its_place() -> None:
    grid = sweep_grid(*batch({"size": ["32", "48", "64"], "style_weight": ["1", "10"]}))
    assert grid is not None
    assert grid.across == ("size 32", "size 48", "size 64")
    assert grid.down[:2] == ((PAIRS[0], "style-weight 1"), (PAIRS[0], "style-weight 10"))


def test_rows_that_leave_a_hole_or_share_a_place_are_no_grid() -> None:
    rows, varied = batch({"style_weight": ["1", "3"]})
    assert sweep_grid(rows, varied) is not None
    assert sweep_grid(rows[1:], varied) is None
    assert sweep_grid((*rows, rows[0]), varied) is None
    assert sweep_grid(rows, Varied()) is None


def test_the_sheet_shows_every_result_below_its_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, varied = batch({"style_weight": ["1", "3"]})
    rows = (*rows[:-1], replace(rows[-1], result=None, status="failed"))

    def pixels(shown: Shown, _: object) -> np.ndarray:
        level = int(shown.thumbnail.partition("-")[2] or 0)
        return np.full((40, 60, 3), level, np.uint8)

    drawn = mock.MagicMock(wraps=module.contact_sheet)
    monkeypatch.setattr(module, "_pixels", pixels)
    monkeypatch.setattr(module, "contact_sheet", drawn)
    assert write_contact_sheet(rows, OutputFolder(tmp_path), varied)
    left, top, cells = drawn.call_args.args
    assert [tile.label for tile in top] == ["style-weight 1", "style-weight 3"]
    assert [tile.label for tile in left] == ["a in s", "a in t", "b in s", "b in t"]
    assert [tile.rgb.shape[:2] for tile in left] == [(43, 128)] * 4, "content beside its style"
    levels = [cells[at // 2, at % 2].rgb[0, 0, 0] for at in range(7)]
    assert levels == [each.line for each in rows[:7]]
    assert cells[3, 1].rgb is None
    assert cells[3, 1].label == "style-weight 3: failed"
    assert cells[0, 1].label == "style-weight 3"
    # The next batch is no grid, and an old sheet would be that of another batch.
    assert not write_contact_sheet(rows[1:], OutputFolder(tmp_path), varied)
    assert not (tmp_path / "contact_sheet.png").exists()
