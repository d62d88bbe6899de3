"""The Markdown report in the Prefect UI, also as a Markdown library renders it."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from markdown_it import MarkdownIt

from tasks.report.markdown import MOST_LISTED, MOST_ROWS, SHOWN_COLUMNS, markdown_report, shown_rows
from tasks.report.saved_table import read_summary
from tasks.report.table import frame_of
from tasks.report.table_row import Table, TableRow
from tasks.report.write import BatchReport
from tasks.store.output_folder import OutputFolder
from tests.pictures import write_picture
from tests.tables import write_frame

HOSTILE = '"><script>alert(1)</script> |`*_[x](javascript:alert(2)) ![y](z) <b>&amp;\n# head'


def table(*rows: dict[str, Any]) -> Table:
    columns: dict[str, Any] = {
        "status": "done",
        "content": "a.png",
        "style": "s.png",
        "total_loss": 0.25,
        "seconds": 3.0,
        "steps": 60,
        "device": "CPU:0",
        "stop_reason": "steps",
        "style_targets": "hit",
        "term_losses": {"content": 1.0, "style": 0.1},
    }
    return Table(
        tuple(
            TableRow(
                **{
                    "line": number,
                    "output": f"{number}.png",
                    "picture": f"pictures/{number}.png",
                    **columns,
                    **row,
                }
            )
            for number, row in enumerate(rows, start=2)
        )
    )


def failed(error: str, **facts: Any) -> dict[str, Any]:
    nothing = dict.fromkeys(("picture", "total_loss", "seconds", "steps", "device"))
    return {**nothing, "status": "failed", "error": error, **facts}


def report_of(rows: Table, output: Path = Path("/nowhere"), **facts: Any) -> BatchReport:
    before = datetime(2026, 11, 23, tzinfo=UTC)
    defaults = {"title": "night.csv", "gone": (), "compared_with": before, "has_gallery": True}
    return BatchReport(output=OutputFolder(output), table=rows, **(defaults | facts))


def rendered(report: str) -> str:
    return MarkdownIt("commonmark", {"html": True}).enable("table").render(report)


def test_the_first_lines_show_results_and_failures() -> None:
    report = markdown_report(
        report_of(table({}, failed("MemoryError: no room"), {"status": "cached"}))
    )
    head = report.split("## ")
    assert head[0] == "# night.csv: 1 done, 1 cached, 1 failed\n\n"
    assert head[1].startswith("Not done, and why")
    assert "* line 3, failed, 3.png: MemoryError: no room\n" in head[1]
    long = "line 3, column content: " + "found 'x.png'; " * 30 + "the end"
    long_report = markdown_report(report_of(table({}, failed(long))))
    assert "the end\n" in long_report
    assert long_report.count("line 3") == 1
    assert "/nowhere/gallery.html" in report.replace("\\", "")
    without = markdown_report(report_of(table({}), has_gallery=False))
    assert "gallery.html" not in without.replace("\\", "")
    assert "/nowhere/summary.csv" in report.replace("\\", "")


def test_cache_hits_slowest_rows_and_highest_losses_are_shown() -> None:
    rows = [{"seconds": float(number), "total_loss": 1 / number} for number in range(1, 10)]
    cached = {"status": "cached", "seconds": 99.0, "total_loss": 0.01}
    computed = {"style_targets": "computed", "seconds": 0.5, "total_loss": 0.02}
    report = markdown_report(report_of(table(*rows, cached, computed)))
    assert "1 row was already done" in report
    assert "10 rows were stylized in 46 s" in report
    assert "those of 9 were in the cache" in report
    slowest = report.partition("## Slowest rows")[2].partition("##")[0]
    assert [line.split(" | ")[2] for line in slowest.splitlines()[4:9]] == list("98765")
    highest = report.partition("## Highest losses")[2].partition("##")[0]
    assert [line.split(" | ")[2] for line in highest.splitlines()[4:6]] == ["1", "0.5"]


def test_the_rows_with_the_lowest_scores_are_named_first() -> None:
    rows = [{"style_score": 0.9 + 0.001 * number, "content_score": 0.5} for number in range(10)]
    rows += [{"style_score": 0.95, "content_score": 0.1}, {"style_score": None}]
    part = markdown_report(report_of(table(*rows))).partition("## Look at these first")[2]
    lines = [line for line in part.partition("\n## ")[0].splitlines() if line.startswith("|")]
    assert lines[0] == "| line | picture | style score | content score |"
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| 2", "| 12", "| 3", "| 4", "| 5"]
    assert lines[3] == "| 12 | 12.png | 0.95 | 0.10 |"
    assert "The style score is 0 if" in part
    assert "Look at these first" not in markdown_report(report_of(table({})))


def test_changes_since_the_run_before_are_shown() -> None:
    rows = table(
        {"change": "new"},
        {"change": "moved", "previous_loss": 0.2},
        {"change": "changed", "previous_loss": 0.5},
        {"change": "same", "previous_loss": 0.25},
    )
    report = markdown_report(report_of(rows, gone=("old.png", "older.png")))
    part = report.partition("## Since the previous run")[2]
    assert "1 new, 1 changed, 1 moved, 2 gone" in part
    assert part.index("| 4.png | 0.5 | 0.25 | -50.0% |") < part.index("| 3.png | 0.2 | 0.25 |")
    assert "+25.0%" in part
    assert "Gone: old.png, older.png" in part
    assert "5.png | 0.25 | 0.25" not in part
    assert "Against" not in markdown_report(report_of(table({"change": "same"})))


def test_a_previous_loss_of_zero_gives_an_infinite_change() -> None:
    rows = table(
        {"change": "changed", "previous_loss": 0.0},
        {"change": "changed", "previous_loss": 0.0, "total_loss": 0.0},
    )
    report = markdown_report(report_of(rows))
    assert "| 2.png | 0 | 0.25 | +inf% |\n| 3.png | 0 | 0 | +0.0% |\n" in report


def test_rows_with_warnings_are_listed() -> None:
    report = markdown_report(report_of(table({}, {"warnings": "content: 97% of it | is <gone>"})))
    assert "## Done, with warnings" in report
    assert "content: 97% of it | is &lt;gone&gt;" in rendered(report)
    assert "with warnings" not in markdown_report(report_of(table({})))


def test_pictures_are_in_the_report_itself(tmp_path: Path) -> None:
    for number in (2, 3):
        write_picture(tmp_path / "pictures" / f"{number}.png", number)
    page = rendered(markdown_report(report_of(table({}, {}, {}), tmp_path)))
    assert page.count('<img src="data:image/jpeg;base64,') == 2


def test_names_and_errors_are_shown_as_text() -> None:
    rows = table({"output": HOSTILE}, failed(HOSTILE, output=HOSTILE))
    page = rendered(markdown_report(report_of(rows, title=HOSTILE, gone=(HOSTILE,))))
    for tag in ("<script", "<b>", "<a ", "<img", 'javascript:alert(2)"', "<em>", "<code>"):
        assert tag not in page
    assert page.count("<h1>") == 1
    text = "&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt; |`*_[x](javascript:alert(2)) ![y](z)"
    assert page.count(text) >= 5


def test_thousands_of_rows_are_cut_and_unfinished_ones_come_first() -> None:
    many = [{} for _ in range(3 * MOST_ROWS)]
    rows = table(*many, *(failed("why") for _ in range(MOST_LISTED + 3)), {"status": "pending"})
    shown = shown_rows(rows)
    assert len(shown) == MOST_ROWS
    assert [row["status"] for row in shown[: MOST_LISTED + 4]] == [
        *["failed"] * (MOST_LISTED + 3),
        "pending",
    ]
    assert shown[0]["line"] == 3 * MOST_ROWS + 2
    report = markdown_report(report_of(rows))
    assert "... and 4 more in the table" in report
    assert len(report) < 20_000


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([float("nan")], dtype="float64"),
        pd.Series([None], dtype="object"),
        pd.Series([pd.NA], dtype="Float64"),
    ],
)
def test_rows_for_the_page_are_plain_and_short(tmp_path: Path, column: Any) -> None:
    frame = frame_of(table({"total_loss": 0.123456789, "steps": 60}))
    write_frame(frame.assign(previous_loss=column), tmp_path)
    (row,) = shown_rows(read_summary(OutputFolder(tmp_path)))
    assert row["total_loss"] == 0.1235
    assert row["previous_loss"] == ""
    assert tuple(row) == SHOWN_COLUMNS
    assert {type(cell) for cell in row.values()} <= {int, float, str}


def test_rows_that_are_left_are_counted_with_the_time_that_they_take() -> None:
    one = table({}, {"status": "pending", "picture": None, "error": "the time was up"})
    assert "The time was up" not in markdown_report(report_of(one))
    left = markdown_report(report_of(replace(one, seconds_left=7440.0)))
    assert "The time was up: 1 row is left, which would take about 2 h 4 min.\n" in left
    assert "line 3, pending, 3.png: the time was up" in left
    both = Table((*one.rows, *one.rows), seconds_left=1.0)
    assert "The time was up: 2 rows are left" in markdown_report(report_of(both))
