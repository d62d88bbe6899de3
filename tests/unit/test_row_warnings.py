"""Warnings of rows that are done: when there are any, and that records and old tables bear them."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from flows.cli.commands.run import _show_warnings
from flows.cli.terminal import Terminal
from nst_core.images.pictures import PictureFacts
from nst_core.transfer.settings import Overrides
from nst_core.transfer.warnings import warnings_of_losses, warnings_of_pictures
from tasks.intake.manifest import read_manifest
from tasks.report.comparison import compare, is_comparable
from tasks.report.table import summarize, with_warnings
from tasks.store.records import PictureRecord
from tasks.store.statuses import RowResult
from tests.finished_rows import record_of
from tests.pictures import write_csv

FACTS = PictureFacts(60, 40, "PNG", "0" * 64)


def outcome(total: float = 0.5, start: float = 1.0, relative: float = 0.2) -> Any:
    """As much of an `Outcome` as is looked at: its own module loads TensorFlow."""
    return SimpleNamespace(
        losses=SimpleNamespace(total=total, style_layers={"relu1_1": relative}),
        start_losses=SimpleNamespace(total=start),
    )


def test_ordinary_rows_have_no_warning() -> None:
    assert list(warnings_of_pictures(FACTS, FACTS)) == []
    assert list(warnings_of_pictures(replace(FACTS, hidden=0.5), replace(FACTS, hidden=0.99))) == []
    assert list(warnings_of_losses(outcome())) == []
    assert list(warnings_of_losses(outcome(total=1.2, relative=30))) == []


@pytest.mark.parametrize(
    ("content", "style", "found"),
    [
        ({"hidden": 1.0, "is_flat": True}, {}, "content: it is transparent all over"),
        ({"hidden": 0.97}, {}, "content: 97% of it is transparent"),
        ({}, {"is_flat": True}, "style: it has just one color"),
        ({"warnings": ("its end is gone",)}, {}, "content: its end is gone"),
        ({}, {"warnings": ("its profile is ignored",)}, "style: its profile is ignored"),
    ],
)
def test_odd_pictures_are_told(
    content: dict[str, object], style: dict[str, object], found: str
) -> None:
    (warning,) = warnings_of_pictures(
        PictureFacts(60, 40, "PNG", "0", **content), PictureFacts(60, 40, "PNG", "0", **style)
    )
    assert warning.startswith(found)


@pytest.mark.parametrize(
    ("ended", "found"),
    [
        (outcome(total=3e27, start=4e26, relative=1e27), "relu1_1 has a relative loss of 1e.27"),
        (outcome(total=50, start=2), "total of 50 is far above the 2 of the start"),
        (outcome(total=math.inf), "not finite"),
        (outcome(relative=math.nan), "not finite"),
    ],
)
def test_absurd_losses_are_told(ended: Any, found: str) -> None:
    (warning,) = warnings_of_losses(ended)
    assert re.search(found, warning)


def test_a_record_keeps_warnings_and_one_of_an_earlier_version_has_none(tmp_path: Path) -> None:
    record = record_of("a", "a.png", tmp_path).model_copy(update={"warnings": ("odd", "odder")})
    kept = record.model_dump_json()
    assert PictureRecord.model_validate_json(kept).warnings == ("odd", "odder")
    earlier = json.dumps(
        {name: said for name, said in json.loads(kept).items() if name != "warnings"}
    )
    assert PictureRecord.model_validate_json(earlier).warnings == ()


def test_a_table_of_an_earlier_version_has_no_warnings_and_is_compared(
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = {
        "line": 2,
        "output": "a.png",
        "key": "k",
        "status": "done",
        "picture": "pictures/a.png",
    }
    earlier = pd.DataFrame([{**names, "total_loss": 0.5}])
    now = earlier.assign(warnings="content: odd")
    assert is_comparable(earlier)
    assert list(compare(now, earlier)["change"]) == ["same"]
    assert with_warnings(earlier).empty
    _show_warnings(Terminal(), earlier)
    _show_warnings(Terminal(), now)
    assert capsys.readouterr().out == "warning: line 2, a.png: content: odd\n"


def test_the_table_has_the_warnings_of_each_record(tmp_path: Path) -> None:
    manifest = write_csv(tmp_path / "m.csv", ("content", "style"), ("a.png", "s"), ("b.png", "s"))
    record = record_of("a", "a.png", tmp_path).model_copy(update={"warnings": ("odd", "odder")})
    results = {2: RowResult("done", record, "hit"), 3: RowResult("failed", error="why")}
    table = summarize(read_manifest(manifest, Overrides()), results)
    assert list(table["warnings"]) == ["odd; odder", ""]
    assert list(with_warnings(table)["line"]) == [2]
