"""Commands about a finished batch: `plot`, `animate` and `show`."""

import io
import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.end_to_end.conftest import Shell, make_shell
from tests.pictures import write_csv

SETTINGS = ["--size", "64", "--octaves", "2", "--steps", "20", "--tolerance", "0"]
SETTINGS += ["--optimizer", "adam"]


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Shell:
    """Return a shell with a batch in `out`: two done rows with intermediates, one invalid row."""
    shell = make_shell(tmp_path_factory.mktemp("looking"), server_url)
    shell.picture("photos/large.png", 1, height=64, width=64)
    rows = [
        ("photos/large.png", "s.png", "deep/one", "0.11", "7"),
        ("a.png", "t.png", "", "", ""),
        ("missing.png", "t.png", "", "", ""),
    ]
    header = ("content", "style", "output", "content_weight", "seed")
    write_csv(shell.folder / "m.csv", header, *rows)
    options = ["--output", "out", "--save-every", "10", *SETTINGS]
    assert shell.run("run", "m.csv", *options).returncode == 1
    return shell


def table_of(output: Path) -> pd.DataFrame:
    return pd.read_csv(output / "summary.csv").set_index("output")


@pytest.mark.parametrize("named", [pytest.param("2", marks=pytest.mark.nights), "deep/one"])
def test_plot_draws_the_curve_of_a_row(shell: Shell, named: str) -> None:
    result = shell.run("plot", "out", named)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines() == ["out/plots/deep/one.png", "out/plots/deep/one.svg"]
    plots = shell.folder / "out" / "plots" / "deep"
    assert Image.open(plots / "one.png").size == (1200, 750)
    assert ElementTree.parse(plots / "one.svg").getroot().tag.endswith("}svg")


def test_plot_draws_the_curves_of_all_rows(shell: Shell) -> None:
    report = json.loads(shell.run("plot", "out", "--json").stdout)
    assert report == {"png": "out/loss_curves.png", "svg": "out/loss_curves.svg"}
    assert Image.open(shell.folder / report["png"]).size == (1200, 750)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plot", "out", "deep"], "no row 'deep'; expected a line of the manifest, 2 to 4,"),
        (["plot", "out", "a_z"], "did you mean 'a_t.png'?"),
        pytest.param(
            ["plot", "out", "9" * 5000],
            "expected a line of the manifest, 2 to 4",
            marks=pytest.mark.nights,
        ),
        (["show", "out/pictures/a_t.png", "--look-in", "no"], "--look-in: there is no folder no;"),
        (["plot", "out", "4"], "has no loss curve; found the status 'invalid': line 4, column"),
        (["plot", "photos"], "photos: found no summary.parquet; expected the output folder of"),
        (["animate", "out", "4"], "no intermediates of line 4; run the batch with --save-every"),
        pytest.param(
            ["animate", "nowhere", "4"],
            "nowhere: found no summary.parquet",
            marks=pytest.mark.nights,
        ),
        (["show", "a.png"], "a.png: found no text about how it was made"),
        pytest.param(["show", "m.csv"], "m.csv: the file begins with", marks=pytest.mark.nights),
        (["show", "none.png"], "none.png: expected a picture file that can be read"),
    ],
)
def test_missing_things_are_reported_in_one_line(
    shell: Shell, arguments: list[str], message: str
) -> None:
    result = shell.run(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("kind", ["webp", "gif"])
def test_animate_shows_all_intermediates_up_to_the_result(shell: Shell, kind: str) -> None:
    result = shell.run("animate", "out", "deep/one", "--format", kind, "--seconds", "1.2")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"out/animations/deep/one.{kind}\n"
    animation = Image.open(shell.folder / "out" / "animations" / "deep" / f"one.{kind}")
    # Steps 0, 10 and 20 have 32 x 32 pixels, steps 30 and 40 have 64 x 64; the last is the result.
    assert (animation.n_frames, animation.size) == (5, (64, 64))
    animation.load()
    assert animation.info["duration"] == 200
    animation.seek(4)
    seen = np.asarray(animation.convert("RGB"), float)
    made = Image.open(shell.folder / "out" / "pictures" / "deep" / "one.png").convert("RGB")
    assert np.abs(seen - np.asarray(made, float)).mean() < 12


def test_animate_scales_large_pictures_down(shell: Shell) -> None:
    assert shell.run("animate", "out", "2", "--size", "40").returncode == 0
    assert Image.open(shell.folder / "out" / "animations" / "deep" / "one.webp").size == (40, 40)


@pytest.mark.nights
def test_a_row_rebuilt_from_its_picture_is_cached(shell: Shell) -> None:
    shown = shell.run("show", "out/pictures/deep/one.png", "out/pictures/a_t.png")
    assert (shown.returncode, shown.stderr) == (0, "")
    rows = pd.read_csv(io.StringIO(shown.stdout), dtype=str).fillna("")
    assert list(rows["content"]) == ["photos/large.png", "a.png"]
    assert list(rows["output"]) == ["deep/one.png", "a_t.png"]
    assert list(rows["content_weight"]) == ["0.11", ""]
    assert list(rows["seed"]) == ["7", ""]
    (shell.folder / "again.csv").write_text(shown.stdout)
    before = table_of(shell.folder / "out")
    shutil.copytree(shell.folder / "out", shell.folder / "copy")
    again = json.loads(shell.run("run", "again.csv", "--output", "copy", "--json").stdout)
    assert again["counts"] == {"cached": 2}
    for row in again["rows"]:
        assert row["key"] == before.loc[row["output"], "key"]


def test_a_picture_outside_its_output_folder_can_be_rebuilt(shell: Shell) -> None:
    (shell.folder / "mail").mkdir()
    shutil.copy(shell.folder / "out" / "pictures" / "deep" / "one.png", shell.folder / "mail")
    lost = shell.run("show", "mail/one.png")
    assert lost.returncode == 1
    assert lost.stdout.splitlines()[1].startswith("large.png,s.png,one.png,")
    assert lost.stderr.count("was not found; name its folder with --look-in") == 2
    found = shell.run("show", "mail/one.png", "--look-in", "photos", "--look-in", ".", "--json")
    assert found.returncode == 0
    (report,) = json.loads(found.stdout)
    assert report["lost"] == []
    assert report["row"]["content"] == "photos/large.png"
    before = table_of(shell.folder / "out").loc["deep/one.png"]
    assert report["provenance"]["key"] == before["key"]
    assert report["provenance"]["total_loss"] == pytest.approx(before["total_loss"], rel=1e-5)


def test_show_and_plot_load_neither_prefect_nor_tensorflow(shell: Shell) -> None:
    for arguments in (["show", "out/pictures/a_t.png"], ["plot", "out", "2"]):
        shell.run_and_then(
            arguments,
            "assert 'prefect' not in sys.modules\nassert 'tensorflow' not in sys.modules\n",
        )
