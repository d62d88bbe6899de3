"""`nst-batch preview`, as a user runs it."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from tests.browser.conftest import Opener
from tests.end_to_end.conftest import QUICK, Shell
from tests.pictures import write_csv

HEADER = ("content", "style", "style_weight")
ROWS = [
    (content, style, weight)
    for content in ("a.png", "b.png")
    for style in ("s.png", "t.png")
    for weight in (1, 3)
]


def table_of(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "summary.parquet").set_index("line")


@pytest.mark.nights
def test_a_few_rows_are_shown_in_a_folder_of_their_own(shell: Shell, opened: Opener) -> None:
    write_csv(shell.folder / "night.csv", HEADER, *ROWS)
    done = shell.run("preview", "night.csv", "--count", 2, "--side", 24, *QUICK)
    assert (done.returncode, done.stderr) == (0, "")
    assert "previews of 2 of 8 rows\n" in done.stdout
    assert "\n2 done; stylizing took" in done.stdout
    assert "6 more rows without a preview here; --all shows every row\n" in done.stdout
    assert not {"pending", "--only"} & {*re.findall(r"[-\w]+", done.stdout)}
    output = shell.folder / "night-preview"
    table = table_of(output)
    (first, second) = table.index[table["status"] == "done"]
    assert {ROWS[line - 2][1] for line in (first, second)} == {"s.png", "t.png"}
    assert {ROWS[line - 2][2] for line in (first, second)} == {1, 3}
    with Image.open(output / "pictures" / table.loc[first, "output"]) as picture:
        assert picture.size == (24, 18)
    page = opened(output / "gallery.html").page
    assert page.locator(".row").count() == 2
    assert "Previews of 2 of 8 rows." in page.locator(".lead").inner_text()
    assert "In full, all 8 rows would take about" in page.locator(".preview").inner_text()
    assert page.locator(f"#line-{first} .cost").inner_text().startswith("in full: 32 ")

    everything = shell.run("preview", "night.csv", "--all", "--side", 24, "--json", *QUICK)
    assert everything.returncode == 0, everything.stderr
    assert json.loads(everything.stdout)["counts"] == {"done": 6, "cached": 2}

    refused = shell.run("run", "night.csv", "-o", "night-preview", *QUICK)
    assert refused.returncode == 2
    assert "night-preview: found previews; expected a folder without them" in refused.stderr


def test_what_cannot_be_previewed_is_refused_before_any_work(shell: Shell) -> None:
    manifest = write_csv(shell.folder / "night.csv", HEADER, ("a.png", "s.png", "much"))
    for arguments, expected in (
        ((), "night.csv: every row has an error; `nst-batch check` lists them"),
        (("--all", "--only", "2"), "--all: found --only, too; remove one of the two"),
        (("--side", "8"), "--side"),
        (("--only", "9"), "found '9', but no row of the manifest begins in this line"),
    ):
        refused = shell.run("preview", manifest, *arguments)
        assert refused.returncode != 0
        assert expected in refused.stderr
    assert not (shell.folder / "night-preview").exists()
