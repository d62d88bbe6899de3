"""Output folders and caches of an earlier version are used as they are."""

import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from flows.stylize_manifest import stylize_manifest
from nst_core.transfer.settings import Overrides

FINISHED = Path(__file__).parent.parent / "fixtures" / "finished-0.1.0.zip"
"""Pictures, `m.csv`, `night` and `cache`, as version 0.1.0 left them after `nst-batch run m.csv
-o night --cache cache --save-every 10` with these settings."""

SETTINGS = {
    "size": 32,
    "steps": 10,
    "octaves": 1,
    "optimizer": "adam",
    "style_layers": "relu1_1:1 relu2_1:0.5",
    "content_layers": "relu2_1",
}


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """Return the folder of these files, which is not the folder that they were made in."""
    with zipfile.ZipFile(FINISHED) as archive:
        archive.extractall(tmp_path)
    return tmp_path


def run(folder: Path) -> pd.DataFrame:
    stylize_manifest(
        folder / "m.csv",
        folder / "night",
        Overrides.model_validate(SETTINGS),
        cache=folder / "cache",
        save_every=10,
        return_state=True,
    )
    return pd.read_csv(folder / "night" / "summary.csv")


def files_of(folder: Path) -> dict[str, bytes]:
    folders = ("night/pictures", "night/losses", "night/intermediates", "cache/styles/targets")
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for each in folders
        for path in (folder / each).rglob("*")
        if path.is_file()
    }


def test_every_row_is_cached_and_no_file_changes(finished: Path, computed: list[str]) -> None:
    before, old_table = files_of(finished), pd.read_csv(finished / "night" / "summary.csv")
    records = sorted(path.name for path in (finished / "night" / ".nst-batch" / "rows").iterdir())
    table = run(finished)
    assert set(table["status"]) == {"cached"}
    assert computed == []
    assert files_of(finished) == before
    assert len(before) == 5 + 5 + 8 + 3
    left = sorted(path.name for path in (finished / "night" / ".nst-batch" / "rows").iterdir())
    assert left == records
    same: list[Any] = ["line", "picture", "same_as", "seed", "steps", "total_loss", "style_loss"]
    pd.testing.assert_frame_equal(table[same], old_table[same])


def test_old_style_targets_are_used_for_new_rows(finished: Path, computed: list[str]) -> None:
    with (finished / "m.csv").open("a") as manifest:
        manifest.write("clear.png,s.png,new,,,,,,\n")
    table = run(finished).set_index("line")
    assert table["status"].tolist() == ["cached"] * 5 + ["done"]
    assert computed == ["row"]
