"""The contact sheet of a sweep: what varies, and every result in its place."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from tasks.intake.manifest import manifest_of
from tasks.report import contact_sheet as module
from tasks.report.contact_sheet import write_contact_sheet
from tasks.report.gallery.page import GalleryRow, Page, Shown
from tasks.report.sweep_sheet import sweep_grid
from tasks.report.varied import named_settings
from tasks.store.output_folder import OutputFolder
from tests.gallery_rows import row

PAIRS = [*product(("a.png", "b.png"), ("s.png", "t.png"))]


def batch(settings: Mapping[str, list[str]]) -> tuple[GalleryRow, ...]:
    """Return the gallery's rows of a sweep, from the text of its manifest."""
    lines = [",".join(("content,style", *settings))]
    lines += [",".join((*pair, *cells)) for pair in PAIRS for cells in product(*settings.values())]
    rows = manifest_of(Path("m.csv"), "\n".join(lines)).rows
    settings_of = named_settings(rows)
    return tuple(
        row(
            each.cells["content"],
            each.cells["style"],
            line=each.line,
            settings=settings_of[each.line],
            result=Shown(f"{each.line}", thumbnail=f"result-{each.line}"),
        )
        for each in rows
    )


def test_a_sweep_of_presets_is_a_grid_although_several_settings_follow_from_each() -> None:
    grid = sweep_grid(batch({"preset": ["draft", "", "fine"], "style_weight": ["1", "3"]}))
    assert grid is not None
    assert grid.across == ("preset draft", "preset default", "preset fine")
    assert grid.down[:2] == ((PAIRS[0], "style weight 1"), (PAIRS[0], "style weight 3"))


def test_an_empty_cell_is_shown_with_the_value_that_it_means() -> None:
    grid = sweep_grid(batch({"style_weight": ["3", ""]}))
    assert grid is not None
    assert grid.across == ("style weight 1", "style weight 3")


def test_the_page_and_the_sheet_show_the_same_values() -> None:
    rows = batch({"encoder": ["vgg19", "compact"], "size": ["64", "original"], "seed": ["7", ""]})
    page = Page("night.csv", datetime.now(UTC), rows)
    assert [(each.name, each.values) for each in page.varied] == [
        ("size", ("64", "original")),
        ("seed", ("7", "none")),
        ("encoder", ("vgg19", "compact")),
    ]
    grid = sweep_grid(rows)
    assert grid is not None
    assert grid.across == ("encoder vgg19", "encoder compact")
    settings = {text for _, text in grid.down}
    assert settings == {
        f"size {size}, seed {seed}" for size in (64, "original") for seed in (7, "none")
    }


def test_the_setting_with_the_most_values_is_across_and_the_others_are_below_each_other() -> None:
    rows = batch({"size": ["64", "32"], "style_weight": ["1", "10", "3"]})
    grid = sweep_grid(rows)
    assert grid is not None
    assert grid.across == ("style weight 1", "style weight 3", "style weight 10")
    assert grid.down == tuple((pair, f"size {size}") for pair in PAIRS for size in (32, 64))
    assert len(grid.cells) == 24
    for (line, column), each in grid.cells.items():
        pair, size = grid.down[line]
        assert pair == (each.content.name, each.style.name)
        assert f"size {each.settings['size']}" == size
        assert f"style weight {each.settings['style_weight']:g}" == grid.across[column]


def test_a_setting_is_across_for_its_values_and_not_for_its_place() -> None:
    grid = sweep_grid(batch({"size": ["32", "48", "64"], "style_weight": ["1", "10"]}))
    assert grid is not None
    assert grid.across == ("size 32", "size 48", "size 64")
    assert grid.down[:2] == ((PAIRS[0], "style weight 1"), (PAIRS[0], "style weight 10"))


def test_rows_that_leave_a_hole_or_share_a_place_are_no_grid() -> None:
    rows = batch({"style_weight": ["1", "3"]})
    assert sweep_grid(rows) is not None
    assert sweep_grid(rows[1:]) is None
    assert sweep_grid((*rows, rows[0])) is None
    assert sweep_grid(batch({"style_weight": ["1"]})) is None
    assert sweep_grid((*rows[1:], replace(rows[0], settings={}))) is None, "its place is not known"


def test_the_sheet_shows_every_result_below_its_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = batch({"style_weight": ["1", "3"]})
    rows = (*rows[:-1], replace(rows[-1], result=None, status="failed"))

    def pixels(shown: Shown, _: object) -> np.ndarray:
        level = int(shown.thumbnail.partition("-")[2] or 0)
        return np.full((40, 60, 3), level, np.uint8)

    drawn = mock.MagicMock(wraps=module.contact_sheet)
    monkeypatch.setattr(module, "_pixels", pixels)
    monkeypatch.setattr(module, "contact_sheet", drawn)
    assert write_contact_sheet(rows, OutputFolder(tmp_path))
    left, top, cells = drawn.call_args.args
    assert [tile.label for tile in top] == ["style weight 1", "style weight 3"]
    assert [tile.label for tile in left] == ["a in s", "a in t", "b in s", "b in t"]
    assert [tile.rgb.shape[:2] for tile in left] == [(43, 128)] * 4, "content beside its style"
    levels = [cells[at // 2, at % 2].rgb[0, 0, 0] for at in range(7)]
    assert levels == [each.line for each in rows[:7]]
    assert cells[3, 1].rgb is None
    assert cells[3, 1].label == "style weight 3: failed"
    assert cells[0, 1].label == "style weight 3"
    # The next batch is no grid, and an old sheet would be that of another batch.
    assert not write_contact_sheet(rows[1:], OutputFolder(tmp_path))
    assert not (tmp_path / "contact_sheet.png").exists()
