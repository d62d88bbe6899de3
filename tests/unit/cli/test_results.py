"""The output of `nst-batch run`, which is made from a table."""

from pathlib import Path

import pytest

from flows.cli.results import (
    MOST_SHOWN,
    SHOWN_ROWS,
    result_of,
    rows_for_people,
    show_best_so_far,
    show_counts,
    show_left,
    show_rows,
    show_wrong,
)
from flows.cli.terminal import Terminal
from tasks.report.table_row import Table, TableRow
from tasks.store.output_folder import OutputFolder
from tasks.store.statuses import Status


def row(line: int, status: Status, **facts: object) -> TableRow:
    return TableRow(line=line, status=status, output=f"{line}.png", **facts)


DONE = {
    "total_loss": 0.123456,
    "term_losses": {"content": 1.5, "style": 0.1},
    "steps": 60,
    "seconds": 2.25,
}
SCORES = {"style_score": 0.915, "content_score": -0.004}
MIXED = Table(
    (
        row(2, "done", picture="pictures/2.png", **SCORES, **DONE),
        row(3, "done", picture="pictures/3.png", same_as=2, **DONE),
        row(4, "failed", content="../photos/a.png", style="s.png", error="MemoryError: no room"),
        row(5, "invalid", content="b.png", style="s.png", error="line 5, column size: found 'x'"),
    )
)


def test_a_pipe_gets_the_rows_that_are_not_done_first_and_all_of_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_rows(Terminal(), MIXED)
    header, *lines = (line.split("\t") for line in capsys.readouterr().out.splitlines())
    assert header == [
        *("line", "status", "picture", "loss", "content", "style", "steps", "seconds"),
        *("style score", "content score"),
    ]
    assert lines == [
        ["4", "failed", "a.png x s.png", *[""] * 7],
        ["5", "invalid", "b.png x s.png", *[""] * 7],
        ["2", "done", "pictures/2.png", "0.1235", "1.5", "0.1", "60", "2.2", "0.92", "0.00"],
        ["3", "done", "pictures/3.png", "0.1235", "1.5", "0.1", "60", "2.2", "", ""],
    ]
    many = [row(line, "cached") for line in range(SHOWN_ROWS + 5)]
    wrong = [row(line, "failed") for line in range(100, 100 + SHOWN_ROWS + 1)]
    show_rows(Terminal(), Table((*many, *wrong)))
    _, *lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 * SHOWN_ROWS + 1 + 1
    assert lines[-1] == "... and 5 more rows in the table"


def test_copies_take_no_time_and_each_error_is_shown_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_counts(Terminal(), MIXED)
    show_counts(Terminal(), Table((row(2, "cached", **DONE),)))
    show_wrong(Terminal(), MIXED)
    assert capsys.readouterr().out.splitlines() == [
        "2 done, 1 failed, 1 invalid; stylizing took 2 s",
        "1 cached",
        "failed: line 4, MemoryError: no room",
        "invalid: line 5, column size: found 'x'",
    ]
    same = [row(line, "invalid", error=f"line {line}, column style: no") for line in (2, 3, 9)]
    show_wrong(Terminal(), Table((*same, *MIXED.rows)))
    assert capsys.readouterr().out.splitlines()[0] == (
        "invalid: line 2 and 2 more rows, column style: no"
    )


