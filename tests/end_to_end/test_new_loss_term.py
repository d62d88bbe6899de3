"""A new term of the loss, added to a copy of the program in the two files that name the terms."""

import json
import shutil
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from tests.end_to_end.conftest import OWN_PACKAGES, Shell

ROOT = Path(__file__).parents[2]
FINISHED = ROOT / "tests" / "fixtures" / "finished-0.1.0.zip"
"""The results of version 0.1.0; `tests/pipeline/test_earlier_version.py` says how they came."""

SETTINGS = [
    *("--size", 32, "--steps", 10, "--octaves", 1, "--optimizer", "adam"),
    *("--style-layers", "relu1_1:1 relu2_1:0.5", "--content-layers", "relu2_1"),
]

WEIGHT = '    edge_weight: Weight = Field(0, description="weight of the edge loss")\n'
TENSOR = '    "edge": lambda seen: tf.reduce_mean(tf.abs(seen.pixels[1:] - seen.pixels[:-1])),\n'


def insert_after(line: str, new: str, path: Path) -> None:
    """Insert a line after the only line of a file that begins like this."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    (place,) = (number for number, text in enumerate(lines) if text.startswith(line))
    path.write_text("".join((*lines[: place + 1], new, *lines[place + 1 :])), encoding="utf-8")


@pytest.fixture
def shell(shell: Shell) -> Shell:
    """Return a shell with a program that has the new term, in a folder with results of 0.1.0."""
    code = shell.folder / "code"
    for package in OWN_PACKAGES:
        shutil.copytree(ROOT / package, code / package)
    transfer = code / "nst_core" / "transfer"
    insert_after("    tv_weight: Weight", WEIGHT, transfer / "settings.py")
    insert_after('    "tv": _variation', TENSOR, transfer / "losses" / "losses.py")
    with zipfile.ZipFile(FINISHED) as archive:
        archive.extractall(shell.folder)
    # Rows of 0.1.0 that do not name the weight, and one row that does.
    manifest = pd.read_csv(shell.folder / "m.csv", dtype=str)
    manifest.loc[len(manifest)] = {"content": "b.png", "style": "t.png", "output": "edgy"}
    manifest.loc[manifest["output"] == "edgy", "edge_weight"] = "0.3"
    manifest.to_csv(shell.folder / "m.csv", index=False)
    command = [sys.executable, "-P", "-m", "flows.cli.main"]
    return Shell(shell.folder, shell.environment | {"PYTHONPATH": str(code)}, command)


def run(shell: Shell) -> pd.DataFrame:
    done = shell.run("run", "m.csv", "-o", "night", "--cache", "cache", *SETTINGS)
    assert done.returncode == 0, done.stderr
    return pd.read_csv(shell.folder / "night" / "summary.csv").set_index("output")


@pytest.mark.nights
def test_a_new_term_is_computed_stored_and_shown_and_finished_rows_stay_finished(
    shell: Shell,
) -> None:
    night = shell.folder / "night"
    old_curve = (night / "losses" / "a_s.csv").read_text()
    table = run(shell)

    assert table.pop("status").tolist() == ["cached"] * 5 + ["done"]
    columns = list(table.columns)
    for kind in ("loss", "weight"):
        assert columns.index(f"edge_{kind}") == columns.index(f"tv_{kind}") + 1
    row = table.loc["edgy.png"]
    terms = ("content", "style", "tv", "edge")
    weighted = sum(row[f"{term}_weight"] * row[f"{term}_loss"] for term in terms)
    assert row["edge_loss"] > 0
    assert row["edge_weight"] == 0.3
    assert row["total_loss"] == pytest.approx(weighted, rel=1e-4)
    assert table["edge_loss"].isna().tolist() == [True] * 5 + [False]
    assert table["edge_weight"].tolist() == [0] * 5 + [0.3]

    header, *_, last = (night / "losses" / "edgy.csv").read_text().splitlines()
    assert header.endswith(",tv_loss,edge_loss")
    assert float(last.split(",")[-1]) == pytest.approx(row["edge_loss"], rel=0.05)
    assert (night / "losses" / "a_s.csv").read_text() == old_curve
    assert (night / "gallery.html").read_text().count("<dt>edge loss</dt>") == 1

    for name, has_line in (("edgy", True), ("a_s", False)):
        assert shell.run("plot", "night", name).returncode == 0
        plot = (night / "plots" / f"{name}.svg").read_text()
        assert ("<!-- edge loss -->" in plot) == has_line
        assert "<!-- smoothness loss -->" in plot

    (shown,) = json.loads(shell.run("show", "night/pictures/edgy.png", "--json").stdout)
    assert shown["provenance"]["edge_loss"] == pytest.approx(row["edge_loss"], rel=1e-4)
    assert shown["row"]["edge_weight"] == "0.3"

    again = run(shell)
    assert set(again["status"]) == {"cached"}
    assert again["edge_loss"].equals(table["edge_loss"])
