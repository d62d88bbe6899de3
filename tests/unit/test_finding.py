"""Rows of a finished batch, as users name them."""

from pathlib import Path

import pandas as pd
import pytest

from tasks.report.finding import NEEDED, NoResultsError, find_row, table_of
from tasks.report.table import write_summary


def table() -> pd.DataFrame:
    other = dict.fromkeys(NEEDED, "")
    outputs = ["a.png", "deep/b.png", "3.png"]
    return pd.DataFrame(
        [other | {"line": 2 + number, "output": name} for number, name in enumerate(outputs)]
    )


@pytest.mark.parametrize(
    ("named", "line"),
    [("2", 2), ("a", 2), ("a.png", 2), ("deep/b", 3), ("3", 3), ("3.png", 4), ("4", 4)],
)
def test_by_line_or_by_output(named: str, line: int) -> None:
    assert find_row(table(), Path("out"), named)["line"] == line


@pytest.mark.parametrize("named", ["5", "b", "", "9" * 5000])
def test_what_is_not_there_is_told_with_what_is(named: str) -> None:
    with pytest.raises(NoResultsError, match=r"out: no row .*, 2 to 4, or an output; .*\.png'"):
        find_row(table(), Path("out"), named)


def test_a_table_of_another_version_is_told(tmp_path: Path) -> None:
    write_summary(table().drop(columns="output"), tmp_path)
    with pytest.raises(NoResultsError, match=r"found no column output.*run the batch once more"):
        table_of(tmp_path)
    assert len(pd.read_csv(tmp_path / "summary.csv")) == 3
