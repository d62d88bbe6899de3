"""The rows of a preview: their settings at a small size, and the choice of a few of them."""

import math
from pathlib import Path
from typing import Any

import pytest

from nst_core.networks import CATALOGUE
from nst_core.networks.store import WeightStore
from nst_core.transfer.octaves import octave_shapes, style_sides
from nst_core.transfer.presets import resolve
from tasks.intake.encoders import encoders_of
from tasks.intake.examine import examine_rows
from tasks.intake.manifest import read_manifest
from tasks.intake.previews import preview_settings, representative
from tasks.job import Examined
from tests.pictures import write_csv, write_picture


def preview(content: tuple[int, int], side: int, **choices: Any) -> Any:
    return preview_settings(resolve(choices), content, side)


@pytest.mark.parametrize(
    ("side", "octaves"), [(256, 2), (128, 1), (64, 1), (400, 3), (300, 2), (511, 3)]
)
def test_a_preview_has_the_coarse_octaves_of_its_row(side: int, octaves: int) -> None:
    full = resolve({"size": 512, "octaves": 3, "style_weight": 7, "steps": 11})
    small = preview_settings(full, (600, 900), side)
    assert (small.size, small.octaves, small.style_scale) == (side, octaves, 1)
    changed = {name for name, value in small if value != getattr(full, name)}
    assert changed <= {"size", "octaves", "style_scale"}


def test_if_the_size_is_halved_the_octaves_are_those_that_are_left() -> None:
    full, small = resolve({"size": 512}), preview((1024, 768), 128, size=512)
    shapes = list(octave_shapes(512, 384, full.octaves).values())
    assert [*octave_shapes(128, 96, small.octaves).values()] == shapes[:1]
    assert style_sides(small) == style_sides(full)[:1]


def test_a_style_keeps_its_size_relative_to_a_content_that_is_not_enlarged() -> None:
    full = resolve({"size": 800, "style_scale": 0.5})
    small = preview_settings(full, (300, 400), 100)
    assert small.size == 100
    assert style_sides(small)[-1] / 100 == style_sides(full)[-1] / 400 == 1
    assert preview((30, 40), 20, size=800, style_scale=1).style_scale == 4, "there is a largest one"


def test_a_result_that_is_small_already_stays_as_it_is() -> None:
    for content, size in (((90, 120), 512), ((900, 1200), 100), ((90, 128), 512)):
        full = resolve({"size": size})
        assert preview_settings(full, content, 128) is full


@pytest.mark.parametrize("encoder", ["compact", "vgg16", "vgg19"])
def test_narrow_pictures_get_as_many_pixels_as_the_encoder_needs(encoder: str) -> None:
    small = preview((300, 3000), 64, encoder=encoder, size=1024)
    layers = {*small.content_layer_weights, *small.style_layer_weights}
    needed = CATALOGUE[encoder].topology.smallest_side(layers)
    assert small.size == max(64, math.ceil(needed * 1024 / 102))


def examined(folder: Path, side: int | None, *rows: tuple[object, ...]) -> Examined:
    read = read_manifest(write_csv(folder / "m.csv", *rows))
    encoders = encoders_of(read, WeightStore(folder / "weights"))
    return examine_rows(read, encoders, max_pixels=10**6, preview=side)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed, name in enumerate(("a", "b", "s", "t")):
        write_picture(tmp_path / f"{name}.png", seed, 48, 64)
    return tmp_path


def test_styles_with_octaves_of_their_own_all_have_a_part_in_the_preview(folder: Path) -> None:
    write_picture(folder / "wide.png", 7, 120, 400)
    header = ("content", "style", "style_mix", "octaves", "size")
    row = ("wide.png", "s.png; t.png", "octaves", 2, 400)
    result = examined(folder, 64, header, row)
    assert result.faults == ()
    (job,) = result.jobs
    assert job.settings.octaves == 2
    assert min(job.shape) >= 64, "half of this is a whole octave, in pixels"


def test_a_job_of_a_preview_knows_its_row_in_full(folder: Path) -> None:
    rows = (("content", "style", "size"), ("a.png", "s.png", 60), ("a.png", "s.png", 64))
    full, small = examined(folder, None, *rows).jobs, examined(folder, 32, *rows).jobs
    assert [job.shape for job in small] == [(24, 32)] * 2
    assert small[0].key == small[1].key, "both have the same preview"
    assert not {job.key for job in small} & {job.key for job in full}
    assert [job.whole.shape for job in small] == [job.shape for job in full]
    assert [job.whole.settings for job in small] == [job.settings for job in full]
    assert [job.whole.multiplications for job in small] == [job.multiplications for job in full]
    assert small[0].whole.key != small[1].whole.key
    assert full[0].whole is full[0]


def test_the_key_of_a_row_that_is_small_already_stays(folder: Path) -> None:
    rows = (("content", "style", "size"), ("a.png", "s.png", 30))
    (full,), (small,) = examined(folder, None, *rows).jobs, examined(folder, 32, *rows).jobs
    assert small.key == full.key


def chosen(folder: Path, count: int, *rows: tuple[object, ...]) -> list[int]:
    return representative(read_manifest(write_csv(folder / "m.csv", *rows)), count)


def test_few_rows_show_all_styles_and_settings_before_more_contents(folder: Path) -> None:
    header = ("content", "style", "style_weight")
    rows = [
        (f"{content}.png", f"{style}.png", weight)
        for content in "abcdefgh"
        for style in "stu"
        for weight in (1, 3, 10)
    ]
    lines = chosen(folder, 6, header, *rows)
    shown = [rows[line - 2] for line in lines]
    assert lines == sorted(set(lines))
    assert {style for _, style, _ in shown[:6]} == {"s.png", "t.png", "u.png"}
    assert {weight for *_, weight in shown} == {1, 3, 10}
    assert len({content for content, *_ in shown}) == 6, "and no content twice without need"
    three = [rows[line - 2] for line in chosen(folder, 3, header, *rows)]
    assert len({style for _, style, _ in three}) == len({weight for *_, weight in three}) == 3
    assert chosen(folder, 100, header, *rows) == list(range(2, 2 + len(rows)))


def test_rows_with_faults_and_later_frames_are_not_chosen(folder: Path) -> None:
    header = ("content", "style", "size", "sequence")
    rows = [
        ("a.png", "s.png", "wrong", ""),
        *(("a.png", "s.png", "", "film"), ("b.png", "s.png", "", "film")),
        *(("a.png", "t.png", "", ""), ("b.png", "t.png", "", "other")),
    ]
    assert chosen(folder, 9, header, *rows) == [3, 5, 6]
    assert chosen(folder, 1, header, *rows) == [3], "the first of rows that are equally good"
    assert chosen(folder, 3, header, rows[0]) == []
