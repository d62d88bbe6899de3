"""Photographs through the flow: their results in every format, with their own data."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image
from skimage.transform import resize

from nst_core.images.write import read_text
from tasks.report.rebuild import Rebuilder
from tasks.store.output_folder import OutputFolder
from tasks.store.provenance import KEYWORD, Provenance
from tests.photographs import CAMERA, EXPOSURE, SECRETS, Base, Ifd, photograph
from tests.picture_files import P3_PROFILE
from tests.pipeline.conftest import Batch

HEADER = ("content", "style", "output", "format", "depth", "quality", "metadata")
ROWS = {
    "png": ("p.jpg", "s.png", "png", "", "", "", ""),
    "png-16": ("p.jpg", "s.png", "png-16", "", "16", "", ""),
    "jpeg": ("p.jpg", "s.png", "jpeg.jpg", "", "", "", ""),
    "webp": ("p.jpg", "s.png", "webp", "webp", "", "", ""),
    "tiff": ("p.jpg", "s.png", "tiff", "tiff", "", "", ""),
    "tiff-16": ("p.jpg", "s.png", "tiff-16.tif", "", "16", "", ""),
    "kept": ("p.jpg", "s.png", "kept", "jpeg", "", "80", "keep"),
    "bare": ("p.jpg", "s.png", "bare", "jpeg", "", "80", "none"),
}


@pytest.fixture
def photographs(batch: Batch) -> Batch:
    """Return a batch that also has a photograph, p.jpg, stored on its side."""
    photograph(batch.folder / "p.jpg")
    return batch


def run(batch: Batch, rows: dict[str, tuple[str, ...]] = ROWS, **settings: Any) -> pd.DataFrame:
    _, table = batch.run(HEADER, *rows.values(), settings=settings)
    table.index = pd.Index([*rows])
    return table


def path_of(batch: Batch, table: pd.DataFrame, name: str) -> Path:
    return batch.output / str(table.loc[name, "picture"])


def done(table: pd.DataFrame) -> set[str]:
    assert set(table["status"]) <= {"done", "cached"}, table["error"].dropna().tolist()
    return {str(name) for name in table.index[table["status"] == "done"]}


def test_every_format_has_the_same_pixels_and_the_photographs_data(
    photographs: Batch, computed: list[str]
) -> None:
    table = run(photographs)
    assert done(table) == {*ROWS}
    assert len({*table["key"]}) == len(ROWS)
    assert len({*table["seed"]}) == 1
    assert list(table["format"]) == ["png", "png", "jpeg", "webp", "tiff", "tiff", "jpeg", "jpeg"]
    with Image.open(path_of(photographs, table, "png")) as image:
        expected = np.asarray(image).astype(int)
    # It is upright, like the photograph as it is meant to be seen.
    assert expected.shape == (32, 24, 3)
    for name in ROWS:
        path = path_of(photographs, table, name)
        with Image.open(path) as image:
            assert image.size == (24, 32)
            found = np.asarray(image.convert("RGB")).astype(int)
            exif = image.getexif()
            main, exposure = dict(exif), exif.get_ifd(Ifd.Exif)
            assert bool(exif.get_ifd(Ifd.GPSInfo)) == (name == "kept")
        lossy = name in ("jpeg", "webp", "kept", "bare")
        assert np.abs(found - expected).mean() < (12 if lossy else 1)
        assert Provenance.of(path).key == table.loc[name, "key"]
        if name == "bare":
            assert Base.Make not in main
            continue
        assert CAMERA.items() <= main.items()
        assert EXPOSURE.items() <= exposure.items()
        assert main[Base.Orientation] == 1
        if name != "kept":
            assert not [secret for secret in SECRETS if secret in path.read_bytes()]
    deep = tifffile.imread(path_of(photographs, table, "tiff-16"))
    assert deep.dtype == np.uint16
    assert (np.abs(deep.astype(int) - expected * 257) <= 129).all()
    assert (deep % 257 != 0).mean() > 0.9

    computed.clear()
    assert done(run(photographs)) == set()
    assert computed == []


def test_a_row_rebuilt_from_any_format_is_cached(photographs: Batch, computed: list[str]) -> None:
    table = run(photographs)
    paths = {name: path_of(photographs, table, name) for name in ROWS}
    before = {name: path.read_bytes() for name, path in paths.items()}
    computed.clear()
    rebuilder = Rebuilder(photographs.folder)
    rows = {name: rebuilder.rebuild(path, Provenance.of(path)) for name, path in paths.items()}
    assert all(row.lost == () for row in rows.values())
    columns = list(dict.fromkeys(column for row in rows.values() for column in row.cells))
    again = {
        name: tuple(row.cells.get(column, "") for column in columns) for name, row in rows.items()
    }
    _, table = photographs.run(tuple(columns), *again.values())
    assert (set(table["status"]), computed) == ({"cached"}, [])
    assert {name: path.read_bytes() for name, path in paths.items()} == before


@pytest.mark.nights
def test_another_choice_makes_just_the_files_again_that_it_changes(
    photographs: Batch, computed: list[str]
) -> None:
    run(photographs)
    assert done(run(photographs, quality=50)) == {"jpeg", "webp"}
    assert done(run(photographs, quality=50, metadata="keep")) == {*ROWS} - {"kept", "bare"}
    computed.clear()
    # Only two rows leave the format to the batch; they are then equal to others, which are done.
    table = run(photographs, quality=50, metadata="keep", format="tiff")
    assert (done(table), computed) == (set(), [])
    assert list(table["picture"])[:2] == ["pictures/png.tif", "pictures/png-16.tif"]


def test_rows_made_before_metadata_was_taken_over_stay_as_they_are(
    photographs: Batch, computed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from nst_core.images.metadata.photograph import Metadata

    rows = {"png": ROWS["png"]}
    with monkeypatch.context() as patch:
        patch.setattr(Metadata, "reduced", lambda *_: Metadata())
        table = run(photographs, rows)
    path = path_of(photographs, table, "png")
    before = path.read_bytes()
    computed.clear()
    assert done(run(photographs, rows)) == set()
    assert (computed, path.read_bytes()) == ([], before)
    assert set(read_text(path)) == {KEYWORD}


def test_a_tiff_result_is_shown_on_the_page_as_a_file_that_browsers_show(
    photographs: Batch,
) -> None:
    run(photographs, {"tiff": ROWS["tiff"]})
    page = (photographs.output / "gallery.html").read_text()
    shown = [*OutputFolder(photographs.output).page_pictures.glob("contents/*.jpg")]
    sizes = []
    for path in shown:
        with Image.open(path) as image:
            sizes.append(image.size)
    # The content, and the result.
    assert sizes == [(24, 32)] * 2
    assert all(path.name in page for path in shown)
    # What is downloaded is the result itself.
    assert 'data-file="pictures/tiff.tif"' in page


def test_sixteen_bits_of_wide_colors_come_through_unchanged(
    photographs: Batch, computed: list[str]
) -> None:
    """At a strength of 0, the result is the photograph: in its space, level by level."""
    levels = np.random.default_rng(3).integers(0, 65536, (36, 48, 3), np.uint16)
    folder, tags = photographs.folder, [(34675, "B", len(P3_PROFILE), P3_PROFILE, True)]
    tifffile.imwrite(folder / "wide.tif", levels, photometric="rgb", extratags=tags)
    tifffile.imwrite(folder / "low.tif", levels ^ 1, photometric="rgb", extratags=tags)
    header = ("content", "style", "output", "color_space", "depth")
    rows = [
        ("wide.tif", "s.png", "own.tif", "content", "16"),
        ("wide.tif", "s.png", "own-8", "content", ""),
        ("wide.tif", "s.png", "srgb", "", ""),
        ("low.tif", "s.png", "low.tif", "content", "16"),
        ("a.png", "s.png", "plain", "content", ""),
        ("a.png", "s.png", "plain-too", "", ""),
    ]
    settings = {"strength": 0, "size": 48, "color": "style"}
    _, table = photographs.run(header, *rows, settings=settings)
    table.index = pd.Index(["own", "own-8", "srgb", "low", "plain", "plain-too"])
    assert done(table) == {*table.index}
    np.testing.assert_array_equal(tifffile.imread(path_of(photographs, table, "own")), levels)
    np.testing.assert_array_equal(tifffile.imread(path_of(photographs, table, "low")), levels ^ 1)
    profiles, pixels = {}, {}
    for name in ("own", "own-8", "srgb", "plain"):
        with Image.open(path_of(photographs, table, name)) as image:
            profiles[name] = image.info.get("icc_profile")
            pixels[name] = np.asarray(image).astype(int)
    expected = {"own": P3_PROFILE, "own-8": P3_PROFILE, "srgb": None, "plain": None}
    assert profiles == expected
    assert np.abs(pixels["own-8"] - levels / 257).max() <= 1
    # Clipped to sRGB, many colors are others.
    assert np.abs(pixels["srgb"] - levels / 257).mean() > 5
    # A content without a profile of its own is sRGB either way, so that both rows are one.
    assert table.loc["plain", "key"] == table.loc["plain-too", "key"]
    assert table.loc["plain", "color_space"] == "srgb"
    assert len({*table["key"]}) == 5
    rebuilder = Rebuilder(photographs.folder, [photographs.folder])
    path = path_of(photographs, table, "own")
    row = rebuilder.rebuild(path, Provenance.of(path))
    assert row.lost == ()
    assert row.cells["color_space"] == "content"
    computed.clear()
    _, table = photographs.run(tuple(row.cells), tuple(row.cells.values()))
    assert (set(table["status"]), computed) == ({"cached"}, [])


def test_results_of_the_original_size_and_enlarged_ones(
    photographs: Batch, computed: list[str]
) -> None:
    header = ("content", "style", "output", "size", "enlarge_result", "depth", "keep_alpha")
    clear = Image.open(photographs.folder / "a.png").convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(clear.size))
    clear.save(photographs.folder / "clear.png")
    rows = [
        ("p.jpg", "s.png", "whole", "original", "", "", ""),
        ("p.jpg", "s.png", "small", "32", "", "", ""),
        ("p.jpg", "s.png", "large", "32", "yes", "", ""),
        ("p.jpg", "s.png", "deep.tif", "32", "yes", "16", ""),
        ("clear.png", "s.png", "clear", "32", "yes", "", "yes"),
    ]
    _, table = photographs.run(header, *rows)
    table.index = pd.Index(["whole", "small", "large", "deep", "clear"])
    assert done(table) == {*table.index}
    assert list(table["width"]) == [36, 24, 36, 36, 48]
    assert list(table["height"]) == [48, 32, 48, 48, 36]
    assert list(table["size"]) == [48, 32, 32, 32, 32]
    with Image.open(path_of(photographs, table, "small")) as image:
        small = np.asarray(image).astype(np.float64) / 255
    # An independent enlargement, whose filter differs a little.
    expected = resize(small, (48, 36), order=3, mode="edge")
    with Image.open(path_of(photographs, table, "large")) as image:
        assert np.abs(np.asarray(image) / 255 - expected).mean() < 0.02
    deep = tifffile.imread(path_of(photographs, table, "deep"))
    assert np.abs(deep / 65535 - expected).mean() < 0.02
    with Image.open(path_of(photographs, table, "clear")) as image:
        assert (image.mode, image.size) == ("RGBA", (48, 36))
        ramp = np.asarray(image.getchannel("A")).astype(int)
        assert np.abs(ramp - np.asarray(clear.getchannel("A"))).max() <= 12
    rebuilder = Rebuilder(photographs.folder)
    for name, cell in (("whole", "48"), ("large", "32")):
        path = path_of(photographs, table, name)
        cells = rebuilder.rebuild(path, Provenance.of(path)).cells
        assert cells["size"] == cell
        assert cells.get("enlarge_result", "") == ("true" if name == "large" else "")
    computed.clear()
    _, table = photographs.run(header, *rows)
    assert (set(table["status"]), computed) == ({"cached"}, [])
