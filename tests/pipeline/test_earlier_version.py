"""Output folders and caches of an earlier version are used as they are.

What a newer version may leave, after a return to this one, is neither misread nor removed.
"""

import json
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from flows.cli.commands.plan import plan
from flows.cli.exit_codes import ROWS_FAILED
from flows.cli.layout_options import Asked
from flows.cli.terminal import Terminal
from flows.stylize_manifest import stylize_manifest
from nst_core.transfer.presets import Overrides
from tasks.request import BatchRequest

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


def run(folder: Path, *, refresh: bool = False) -> pd.DataFrame:
    stylize_manifest(
        folder / "m.csv",
        folder / "night",
        Overrides.model_validate(SETTINGS),
        cache=folder / "cache",
        save_every=10,
        refresh=refresh,
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
    assert table[["style_score", "content_score"]].isna().all(axis=None)
    same: list[Any] = ["line", "picture", "same_as", "seed", "steps", "total_loss", "style_loss"]
    pd.testing.assert_frame_equal(table[same], old_table[same])


def test_old_style_targets_are_used_for_new_rows(finished: Path, computed: list[str]) -> None:
    with (finished / "m.csv").open("a") as manifest:
        manifest.write("clear.png,s.png,new,,,,,,\n")
    table = run(finished).set_index("line")
    assert table["status"].tolist() == ["cached"] * 5 + ["done"]
    assert computed == ["row"]
    assert table["content_score"].notna().tolist() == [False] * 5 + [True]


def make_newer(records: Path) -> dict[str, bytes]:
    """Turn records into those of a version with another format; return them by name."""
    for path in records.iterdir():
        envelope = json.loads(path.read_bytes())
        record = json.loads(envelope["result"]) | {
            "version": 2,
            "total_loss": "means something else",
        }
        path.write_text(json.dumps(envelope | {"result": json.dumps(record)}))
    return {path.name: path.read_bytes() for path in records.iterdir()}


def test_rows_that_a_newer_version_finished_are_left_as_they_are(
    finished: Path, computed: list[str]
) -> None:
    before, records = files_of(finished), finished / "night" / ".nst-batch" / "rows"
    newer = make_newer(records)
    table = run(finished)
    assert set(table["status"]) == {"failed"}
    for error in table["error"]:
        assert (
            "a newer version of nst-batch wrote this record (found format 2, expected at" in error
        )
        assert error.endswith("use that version, or repeat all rows with --refresh")
    assert computed == []
    assert files_of(finished) == before
    assert {path.name: path.read_bytes() for path in records.iterdir()} == newer
    # The newer version finds its records again.
    for name in newer:
        envelope = json.loads((records / name).read_bytes())
        assert json.loads(envelope["result"])["version"] == 2


def test_a_refresh_replaces_what_a_newer_version_finished(finished: Path) -> None:
    make_newer(finished / "night" / ".nst-batch" / "rows")
    table = run(finished, refresh=True)
    assert set(table["status"]) == {"done"}
    assert set(run(finished)["status"]) == {"cached"}


def test_style_targets_of_a_newer_version_are_computed_again(
    finished: Path, computed: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    make_newer(finished / "cache" / "styles" / "records")
    with (finished / "m.csv").open("a") as manifest:
        manifest.write("clear.png,s.png,new,,,,,,\n")
    table = run(finished).set_index("line")
    assert table["status"].tolist() == ["cached"] * 5 + ["done"]
    assert computed == ["style", "row"]
    (told,) = [text for text in caplog.messages if "a style is computed again" in text]
    assert "a newer version of nst-batch wrote this record" in told


def test_plan_says_which_rows_a_newer_version_finished(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_newer(finished / "night" / ".nst-batch" / "rows")
    request = BatchRequest(
        manifest=finished / "m.csv",
        output=finished / "night",
        settings=Overrides.model_validate(SETTINGS),
        cache=finished / "cache",
    )
    assert plan(Terminal(as_json=True), Asked(request)) == ROWS_FAILED
    planned = json.loads(capsys.readouterr().out)
    assert planned["counts"] == {"new": 0, "equal": 0, "done": 0, "invalid": 5}
    assert "a newer version of nst-batch" in planned["rows"][0]["why"]
