"""What `nst-batch run` reports if Prefect's server knows less than the run itself."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prefect.states import Completed, Failed

from flows.cli.exit_codes import (
    ENGINE_FAILED,
    INTERRUPTED,
    OUT_OF_TIME,
    ROWS_FAILED,
    SUCCESS,
    UNUSABLE,
)
from flows.cli.outcome import EndedEarly, Outcome, report_outcome
from flows.cli.terminal import Terminal
from tasks.intake.manifest import ManifestError
from tasks.report.saved_table import read_summary
from tasks.report.table import write_summary
from tasks.store.output_folder import OutputFolder
from tasks.store.preview_folder import keep_apart
from tests.pipeline.conftest import Batch

LOST = ConnectionError("connection refused")
NOT_REACHED = "the table is complete, but Prefect was not notified"


@pytest.mark.parametrize(
    ("content", "state", "code", "is_lost"),
    [
        ("a.png", Completed(message="1 done"), SUCCESS, False),
        ("a.png", None, SUCCESS, False),
        ("a.png", LOST, SUCCESS, True),
        ("a.png", Failed(message="connection refused"), SUCCESS, True),
        ("missing.png", Failed(name="AllRowsFailed"), ROWS_FAILED, False),
        ("missing.png", LOST, ROWS_FAILED, True),
    ],
)
def test_rows_decide_the_exit_code_and_a_lost_server_is_a_warning(
    batch: Batch,
    capsys: pytest.CaptureFixture[str],
    content: str,
    state: Any,
    code: int,
    is_lost: bool,
) -> None:
    batch.run(("content", "style"), (content, "s.png"))
    assert (
        report_outcome(
            Terminal(),
            Outcome(state, table_written=True, gallery="there"),
            OutputFolder(batch.output),
        )
        == code
    )
    captured = capsys.readouterr()
    assert str(batch.output / "summary.csv") in captured.out
    assert (NOT_REACHED in captured.err) == is_lost
    assert not is_lost or "connection refused" in captured.err


def test_stopped_rows_are_no_success_whatever_prefect_reports(batch: Batch) -> None:
    batch.run(("content", "style"), ("a.png", "s.png"))
    table = read_summary(OutputFolder(batch.output))
    for status in ("interrupted", "pending"):
        stopped = tuple(replace(row, status=status) for row in table.rows)
        write_summary(replace(table, rows=stopped), OutputFolder(batch.output))
        for state in (LOST, Completed()):
            outcome = Outcome(state, table_written=True, gallery="")
            assert report_outcome(Terminal(), outcome, OutputFolder(batch.output)) == INTERRUPTED


def test_rows_that_are_left_have_an_exit_code_unless_rows_failed(
    batch: Batch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = OutputFolder(batch.output)
    batch.run(("content", "style"), ("a.png", "s.png"), ("b.png", "s.png"))
    table = read_summary(output)
    done, left = table.rows[0], replace(table.rows[1], status="pending")
    outcome = Outcome(Completed(name="OutOfTime"), table_written=True, gallery="")
    write_summary(replace(table, rows=(done, left), seconds_left=61.0), output)
    assert report_outcome(Terminal(), outcome, output) == OUT_OF_TIME
    errors = capsys.readouterr().err
    assert "the time was up: 1 row is left, which would take about 61 s" in errors
    assert NOT_REACHED not in errors
    failed = replace(done, status="failed", error="no room")
    write_summary(replace(table, rows=(failed, left), seconds_left=61.0), output)
    assert report_outcome(Terminal(), outcome, output) == ROWS_FAILED
    stopped = outcome._replace(state=KeyboardInterrupt())
    capsys.readouterr()
    assert report_outcome(Terminal(), stopped, output) == INTERRUPTED
    assert "gallery:" not in capsys.readouterr().out
    with_page = stopped._replace(gallery=str(output.gallery))
    assert report_outcome(Terminal(), with_page, output) == INTERRUPTED
    assert f"gallery:  {output.gallery}\n" in capsys.readouterr().out


def test_of_a_preview_only_the_rows_that_get_one_are_counted(
    batch: Batch, capsys: pytest.CaptureFixture[str]
) -> None:
    batch.run(("content", "style"), ("a.png", "s.png"), ("b.png", "s.png"))
    table = read_summary(OutputFolder(batch.output))
    shown, other = table.rows[0], replace(table.rows[1], status="pending", asked=False)
    stopped = Outcome(KeyboardInterrupt(), table_written=True, gallery="")
    for name, is_preview in (("results", False), ("previews", True)):
        output = OutputFolder(batch.output / name)
        keep_apart(output, is_preview=is_preview)
        write_summary(replace(table, rows=(shown, other)), output)
        assert report_outcome(Terminal(), stopped, output) == INTERRUPTED
        assert ("1 pending" in capsys.readouterr().out) != is_preview


def test_without_a_table_a_lost_server_is_an_engine_failure(
    batch: Batch, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = Outcome(LOST, table_written=False, gallery="")
    assert report_outcome(Terminal(), outcome, OutputFolder(batch.output)) == ENGINE_FAILED
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("error: Prefect could not run the flow: ConnectionError")
    assert hint.startswith("hint: `nst-batch doctor` says what is wrong")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ManifestError("line 2: no"), UNUSABLE, "error: line 2: no\n"),
        (OSError(28, "No space left"), ENGINE_FAILED, "the batch stopped: [Errno 28] No space"),
        (RuntimeError("a bug"), ENGINE_FAILED, "error: the batch stopped: RuntimeError: a bug\n"),
    ],
)
def test_an_error_outside_of_the_flow_is_reported_as_one_of_the_flow(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], error: Exception, code: int, said: str
) -> None:
    outcome = Outcome(EndedEarly(error), table_written=False, gallery="")
    assert report_outcome(Terminal(), outcome, OutputFolder(tmp_path)) == code
    errors = capsys.readouterr().err
    assert said in errors
    assert ("rerun the same command to resume" in errors) == (code == ENGINE_FAILED)
