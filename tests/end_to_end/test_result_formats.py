"""Results in every format, from the command line: made, shown, and found again."""

import io
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from tests.end_to_end.conftest import QUICK, Shell, make_shell
from tests.photographs import CAMERA, EXPOSURE, SECRETS, Base, Ifd, photograph
from tests.pictures import write_csv

NAMES = ("a.png", "b", "c.jpg", "d.webp", "e.tif", "f.tiff")
"""Outputs; one of them leaves the format to the batch."""


@pytest.fixture
def shell(tmp_path: Path, server_url: str) -> Shell:
    shell = make_shell(tmp_path, server_url)
    photograph(tmp_path / "photos" / "p.jpg")
    rows = [("photos/p.jpg", "s.png", name, "16" if name == "f.tiff" else "") for name in NAMES]
    write_csv(tmp_path / "m.csv", ("content", "style", "output", "depth"), *rows)
    return shell


@pytest.mark.nights
def test_show_then_run_finds_the_results_of_every_format(shell: Shell) -> None:
    made = shell.run("run", "m.csv", "-o", "out", *QUICK, "--format", "jpeg", "--quality", "85")
    assert made.returncode == 0, made.stderr
    pictures = sorted((shell.folder / "out" / "pictures").iterdir())
    names = [path.name for path in pictures]
    assert names == ["a.png", "b.jpg", "c.jpg", "d.webp", "e.tif", "f.tiff"]
    before = {path.name: path.read_bytes() for path in pictures}
    for path in pictures:
        with Image.open(path) as image:
            exif = image.getexif()
            exposure, place = exif.get_ifd(Ifd.Exif), exif.get_ifd(Ifd.GPSInfo)
            assert CAMERA.items() <= dict(exif).items()
        assert EXPOSURE.items() <= exposure.items()
        assert (exif[Base.Orientation], place) == (1, {})
        assert not [secret for secret in SECRETS if secret in before[path.name]]

    shown = shell.run("show", *pictures)
    assert (shown.returncode, shown.stderr) == (0, "")
    rows = pd.read_csv(io.StringIO(shown.stdout), dtype=str).fillna("")
    assert list(rows["output"]) == names
    assert list(rows["format"]) == ["", "jpeg", "jpeg", "webp", "tiff", "tiff"]
    (shell.folder / "again.csv").write_text(shown.stdout)
    again = shell.run("run", "again.csv", "-o", "out")
    assert again.returncode == 0, again.stderr
    table = pd.read_csv(shell.folder / "out" / "summary.csv")
    assert list(table["status"]) == ["cached"] * 6
    assert {path.name: path.read_bytes() for path in pictures} == before
