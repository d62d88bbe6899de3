"""What `nst-batch run` says where Prefect's server knows less than we do."""

from typing import Any

import pytest
from prefect.states import Completed, Failed

from flows.cli.commands.run import Outcome, tell_outcome
from flows.cli.exit_codes import ENGINE_FAILED, INTERRUPTED, ROWS_FAILED, SUCCESS
from flows.cli.terminal import Terminal
from tasks.report.table import read_summary, write_summary
from tests.pipeline.conftest import Batch

LOST = ConnectionError("connection refused")
UNTOLD = "the table is complete, but this did not reach Prefect"


@pytest.mark.parametrize(
    ("content", "state", "code", "untold"),
    [
        ("a.png", Completed(message="1 done"), SUCCESS, False),
        ("a.png", LOST, SUCCESS, True),
        ("a.png", Failed(message="connection refused"), SUCCESS, True),
        ("missing.png", Failed(name="AllRowsFailed"), ROWS_FAILED, False),
        ("missing.png", LOST, ROWS_FAILED, True),
    ],
)
def test_rows_give_the_exit_code_and_the_server_a_line(
    batch: Batch,
    capsys: pytest.CaptureFixture[str],
    content: str,
    state: Any,
    code: int,
    untold: bool,
) -> None:
    batch.run(("content", "style"), (content, "s.png"))
    assert (
        tell_outcome(Terminal(), Outcome(state, table_written=True, gallery="there"), batch.output)
        == code
    )
    told = capsys.readouterr()
    assert str(batch.output / "summary.csv") in told.out
    assert (UNTOLD in told.err) == untold
    assert not untold or "connection refused" in told.err


def test_rows_that_were_stopped_are_no_success_whatever_the_engine_says(batch: Batch) -> None:
    batch.run(("content", "style"), ("a.png", "s.png"))
    table = read_summary(batch.output)
    for status in ("interrupted", "pending"):
        write_summary(table.assign(status=status), batch.output)
        for state in (LOST, Completed()):
            outcome = Outcome(state, table_written=True, gallery="")
            assert tell_outcome(Terminal(), outcome, batch.output) == INTERRUPTED


def test_without_a_table_a_lost_server_broke_the_batch(
    batch: Batch, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = Outcome(LOST, table_written=False, gallery="")
    assert tell_outcome(Terminal(), outcome, batch.output) == ENGINE_FAILED
    assert "Prefect could not run the flow: ConnectionError" in capsys.readouterr().err
