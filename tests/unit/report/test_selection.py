"""The rows that `--only` asks for: its grammar, and their lookup in the last table."""

from pathlib import Path

import pytest

from nst_core.transfer.settings import Settings
from tasks.report.selection import (
    EVERY_ROW,
    OnlyError,
    Selection,
    check_lines,
    parse_only,
    select,
)
from tasks.report.table import write_summary
from tasks.report.table_row import Table, TableRow
from tasks.row import NamedStyle, Row
from tasks.store.output_folder import OutputFolder
from tasks.store.statuses import PENDING, RowResult, Status
from tests.tables import write_frame

STYLES = (NamedStyle.of_picture(Path("s")),)


def rows(*lines: int, **outputs: int) -> list[Row]:
    """Return rows in these lines, with outputs like `7.png` or of these names."""
    named = {f"{name}.png": line for name, line in outputs.items()}
    both = {f"{line}.png": line for line in lines} | named
    return [Row(line, {}, Path("a"), STYLES, output, Settings()) for output, line in both.items()]


def table(*found: tuple[int, str, Status]) -> Table:
    return Table(tuple(TableRow(line=line, output=name, status=end) for line, name, end in found))


@pytest.fixture
def output(tmp_path: Path) -> OutputFolder:
    """Return an output folder with a table."""
    folder = OutputFolder(tmp_path)
    ends: tuple[tuple[int, str, Status], ...] = (
        *((2, "a.png", "done"), (3, "b.png", "failed"), (4, "c.png", "pending")),
        *((5, "d.png", "interrupted"), (6, "e.png", "invalid"), (7, "a.png", "invalid")),
    )
    write_summary(table(*ends), folder)
    return folder


NOW = rows(a=12, b=13, c=14, d=15, e=16, new=17)


def lines_of(text: str, output: OutputFolder, now: list[Row] = NOW) -> list[int]:
    return sorted(select(text, now, output).lines or ())


@pytest.mark.parametrize(
    ("text", "statuses", "lines"),
    [
        ("failed", {"failed"}, []),
        (" Failed , PENDING,interrupted, invalid", {"failed", "pending", "interrupted"}, []),
        ("3", set(), [3]),
        ("3,7-9", set(), [3, 7, 8, 9]),
        ("7 - 8, failed,2", {"failed"}, [2, 7, 8]),
    ],
)
def test_statuses_lines_and_ranges_are_understood(
    text: str, statuses: set[Status], lines: list[int]
) -> None:
    only = parse_only(text)
    assert statuses <= only.statuses <= {*statuses, "invalid"}
    assert sorted(line for each in only.lines for line in each) == lines


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "''"),
        (",", "','"),
        ("failed,", "'failed,'"),
        ("faild", "'faild'"),
        ("done", "'done'"),
        ("cached", "'cached'"),
        ("9-7", "'9-7'"),
        ("-3", "'-3'"),
        ("3-", "'3-'"),
        ("1.5", "'1.5'"),
        ("٣", "'٣'"),
        ("3;4", "'3;4'"),
        ("x" * 500, "'" + "x" * 100 + "'"),
        ("https://anna:secret@host/x", "'https://host/x'"),
    ],
)
def test_other_texts_are_refused(text: str, found: str) -> None:
    with pytest.raises(OnlyError) as refused:
        parse_only(text)
    assert str(refused.value) == (
        f"--only: found {found}; expected statuses (failed, invalid, interrupted, pending), "
        "lines of the manifest or ranges of lines, separated by commas, such as failed or 3,7-9"
    )


def test_lines_without_a_row_are_refused() -> None:
    there = rows(2, 3, 7)
    check_lines(parse_only("2,3-5,6-900,failed"), there)
    with pytest.raises(OnlyError, match=r"found '4', but no row .* begins in this line; .* 2 to 7"):
        check_lines(parse_only("2,4"), there)
    with pytest.raises(OnlyError, match="found '8-9', but no row of the manifest begins in these"):
        check_lines(parse_only("8-9"), there)
    with pytest.raises(OnlyError, match="the header is line 1"):
        check_lines(parse_only("1"), there)


def test_rows_are_found_in_the_last_table_by_their_outputs(output: OutputFolder) -> None:
    assert lines_of("failed", output) == [13]
    assert lines_of("pending", output) == [14]
    assert lines_of("interrupted,invalid", output) == [15, 16]
    assert lines_of("failed,12-12,17", output) == [12, 13, 17]
    assert select(None, NOW, output) == EVERY_ROW


def test_of_rows_with_one_output_the_one_in_the_same_line_counts(output: OutputFolder) -> None:
    twice = [*rows(a=2), *rows(a=7)]
    assert lines_of("invalid", output, twice) == [7]


def test_how_a_row_ended_before_it_was_not_asked_for_counts_too(tmp_path: Path) -> None:
    folder = OutputFolder(tmp_path)
    unasked = TableRow(line=2, output="a.png", status="pending", asked=False, last_status="failed")
    write_summary(Table((unasked,)), folder)
    for text in ("failed", "pending"):
        assert lines_of(text, folder, rows(a=2)) == [2]
    assert lines_of("interrupted", folder, rows(a=2)) == []
    assert select("interrupted", rows(a=2), folder).last_ends == {2: "failed"}


def test_statuses_need_a_table_and_lines_do_not(tmp_path: Path) -> None:
    folder = OutputFolder(tmp_path)
    assert lines_of("13", folder) == [13]
    with pytest.raises(OnlyError, match="but there is none; run the whole batch first"):
        select("failed,13", NOW, folder)
    folder.summary(".parquet").write_bytes(b"damaged")  # type: ignore[union-attr]
    with pytest.raises(OnlyError, match="but it cannot be read: "):
        select("failed", NOW, folder)
    assert lines_of("13", folder) == [13]


def test_a_table_of_an_earlier_version_has_statuses(tmp_path: Path) -> None:
    import pandas as pd

    write_frame(
        pd.DataFrame({"line": [2, 3], "output": ["a.png", "b.png"], "status": ["done", "failed"]}),
        tmp_path,
    )
    assert lines_of("failed", OutputFolder(tmp_path)) == [13]


def test_results_say_which_rows_were_not_asked_for() -> None:
    selection = Selection("3", frozenset({3}), {4: "failed", 2: "interrupted"})
    results = {
        2: RowResult("cached"),
        3: PENDING,
        4: PENDING,
        5: PENDING,
        6: RowResult("invalid", error="wrong"),
    }
    applied = selection.applied(results)
    assert {line: result.asked for line, result in applied.items()} == {
        **dict.fromkeys((2, 4, 5, 6), False),
        3: True,
    }
    assert applied[3] == PENDING
    assert (applied[2].status, applied[6].error) == ("cached", "wrong")
    assert applied[4].error == "not asked for (--only 3); it last ended as failed"
    assert (applied[4].status, applied[4].last_status) == ("pending", "failed")
    assert (applied[5].error, applied[5].last_status) == ("not asked for (--only 3)", "")
    assert EVERY_ROW.applied(results) == results
