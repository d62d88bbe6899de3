"""The table as CSV: spreadsheets run none of its cells, and every text can be had back."""

import csv
import io
import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.intake.manifest import read_manifest
from tasks.report.table import read_summary, summarize, summary_csv, write_summary
from tasks.store.csv_cells import FORMULA_STARTS, escape_formula, unescape_formula
from tasks.store.statuses import PENDING, RowResult
from tests.fuzzing import fuzz
from tests.pictures import write_csv

CHARACTERS = st.characters(exclude_categories=["Cs"])
TEXTS = st.text(CHARACTERS) | st.builds(
    str.__add__,
    st.sampled_from([*FORMULA_STARTS, "''", "'=", "\r\n", '"', ","]),
    st.text(CHARACTERS),
)


def cells_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


@pytest.mark.parametrize(
    "text",
    [
        '=HYPERLINK("http://example.com","x")',
        *("+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1", "-night.png"),
    ],
)
def test_what_a_spreadsheet_would_run_is_a_text(text: str) -> None:
    ((_, _), (cell, loss)) = cells_of(summary_csv(pd.DataFrame({"style": [text], "loss": [-0.5]})))
    assert cell == f"'{text}"
    assert unescape_formula(cell) == text
    assert loss == "-0.5"


@pytest.mark.parametrize("text", ["a.png", "it's.png", "a=b.png", " x", "pictures/-1.png"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert escape_formula(text) == text


@fuzz(200)
@given(st.lists(st.tuples(TEXTS, st.none() | TEXTS, st.integers(-9, 9)), min_size=1, max_size=5))
def test_every_text_can_be_had_back(rows: list[tuple[str, str | None, int]]) -> None:
    table = pd.DataFrame(rows, columns=["content", "error", "loss"])
    table["loss"] = table["loss"] / 4
    table["steps"] = pd.array([None] * len(rows), dtype="Int64")
    header, *found = cells_of(summary_csv(table))
    assert header == ["content", "error", "loss", "steps"]
    assert len(found) == len(rows)
    for (content, error, loss), cells in zip(rows, found, strict=True):
        for cell, text in zip(cells[:2], (content, error or ""), strict=True):
            assert unescape_formula(cell) == text
            assert not cell.startswith(tuple("=+-@\t\r"))
        assert (float(cells[2]), cells[3]) == (loss / 4, "")


def test_whole_numbers_stay_whole_beside_rows_that_have_none(tmp_path: Path) -> None:
    rows = read_manifest(
        write_csv(tmp_path / "m.csv", ("content", "style", "size"), ("a", "s", 96), ("b", "s", -1))
    )
    results = {2: PENDING, 3: RowResult("invalid", error="wrong")}
    table = summarize(rows, results)
    for name in ("size", "steps", "octaves", "best_of_every", "width", "seed"):
        assert table[name].dtype == "Int64"
    (pending, invalid) = json.loads(table.to_json(orient="records"))
    assert isinstance(pending["size"], int)
    assert invalid["size"] is None
    header, first, _ = cells_of(summary_csv(table))
    assert first[header.index("size")] == "96"
    write_summary(table, tmp_path)
    assert read_summary(tmp_path)["size"].dtype == "Int64"