def test_a_person_sees_pictures_and_what_varies_instead_of_losses() -> None:
    known = {"encoder": "compact", "size": 512, "seconds": 75.0, "steps": 9}
    rows = [
        row(
            *(line, "done"),
            **known,
            content=f"../photos/{photo}.jpg",
            style="../a.png; styles/b",
            term_weights={"style": weight, "content": 1.0},
        )
        for line, (photo, weight) in enumerate((("x", 1.0), ("y", 1.0), ("x", 3.0)), start=2)
    ]
    invalid = row(9, "invalid", content="../photos/bad.jpg", style="../a.png")
    shown = rows_for_people(rows, Table((*rows, invalid)), 80)
    assert shown[2] == {
        "line": 4,
        "photograph": "x.jpg",
        "style": "a.png; b",
        "style weight": "3",
        "status": "done",
        "time": "1 min 15 s",
    }
    narrow = rows_for_people(rows, Table((*rows, invalid)), 40)
    assert [*narrow[0]] == ["line", "photograph", "style", "status"]
    another = row(10, "done", content="other/x.jpg", style="../a.png")
    both = rows_for_people([rows[0], another], Table((*rows, another)))
    assert [each["photograph"] for each in both] == ["../photos/x.jpg", "other/x.jpg"]
    beside = row(10, "done", content="../photos/2024/X.JPEG", style="../a.png")
    both = rows_for_people([rows[0], beside], Table((rows[0], beside)))
    assert [each["photograph"] for each in both] == ["x.jpg", "2024/X.JPEG"]


def test_settings_that_nobody_chose_have_no_column() -> None:
    rows = [
        row(line, "done", encoder="compact", color=color, match_colors=color == "match", seed=line)
        for line, color in enumerate(("match", "style"), start=2)
    ]
    assert [*rows_for_people(rows, Table((*rows,)), 80)[0]] == [
        *("line", "photograph", "style", "color", "status", "time")
    ]


def test_a_wide_terminal_shows_scores_if_there_are_any() -> None:
    plain, scored = row(2, "done", **DONE), row(3, "done", **SCORES, **DONE)
    table = Table((plain, scored))
    wide = rows_for_people(table.rows, table, 100)
    assert wide[1]["style score"] == "0.92"
    assert wide[1]["content score"] == "0.00"
    assert wide[0]["style score"] == ""
    assert [*wide[1]][-4:] == ["style score", "content score", "status", "time"]
    assert not {"style score", "content score"} & {*rows_for_people(table.rows, table, 99)[1]}
    assert "style score" not in rows_for_people([plain], Table((plain,)), 200)[0]


def test_the_best_pictures_so_far_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    stopped = [
        row(line, "interrupted", picture=f"interrupted/{line}.png")
        for line in range(2, 2 + MOST_SHOWN + 3)
    ]
    others = (row(90, "interrupted"), row(91, "done", picture="pictures/91.png"))
    show_best_so_far(Terminal(), Table((*others, *stopped)), OutputFolder(Path("out")))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "best so far: out/interrupted/2.png"
    assert len(lines) == MOST_SHOWN + 1
    assert lines[-1] == "... and 3 more in the same place"


def test_rows_that_are_left_are_counted_with_their_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_left(Terminal(), MIXED)
    assert capsys.readouterr().err == ""
    left = (row(6, "interrupted"), row(7, "pending"), row(8, "pending"))
    table = Table((*MIXED.rows, *left), seconds_left=7260.04)
    assert result_of(table, OutputFolder(Path("out")), has_gallery=False)["left"] == {
        "rows": 3,
        "seconds": 7260.0,
    }
    show_left(Terminal(), table)
    assert capsys.readouterr().err == (
        "the time was up: 3 rows are left, which would take about 2 h 1 min; rerun the same "
        "command to resume\n"
    )


def test_the_result_as_json_has_counts_files_and_rows() -> None:
    result = result_of(MIXED, OutputFolder(Path("out")), has_gallery=False, replaced=3)
    assert result["replaced"] == 3
    assert list(result) == ["counts", "left", "replaced", "summary", "gallery", "rows"]
    assert result["left"] is None
    assert result["counts"] == {"done": 2, "failed": 1, "invalid": 1}
    assert (result["summary"], result["gallery"]) == ("out/summary.csv", None)
    assert [row["same_as"] for row in result["rows"]] == [None, 2, None, None]
    assert (
        result_of(MIXED, OutputFolder(Path("out")), has_gallery=True)["gallery"]
        == "out/gallery.html"
    )
