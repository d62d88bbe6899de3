"""Rows that lead from one style to others, and the contact sheet of their results."""

import csv
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from flows.cli.commands.pairs import write_pairs, write_rows
from flows.cli.terminal import Terminal
from nst_core.networks.store import WeightStore
from nst_core.transfer.presets import Overrides
from tasks.intake.blend_grid import blend_grid, blended_rows
from tasks.intake.encoders import encoders_of
from tasks.intake.examine import examine_rows
from tasks.intake.layout.layout import Layout
from tasks.intake.layout.sweep import Sweep
from tasks.intake.manifest import read_manifest
from tasks.report import contact_sheet as module
from tasks.report.contact_sheet import is_grid, side_of_square
from tasks.report.gallery.page import GalleryRow, Shown
from tests.gallery_rows import row
from tests.pictures import write_picture


def test_two_styles_lead_from_one_to_the_other() -> None:
    assert blend_grid(2, 5) == [(1, 0), (0.75, 0.25), (0.5, 0.5), (0.25, 0.75), (0, 1)]
    assert blend_grid(2, 2) == [(1, 0), (0, 1)]


def test_four_styles_are_the_corners_of_a_square() -> None:
    grid = np.reshape(blend_grid(4, 3), (3, 3, 4))
    np.testing.assert_allclose(grid.sum(axis=-1), 1)
    np.testing.assert_array_equal(grid[[0, 0, 2, 2], [0, 2, 0, 2]], np.eye(4))
    np.testing.assert_array_equal(grid[1, 1], [0.25] * 4)
    np.testing.assert_array_equal(grid[0, 1], [0.5, 0.5, 0, 0])
    np.testing.assert_array_equal(grid[1, 2], [0, 0.5, 0, 0.5])


def test_three_styles_are_three_corners_and_the_fourth_is_between_two() -> None:
    grid = np.reshape(blend_grid(3, 3), (3, 3, 3))
    np.testing.assert_allclose(grid.sum(axis=-1), 1)
    np.testing.assert_array_equal(grid[[0, 0, 2], [0, 2, 0]], np.eye(3))
    np.testing.assert_allclose(grid[2, 2], [0, 0.5, 0.5])
    assert len({tuple(weights) for weights in grid.reshape(-1, 3)}) == 9


@pytest.mark.parametrize("styles", [2, 3, 4])
@pytest.mark.parametrize("steps", [2, 3, 7, 32])
def test_names_say_the_weights_and_differ(styles: int, steps: int) -> None:
    contents = [Path("a/photo.jpg"), Path("b/photo.png")]
    rows = [*blended_rows(contents, [Path(f"s{n}.jpg") for n in range(styles)], steps)]
    assert len({output for _, output, _ in rows}) == len(rows)
    assert len({(content, weights) for content, _, weights in rows}) == len(rows)


def write(folder: Path, steps: int | None, **options: bool) -> int:
    contents, styles = (str(folder / name) for name in ("photos", "art"))
    manifest = folder / "m.csv"
    return write_pairs(Terminal(), contents, styles, manifest, blend_steps=steps, **options)


def test_a_manifest_of_blends_can_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed, name in enumerate(("photos/p 1.png", "art/a; b.png", "art/c.png")):
        write_picture(tmp_path / name, seed)
    assert write(tmp_path, 3) == 0
    assert "3 rows, 1 photograph x 3 blends of 2 styles" in capsys.readouterr().out
    with (tmp_path / "m.csv").open(newline="") as file:
        written = [*csv.DictReader(file)]
    assert [each["output"] for each in written] == [
        *("p 1_a; b1.00", "p 1_a; b0.50+c0.50", "p 1_c1.00")
    ]
    rows = read_manifest(tmp_path / "m.csv")
    examined = examine_rows(rows, encoders_of(rows, WeightStore(tmp_path)), max_pixels=10**6)
    assert examined.faults == ()
    assert [job.style_name for job in examined.jobs] == ["a; b.png", "a; b.png; c.png", "c.png"]
    assert [job.output for job in examined.jobs] == [f"{each['output']}.png" for each in written]


