"""Warnings of rows that are done: their causes, and records and tables with and without them."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flows.cli.results import show_warnings
from flows.cli.terminal import Terminal
from nst_core.images.read import PictureFacts
from nst_core.transfer.presets import PRESETS, Overrides
from nst_core.transfer.warnings import warnings_of_losses, warnings_of_pictures
from tasks.intake.manifest import read_manifest
from tasks.report.comparison import COMPARED, compare
from tasks.report.saved_table import read_summary
from tasks.report.table import frame_of, summarize
from tasks.report.table_row import Table, TableRow
from tasks.store.output_folder import OutputFolder
from tasks.store.records import PictureRecord
from tasks.store.statuses import RowResult
from tests.finished_rows import record_of
from tests.pictures import write_csv
from tests.tables import write_frame

SETTINGS = PRESETS["standard"]
FACTS = PictureFacts(60, 40, "PNG", "0" * 64)


def outcome(total: float = 0.5, start: float = 1.0, relative: float = 0.2) -> Any:
    """Return a stand-in for `Outcome`, whose own module would load TensorFlow."""
    return SimpleNamespace(
        losses=SimpleNamespace(total=total, style_layers={"relu1_1": relative}),
        start_losses=SimpleNamespace(total=start),
    )


def test_ordinary_rows_have_no_warning() -> None:
    assert list(warnings_of_pictures(FACTS, [("style", FACTS)])) == []
    odd = replace(FACTS, warnings=("its end is missing",))
    assert list(warnings_of_pictures(FACTS, [("style", FACTS)], {"init": odd})) == [
        "init: its end is missing"
    ]
    hidden = [("style", replace(FACTS, hidden=0.99))]
    assert list(warnings_of_pictures(replace(FACTS, hidden=0.5), hidden)) == []
    assert list(warnings_of_losses(outcome(), SETTINGS)) == []
    assert list(warnings_of_losses(outcome(total=1.2, relative=30), SETTINGS)) == []


@pytest.mark.parametrize(
    ("content", "style", "found"),
    [
        ({"hidden": 1.0, "is_flat": True}, {}, "content: it is completely transparent"),
        ({"hidden": 0.97}, {}, "content: 97% of it is transparent"),
        ({}, {"is_flat": True}, "style: it has just one color"),
        ({"warnings": ("its end is gone",)}, {}, "content: its end is gone"),
        ({}, {"warnings": ("its profile is ignored",)}, "style: its profile is ignored"),
    ],
)
def test_odd_pictures_give_a_warning(
    content: dict[str, object], style: dict[str, object], found: str
) -> None:
    (warning,) = warnings_of_pictures(
        PictureFacts(60, 40, "PNG", "0", **content),
        [("style", PictureFacts(60, 40, "PNG", "0", **style))],
    )
    assert warning.startswith(found)


@pytest.mark.parametrize(
    ("ended", "found"),
    [
        (outcome(total=3e27, start=4e26, relative=1e27), "relu1_1 has a relative loss of 1e.27"),
        (outcome(total=50, start=2), "total of 50 is far above that of the starting picture, 2"),
        (outcome(total=math.inf), "not finite"),
        (outcome(relative=math.nan), "not finite"),
    ],
)
def test_absurd_losses_give_a_warning(ended: Any, found: str) -> None:
    (warning,) = warnings_of_losses(ended, SETTINGS)
    assert re.search(found, warning)


@pytest.mark.parametrize("changed", [{"color": "content"}, {"strength": 0.5}])
def test_a_picture_that_is_changed_in_the_end_may_have_a_higher_loss(
    changed: dict[str, Any],
) -> None:
    assert (
        list(warnings_of_losses(outcome(total=50, start=2), SETTINGS.model_copy(update=changed)))
        == []
    )
    assert list(warnings_of_losses(outcome(total=math.inf), SETTINGS.model_copy(update=changed)))


def test_a_record_keeps_warnings_and_one_of_an_earlier_version_has_none(tmp_path: Path) -> None:
    record = record_of("a", "a.png", tmp_path).model_copy(update={"warnings": ("odd", "odder")})
    text = record.model_dump_json()
    assert PictureRecord.model_validate_json(text).warnings == ("odd", "odder")
    earlier = json.dumps(
        {name: value for name, value in json.loads(text).items() if name != "warnings"}
    )
    assert PictureRecord.model_validate_json(earlier).warnings == ()


def test_a_table_of_an_earlier_version_has_no_warnings_and_is_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = TableRow(line=2, output="a.png", key="k", status="done", total_loss=0.5)
    write_frame(frame_of(Table((row,))).drop(columns="warnings"), tmp_path)
    earlier = read_summary(OutputFolder(tmp_path), COMPARED)
    now = Table((replace(row, warnings="content: odd"),))
    assert [row.change for row in compare(now, earlier).rows] == ["same"]
    assert earlier.with_warnings == ()
    show_warnings(Terminal(), earlier)
    show_warnings(Terminal(), now)
    assert capsys.readouterr().out == "warning: line 2, a.png: content: odd\n"


def test_the_table_has_the_warnings_of_each_record(tmp_path: Path) -> None:
    manifest = write_csv(tmp_path / "m.csv", ("content", "style"), ("a.png", "s"), ("b.png", "s"))
    record = record_of("a", "a.png", tmp_path).model_copy(update={"warnings": ("odd", "odder")})
    results = {2: RowResult("done", record, "hit"), 3: RowResult("failed", error="why")}
    table = summarize(read_manifest(manifest, Overrides()), results)
    assert [row.warnings for row in table.rows] == ["odd; odder", ""]
    assert [row.line for row in table.with_warnings] == [2]
