"""Rows with masks: what is checked before anything runs, and what is in keys."""

from pathlib import Path

import numpy as np
import pytest

from nst_core.images.read import load
from nst_core.images.write import encode_png
from nst_core.storage.files import write_atomic
from nst_core.transfer.identity import ALPHA
from nst_core.transfer.styles.statistics import style_targets
from tasks.job import Job, JobMask
from tasks.row import Fault
from tasks.work.ladder import Rung, needed_memory
from tasks.work.stylization import _targets_of_rung
from tests.pictures import write_picture
from tests.unit.intake.test_jobs import examine

HEIGHT, WIDTH = 36, 48
HEADER = ("content", "style", "output", "content_mask", "style_mask")


def write_mask(path: Path, mask: np.ndarray, alpha: np.ndarray | None = None) -> Path:
    """Write a picture, gray (height, width) or in color, with values from 0 to 1."""
    pixels = np.broadcast_to(mask[..., None], (*mask.shape, 3)) if mask.ndim == 2 else mask
    write_atomic(path, encode_png(pixels.astype(np.float32), alpha))
    return path


def left_half(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    mask = np.zeros((height, width))
    mask[:, : width // 2] = 1
    return mask


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a content, a style and some masks."""
    for name, seed in (("c.png", 1), ("s.png", 2)):
        write_picture(tmp_path / name, seed)
    for name in ("left", "copy"):
        write_mask(tmp_path / f"{name}.png", left_half())
    write_mask(tmp_path / "right.png", 1 - left_half())
    write_mask(tmp_path / "white.png", np.ones((HEIGHT, WIDTH)))
    write_mask(tmp_path / "black.png", np.zeros((HEIGHT, WIDTH)))
    write_mask(tmp_path / "square.png", left_half(40, 40))
    return tmp_path


def jobs_of(folder: Path, *masks: tuple[str, str], **cells: object) -> list[Job]:
    """Return the jobs of rows with these masks."""
    rows = [("c.png", "s.png", f"p{number}", *each) for number, each in enumerate(masks)]
    examined = examine(folder, (*HEADER, *cells), *((*row, *cells.values()) for row in rows))
    assert examined.faults == ()
    return list(examined.jobs)


def faults_of(folder: Path, content_mask: str, style_mask: str, **cells: object) -> list[Fault]:
    """Return the faults of a row."""
    row = ("c.png", "s.png", "p", content_mask, style_mask, *cells.values())
    return list(examine(folder, (*HEADER, *cells), row).faults)


def test_masks_are_in_the_keys_by_their_contents(folder: Path) -> None:
    masks = [("", ""), ("left.png", ""), ("copy.png", ""), ("right.png", "")]
    plain, left, copy, right = jobs_of(folder, *masks)
    assert left.key == copy.key
    assert len({plain.key, left.key, right.key}) == 3
    assert len({job.styles[0].key for job in (plain, left, copy, right)}) == 1
    assert plain.content.mask == JobMask()
    mask = left.content.mask
    assert (mask.place, mask.regions) == (folder / "left.png", 1)
    assert len(mask.sha256) == 64
    both, same, other = jobs_of(
        folder, ("left.png", "left.png"), ("left.png", "copy.png"), ("left.png", "right.png")
    )
    assert both.styles[0].key == same.styles[0].key
    assert len({plain.styles[0].key, both.styles[0].key, other.styles[0].key}) == 3
    assert len({left.key, both.key, other.key}) == 3


def test_a_white_mask_is_no_mask(folder: Path) -> None:
    plain, white = jobs_of(folder, ("", ""), ("white.png", "white.png"))
    assert (white.key, white.styles[0].key) == (plain.key, plain.styles[0].key)
    assert white.content.mask == white.style_mask == JobMask()


def test_the_feather_is_in_the_key_of_a_row_with_a_content_mask(folder: Path) -> None:
    masks = [("", ""), ("left.png", ""), ("", "left.png")]
    before, after = jobs_of(folder, *masks), jobs_of(folder, *masks, mask_feather=0.05)
    same = [one.key == other.key for one, other in zip(before, after, strict=True)]
    assert same == [True, False, True]


def test_faults_name_the_column_and_say_what_was_found(folder: Path) -> None:
    (folder / "text.png").write_text("not a picture")
    (fault,) = faults_of(folder, "black.png", "")
    assert (fault.column, fault.found) == ("content_mask", "black.png")
    assert fault.expected.startswith("found no region; expected white")
    (fault,) = faults_of(folder, "", "square.png")
    assert fault.column == "style_mask"
    assert "found a mask of 40 x 40 pixels, expected the aspect" in fault.expected
    assert "48 x 36" in fault.expected
    columns = [fault.column for fault in faults_of(folder, "missing.png", "text.png")]
    assert columns == ["content_mask", "style_mask"]


@pytest.mark.parametrize(
    ("column", "value"), [("style_measure", "gram:1 neighbors:1"), ("color_match", "histogram")]
)
def test_settings_that_know_no_masks_are_faults(folder: Path, column: str, value: str) -> None:
    cells = {column: value}
    for masks in (("left.png", ""), ("", "left.png")):
        (fault,) = faults_of(folder, *masks, **cells)
        assert fault.column == column
        assert "knows no masks; expected" in fault.expected
    assert faults_of(folder, "white.png", "", **cells) == []
    assert faults_of(folder, "left.png", "", color_match="histogram", color="style") == []


def test_transparency_is_a_mask_only_where_asked_for_and_where_there_is_some(folder: Path) -> None:
    pictures = [("c.png", "s.png")]
    plain, asked = jobs_of(folder, ("", "")), jobs_of(folder, ("", ""), alpha_mask="on")
    assert [job.key for job in plain] == [job.key for job in asked]
    for (name, _), seed in zip([*pictures, ("s.png", "")], (1, 2), strict=True):
        blotches = np.random.default_rng(seed).uniform(0, 1, (HEIGHT, WIDTH, 3))
        write_mask(folder / name, blotches, left_half().astype(np.float32))
    (off,), (on,) = jobs_of(folder, ("", "")), jobs_of(folder, ("", ""), alpha_mask="on")
    assert off.key != on.key
    assert off.styles[0].key != on.styles[0].key
    assert on.content.mask == JobMask(regions=1)
    assert off.content.mask == JobMask()
    (named,) = jobs_of(folder, ("white.png", "left.png"), alpha_mask="on")
    # A white mask says that all of a transparent picture is stylized.
    assert named.content.mask.place == folder / "white.png"
    assert len({named.key, on.key, off.key}) == 3
    assert ALPHA not in (named.content.mask.sha256, named.style_mask.sha256)


def test_a_picture_without_opaque_parts_is_no_mask(folder: Path) -> None:
    blotches = np.random.default_rng(1).uniform(0, 1, (HEIGHT, WIDTH, 3))
    write_mask(folder / "c.png", blotches, np.zeros((HEIGHT, WIDTH), np.float32))
    (fault,) = faults_of(folder, "", "", alpha_mask="on")
    assert fault.column == "content"
    assert "0.00% of it is opaque" in fault.expected
    assert faults_of(folder, "left.png", "", alpha_mask="on") == []


def test_a_warning_about_a_mask_names_its_column(folder: Path) -> None:
    whole = (folder / "left.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[:-8])
    (job,) = jobs_of(folder, ("cut.png", ""))
    assert any(warning.startswith("content_mask: ") for warning in job.warnings)


def test_a_smaller_rung_of_the_ladder_has_the_style_of_the_mask(folder: Path) -> None:
    (job,) = jobs_of(folder, ("left.png", "left.png"), size=48, octaves=1)
    encoder, style = job.encoder.load(), load(folder / "s.png", size=48).rgb
    mask = load(folder / "left.png")
    targets = style_targets(encoder, style, job.settings, mask)
    found = _targets_of_rung(job, Rung(left_out=1), targets)
    smaller = job.settings.model_copy(update={"size": 24})
    expected = style_targets(encoder, load(folder / "s.png", size=24).rgb, smaller, mask)
    assert found.to_bytes() == expected.with_colors_of(targets).to_bytes()
    content = job.content.model_copy(update={"mask": JobMask()})
    plain = job.model_copy(update={"content": content})
    assert needed_memory(job, "CPU:0") > needed_memory(plain, "CPU:0")
