"""Comparison of a table with the one before it."""

from pathlib import Path
from typing import Any

import pytest

from tasks.report.comparison import COMPARED, compare, gone
from tasks.report.saved_table import MissingColumnError, read_summary
from tasks.report.table import frame_of
from tasks.report.table_row import Table, TableRow
from tasks.store.output_folder import OutputFolder
from tests.tables import write_frame

SAME = {"line": 2, "output": "a.png", "status": "done", "key": "k", "total_loss": 0.5}


def table(*rows: dict[str, Any]) -> Table:
    return Table(tuple(TableRow(**row) for row in rows))


def changes(table: Table) -> list[str]:
    return [row.change for row in table.rows]


@pytest.mark.parametrize(
    ("then", "now", "change"),
    [
        ({}, {"status": "cached"}, "same"),
        ({}, {"status": "cached", "total_loss": 0.5001}, "same"),
        ({}, {"total_loss": 0.6}, "moved"),
        ({}, {"total_loss": 0.4}, "moved"),
        ({}, {"key": "other"}, "changed"),
        ({}, {"key": "other", "total_loss": 0.6}, "changed"),
        ({}, {"status": "failed", "key": None, "total_loss": None}, "broken"),
        ({}, {"status": "invalid", "key": None, "total_loss": None}, "broken"),
        ({}, {"status": "interrupted", "key": None, "total_loss": None}, "same"),
        ({"status": "failed", "key": None, "total_loss": None}, {}, "mended"),
        ({"status": "invalid", "key": None, "total_loss": None}, {}, "mended"),
        ({"status": "pending", "key": None, "total_loss": None}, {}, "new"),
        ({"status": "interrupted", "key": None, "total_loss": None}, {}, "new"),
        ({"status": "failed"}, {"status": "failed"}, "same"),
        ({"output": "b.png"}, {}, "new"),
        ({}, {"output": "", "status": "invalid"}, ""),
    ],
)
def test_the_change_of_a_row_is_named(
    then: dict[str, Any], now: dict[str, Any], change: str
) -> None:
    compared = compare(table(SAME | now), table(SAME | then))
    assert changes(compared) == [change]


def test_the_table_has_the_previous_loss_and_the_new_one() -> None:
    earlier = table(SAME, SAME | {"output": "b.png", "total_loss": 0.25})
    now = table(SAME | {"output": "b.png"}, SAME | {"output": "c.png"}, SAME)
    compared = compare(now, earlier)
    assert [row.previous_loss for row in compared.rows] == [0.25, None, 0.5]
    assert [row.total_loss for row in compared.rows] == [0.5, 0.5, 0.5]


def test_without_an_earlier_table_there_are_no_changes() -> None:
    compared = compare(table(SAME), None)
    assert changes(compared) == [""]
    assert [row.previous_loss for row in compared.rows] == [None]
    assert gone(compared, None) == []


def test_gone_outputs_keep_their_earlier_order() -> None:
    earlier = table(*(SAME | {"output": f"{name}.png"} for name in "dabc"), SAME | {"output": ""})
    assert gone(table(SAME | {"output": "b.png"}), earlier) == ["d.png", "a.png", "c.png"]


def test_the_first_of_two_rows_with_one_output_counts() -> None:
    second = {"status": "invalid", "key": None, "total_loss": None}
    earlier = table(SAME, SAME | second)
    assert changes(compare(table(SAME), earlier)) == ["same"]


@pytest.mark.parametrize("column", COMPARED)
def test_a_table_of_an_older_version_cannot_be_compared(tmp_path: Path, column: str) -> None:
    frame = frame_of(table(SAME))
    write_frame(frame, tmp_path)
    assert changes(compare(table(SAME), read_summary(OutputFolder(tmp_path), COMPARED))) == ["same"]
    write_frame(frame.drop(columns=column), tmp_path)
    with pytest.raises(MissingColumnError, match=f"found no column {column}"):
        read_summary(OutputFolder(tmp_path), COMPARED)


def test_a_table_without_newer_columns_can_be_compared(tmp_path: Path) -> None:
    newer = ["warnings", "change", "previous_loss"]
    write_frame(frame_of(table(SAME)).drop(columns=newer), tmp_path)
    compared = compare(
        table(SAME | {"total_loss": 0.6}), read_summary(OutputFolder(tmp_path), COMPARED)
    )
    assert changes(compared) == ["moved"]
    assert [row.previous_loss for row in compared.rows] == [0.5]