def test_the_format_of_blends_is_that_of_the_batch_or_of_their_rows(tmp_path: Path) -> None:
    for seed, name in enumerate(("photos/a.jpg.png", "art/b.png", "art/c.tif.png")):
        write_picture(tmp_path / name, seed)
    # Names of pictures that look like other formats decide nothing.
    names = ["a.jpg_b1.00", "a.jpg_b0.50+c.tif0.50", "a.jpg_c.tif1.00"]
    assert write(tmp_path, 3) == 0
    rows = read_manifest(tmp_path / "m.csv", Overrides(format="jpeg"))
    assert [row.output for row in rows] == [f"{name}.jpg" for name in names]
    contents, styles = (str(tmp_path / name) for name in ("photos", "art"))
    layout = Layout((contents,), (styles,), sweep=Sweep({"format": ("webp",)}))
    assert write_rows(Terminal(), layout, tmp_path / "webp.csv", blend_steps=3) == 0
    rows = read_manifest(tmp_path / "webp.csv")
    assert [row.output for row in rows] == [f"{name}.webp" for name in names]
    assert all(not row.faults for row in rows)


@pytest.mark.parametrize("count", [1, 5])
def test_blends_need_two_to_four_styles(
    tmp_path: Path, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    write_picture(tmp_path / "photos" / "p.png", 1)
    for seed in range(count):
        write_picture(tmp_path / "art" / f"{seed}.png", seed)
    assert write(tmp_path, 3) == 2
    assert f"found {count} styles; --blend-steps needs 2 to 4" in capsys.readouterr().err


def rows_of_blends(styles: int, steps: int) -> tuple[GalleryRow, ...]:
    shown = [Shown(f"{name}.png", thumbnail=f"{name}.jpg") for name in "stuv"[:styles]]
    return tuple(
        row(
            line=number,
            style="; ".join(style.name for style in shown),
            blend="; ".join(map(str, weights)),
            styles=tuple(style for style, it in zip(shown, weights, strict=True) if it),
            result=Shown("result", thumbnail=f"result-{number}.jpg"),
        )
        for number, weights in enumerate(blend_grid(styles, steps))
    )


COLORS = {"s.jpg": (255, 0, 0), "t.jpg": (0, 255, 0), "u.jpg": (0, 0, 255), "v.jpg": (255, 255, 0)}


@pytest.fixture
def sheets() -> Iterator[mock.MagicMock]:
    """Return the function that draws sheets, which is then called with what is drawn."""

    def pixels(shown: Shown, _: object) -> np.ndarray:
        level = int(shown.thumbnail.partition("-")[2].partition(".")[0] or 0)
        return np.full((60, 60, 3), COLORS.get(shown.thumbnail, (level,) * 3), np.uint8)

    with (
        mock.patch.object(module, "_pixels", pixels),
        mock.patch.object(module, "contact_sheet", wraps=module.contact_sheet) as drawn,
    ):
        yield drawn


def test_blends_of_two_styles_are_beside_each_other(sheets: mock.MagicMock) -> None:
    rows = rows_of_blends(2, 5)
    assert is_grid(rows)
    assert side_of_square(rows) == 0
    module._sheet(rows, mock.sentinel.output)
    left, top, cells = sheets.call_args.args
    assert [tile.label for tile in top] == [
        "s.png",
        "0.75; 0.25",
        "0.5; 0.5",
        "0.25; 0.75",
        "t.png",
    ]
    assert [cells[0, column].rgb[0, 0, 0] for column in range(5)] == [0, 1, 2, 3, 4]
    # The head of a blend shows both styles, each as wide as it weighs.
    share = (top[1].rgb == COLORS["s.jpg"]).all(axis=-1).mean()
    assert share == pytest.approx(0.75, abs=0.01)
    assert len(left) == 1


@pytest.mark.parametrize("styles", [3, 4])
def test_blends_of_more_styles_are_a_square(sheets: mock.MagicMock, styles: int) -> None:
    rows = rows_of_blends(styles, 3)
    assert side_of_square(rows) == 3
    module._sheet(rows, mock.sentinel.output)
    left, top, cells = sheets.call_args.args
    assert (len(left), len(top)) == (3, 3)
    assert [top[0].label, top[2].label] == ["s.png", "t.png"]
    found = [[cells[down, across].rgb[0, 0, 0] for across in range(3)] for down in range(3)]
    assert found == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert cells[0, 1].label.startswith("0.5; 0.5; 0")
