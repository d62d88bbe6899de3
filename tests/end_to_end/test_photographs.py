"""From a folder of photographs to a folder of results, without a spreadsheet."""

import csv
import subprocess
from itertools import product
from pathlib import Path

import pytest
from PIL import Image

from tests.end_to_end.conftest import QUICK, Shell, make_shell

FOLDERS = ("", "2023/", "2024/summer/", "2024/winter/")
STYLES = ["--style", "s.png", "--style", "t.png"]


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Shell:
    """Return a shell with 12 photographs in nested folders."""
    shell = make_shell(tmp_path_factory.mktemp("photographs"), server_url)
    for at in range(12):
        shell.picture(f"photos/{FOLDERS[at % 4]}p{at}.png", at, height=24, width=32)
    return shell


def lines_of(manifest: Path) -> list[str]:
    return manifest.read_text("utf-8").splitlines()


def rows_of(shell: Shell, output: str) -> list[dict[str, str]]:
    with (shell.folder / output / "summary.csv").open(newline="") as file:
        return [*csv.DictReader(file)]


def succeeded(done: "subprocess.CompletedProcess[str]") -> str:
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.nights
def test_one_command_makes_all_pairs_and_then_only_what_is_new(shell: Shell) -> None:
    command = ["run", "photos", "--recursive", *STYLES, "--output", "results", *QUICK]
    shown = succeeded(shell.run(*command))
    assert "12 photographs x 2 styles: 24 rows\n" in shown
    assert "24 done" in shown
    pictures = shell.folder / "results" / "pictures"
    made = {path.relative_to(pictures).as_posix() for path in pictures.rglob("*.png")}
    expected = {f"{FOLDERS[at % 4]}p{at}_{style}.png" for at in range(12) for style in "st"}
    assert made == expected
    manifest = shell.folder / "results" / "manifest.csv"
    first = lines_of(manifest)

    assert "24 cached" in succeeded(shell.run(*command))
    assert lines_of(manifest) == first
    # The manifest is complete: it needs none of the options.
    again = ["results/manifest.csv", "--output", "results"]
    assert "24 cached" in succeeded(shell.run("run", *again))
    assert "24 done already" in succeeded(shell.run("plan", *again))
    assert "24 can run, 0 errors" in succeeded(shell.run("check", *again))

    for at, name in enumerate(("2022/a.png", "2024/p0.png", "zoe.png")):
        shell.picture(f"photos/{name}", 50 + at)
    assert "6 new, 24 done already" in succeeded(shell.run("plan", *command[1:]))
    shown = succeeded(shell.run(*command))
    assert "15 photographs x 2 styles: 30 rows, 6 new" in shown
    assert "6 done, 24 cached" in shown
    assert lines_of(manifest)[:25] == first
    assert len(lines_of(manifest)) == 31

    manifest.write_text(manifest.read_text("utf-8") + "a.png,b.png,,,,,\n")
    done = shell.run(*command)
    assert done.returncode == 2
    assert "results/manifest.csv: this manifest was edited, or comes from elsewhere" in done.stderr
    assert lines_of(manifest)[-1] == "a.png,b.png,,,,,"


@pytest.mark.nights
def test_a_sweep_is_a_grid_and_another_value_renames_nothing(shell: Shell) -> None:
    two = ["run", "photos/p0.png", "photos/2023/p1.png", *STYLES, "--output", "sweep", *QUICK]
    shown = succeeded(shell.run(*two, "--style-weight", "1,3,10"))
    assert "2 photographs x 2 styles x style-weight 1, 3, 10: 12 rows\n" in shown
    names = [row["output"] for row in rows_of(shell, "sweep")]
    assert names == [
        f"{content}_{style}_style-weight-{weight}.png"
        for content, style, weight in product(("p0", "p1"), "st", (1, 3, 10))
    ]
    weights = {row["output"]: float(row["style_weight"]) for row in rows_of(shell, "sweep")}
    assert weights["p1_t_style-weight-10.png"] == 10
    sheet = shell.folder / "sweep" / "contact_sheet.png"
    wide = Image.open(sheet).width

    shown = succeeded(shell.run(*two, "--style-weight", "1,3,0.3,10"))
    assert "4 done, 12 cached" in shown
    more = [row["output"] for row in rows_of(shell, "sweep")]
    assert more[:12] == names
    assert {name for name in more[12:] if "style-weight-0.3" not in name} == set()
    # There is another column, which is as wide as the others.
    assert (Image.open(sheet).width - 8) / (wide - 8) == pytest.approx(5 / 4)
