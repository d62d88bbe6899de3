"""Rows of a finished batch, as users name them."""

from pathlib import Path

import pytest

from tasks.report.finding import NEEDED, NoResultsError, find_row, table_of
from tasks.report.table import frame_of
from tasks.report.table_row import Table, TableRow
from tasks.store.output_folder import OutputFolder
from tests.tables import write_frame


def table() -> Table:
    outputs = ["a.png", "deep/b.png", "3.png"]
    return Table(
        tuple(
            TableRow(line=line, status="done", output=name)
            for line, name in enumerate(outputs, start=2)
        )
    )


@pytest.mark.parametrize(
    ("named", "line"),
    [("2", 2), ("a", 2), ("a.png", 2), ("deep/b", 3), ("3", 3), ("3.png", 4), ("4", 4)],
)
def test_a_row_is_found_by_line_or_by_output(named: str, line: int) -> None:
    assert find_row(table(), OutputFolder(Path("out")), named).line == line


@pytest.mark.parametrize("named", ["5", "b", "", "9" * 5000])
def test_a_missing_row_is_reported_with_the_existing_ones(named: str) -> None:
    with pytest.raises(NoResultsError, match=r"out: no row .*, 2 to 4, or an output; .*\.png'"):
        find_row(table(), OutputFolder(Path("out")), named)


def test_a_table_without_rows_is_reported() -> None:
    with pytest.raises(NoResultsError, match=r"out: no row '2'; found a table without rows"):
        find_row(Table(()), OutputFolder(Path("out")), "2")


@pytest.mark.parametrize("column", NEEDED)
def test_a_table_of_another_version_is_reported(tmp_path: Path, column: str) -> None:
    write_frame(frame_of(table()).drop(columns=column), tmp_path)
    wrong = rf"summary\.parquet: found no column {column}, as in .*; run the batch again, which"
    with pytest.raises(NoResultsError, match=wrong):
        table_of(OutputFolder(tmp_path))


def test_the_first_of_several_missing_columns_is_reported(tmp_path: Path) -> None:
    write_frame(frame_of(table()).drop(columns=["curve", "output", "key"]), tmp_path)
    with pytest.raises(NoResultsError, match="found no column output"):
        table_of(OutputFolder(tmp_path))


def test_a_table_with_only_the_needed_columns_is_read(tmp_path: Path) -> None:
    write_frame(frame_of(table())[list(NEEDED)], tmp_path)
    assert table_of(OutputFolder(tmp_path)).rows == table().rows


@pytest.mark.parametrize("data", [None, b"no table"])
def test_a_folder_without_a_table_is_reported(tmp_path: Path, data: bytes | None) -> None:
    if data:
        (tmp_path / "summary.parquet").write_bytes(data)
    with pytest.raises(NoResultsError, match=r"found no summary\.parquet; expected the output"):
        table_of(OutputFolder(tmp_path))
