"""Photographs through the flow: their results in every format, with their own data."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image

from nst_core.images.write import read_text
from tasks.report.rebuild import Rebuilder
from tasks.store.output_folder import OutputFolder
from tasks.store.provenance import KEYWORD, Provenance
from tests.photographs import CAMERA, EXPOSURE, SECRETS, Base, Ifd, photograph
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
    shown = [*OutputFolder(photographs.output).previews.glob("contents/*.jpg")]
    sizes = []
    for path in shown:
        with Image.open(path) as image:
            sizes.append(image.size)
    # The content, and the result.
    assert sizes == [(24, 32)] * 2
    assert all(path.name in page for path in shown)
