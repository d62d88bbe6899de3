"""The pictures of the page: made once, by content, and removed when nothing shows them."""

import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from upath import UPath

from nst_core.images.read import examine, load
from nst_core.storage.files import list_files, read_whole, write_atomic
from nst_core.storage.places import Place
from tasks.report.gallery import page_pictures
from tasks.report.gallery.page_pictures import (
    THUMBNAIL_SIDE,
    PagePicture,
    complete_page_pictures,
    content_name,
    keep_content,
    keep_thumbnail,
    thumbnail_name,
)
from tasks.store.output_folder import OutputFolder
from tests.pictures import write_picture


@pytest.fixture(params=["disk", "storage"])
def output(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "disk":
        yield tmp_path / "out"
        return
    folder = UPath("memory://night/out")
    yield folder
    folder.fs.store.clear()


def of(source: Path, name: str = "thumbnails/a.jpg") -> PagePicture:
    return PagePicture(name, source, examine(source).sha256, max_pixels=10**6)


def test_a_thumbnail_is_small_and_shows_the_picture(output: Place, tmp_path: Path) -> None:
    picture = load(write_picture(tmp_path / "a.png", 1, height=600, width=800))
    keep_thumbnail(OutputFolder(output), picture.sha256, picture.rgb)
    path = tmp_path / "thumbnail.jpg"
    path.write_bytes(
        read_whole(OutputFolder(output).page_pictures / thumbnail_name(picture.sha256))
    )
    assert Image.open(path).format == "JPEG"
    assert Image.open(path).size == (THUMBNAIL_SIDE, THUMBNAIL_SIDE * 3 // 4)
    small = load(tmp_path / "a.png", size=THUMBNAIL_SIDE).rgb
    assert np.abs(load(path).rgb - small).mean() < 0.01


def test_a_thumbnail_has_enough_pixels_for_the_largest_card() -> None:
    style = (resources.files("tasks.report.gallery") / "template" / "gallery.css").read_text()
    largest = re.search(r'data-cards="large"\] \{.*--pictures-height: (\d+)rem', style)
    assert largest
    # A photograph is one and a half times as wide as it is high; a rem has 16 pixels.
    assert int(largest[1]) * 16 * 1.5 <= THUMBNAIL_SIDE


def test_a_content_has_the_size_of_its_result(output: Place, tmp_path: Path) -> None:
    picture = load(write_picture(tmp_path / "a.png", 1, height=60, width=90))
    keep_content(OutputFolder(output), picture.sha256, picture.rgb)
    assert content_name(picture.sha256, (60, 90)).endswith("_90x60.jpg")
    assert list_files(OutputFolder(output).page_pictures) == {
        content_name(picture.sha256, (60, 90))
    }


def test_only_missing_pictures_are_made(output: Place, tmp_path: Path) -> None:
    source = write_picture(tmp_path / "a.png", 1)
    assert complete_page_pictures([of(source)], OutputFolder(output)) == {"thumbnails/a.jpg"}
    made = read_whole(OutputFolder(output).page_pictures / "thumbnails/a.jpg")
    source.unlink()
    assert complete_page_pictures([of(write_picture(source, 2))], OutputFolder(output)) == {
        "thumbnails/a.jpg"
    }
    assert read_whole(OutputFolder(output).page_pictures / "thumbnails/a.jpg") == made


def test_pictures_that_nothing_shows_anymore_are_removed(output: Place, tmp_path: Path) -> None:
    source = write_picture(tmp_path / "a.png", 1)
    old, new = (thumbnail_name(digit * 64) for digit in "ab")
    content = content_name("c" * 64, (30, 40))
    complete_page_pictures([of(source, name) for name in (old, new, content)], OutputFolder(output))
    # Somebody may keep pictures in a folder of that name.
    own = {"thumbnails/anna.jpg", "holiday/anna.jpg", "contents/anna_30x40.jpg", f"deep/{old}"}
    for name in own:
        write_atomic(OutputFolder(output).page_pictures / name, b"own")
    complete_page_pictures([of(source, new)], OutputFolder(output))
    assert list_files(OutputFolder(output).page_pictures) == {new, *own}


def test_optional_pictures_are_made_as_long_as_there_is_time(
    output: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_picture(tmp_path / "a.png", 1)
    optional = replace(of(source), may_be_missing=True)
    monkeypatch.setattr(page_pictures, "SPARE_SECONDS", 0)
    assert complete_page_pictures([optional], OutputFolder(output)) == set()
    monkeypatch.setattr(page_pictures, "SPARE_SECONDS", 10**6)
    another = replace(of(source, "thumbnails/b.jpg"), may_be_missing=True)
    assert complete_page_pictures([another], OutputFolder(output)) == {another.name}
    assert complete_page_pictures([optional, of(source), optional], OutputFolder(output)) == {
        optional.name
    }
    assert complete_page_pictures([optional], OutputFolder(output)) == {optional.name}


@pytest.mark.parametrize("damage", ["missing", "changed", "cut"])
def test_a_picture_that_cannot_be_shown_only_gives_a_warning(
    output: Place, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    broken = write_picture(tmp_path / "broken.png", 1)
    wanted = [of(broken), of(write_picture(tmp_path / "b.png", 2), "thumbnails/b.jpg")]
    if damage == "missing":
        broken.unlink()
    elif damage == "changed":
        write_picture(broken, 3)
    else:
        broken.write_bytes(broken.read_bytes()[:-50])
    with caplog.at_level(logging.WARNING):
        assert complete_page_pictures(wanted, OutputFolder(output)) == {"thumbnails/b.jpg"}
    assert str(broken) in caplog.text
