"""Batches of which only the first rows run that are not done."""

import json

import pytest

from flows.cli.commands.plan import plan
from flows.cli.layout_options import Asked
from flows.cli.terminal import Terminal
from tasks.request import BatchRequest
from tests.pipeline.conftest import QUICK, Batch
from tests.pipeline.test_only import facts

HEADER = ("content", "style", "priority")
A, GONE, B, C = (
    *(("a.png", "s.png", ""), ("missing.png", "s.png", "9"), ("b.png", "s.png", "5")),
    ("b.png", "t.png", ""),
)
ROWS = (A, GONE, B, C)


def planned(batch: Batch, capsys: pytest.CaptureFixture[str], **options: object) -> list[str]:
    """Return the statuses that `plan` foretells."""
    places = {"manifest": batch.folder / "m.csv", "output": batch.output, "cache": batch.cache}
    known = {**places, "settings": QUICK}
    request = BatchRequest.model_validate({**known, **options})
    plan(Terminal(as_json=True), Asked(request, None))
    return [row["status"] for row in json.loads(capsys.readouterr().out)["rows"]]


def test_the_first_rows_run_that_are_not_done(
    batch: Batch, computed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    state, table = batch.run(HEADER, *ROWS, limit=1)
    # The row with the highest priority is the first that can run.
    assert facts(table) == [
        ("pending", False, ""),
        ("invalid", True, ""),
        ("done", True, ""),
        ("pending", False, ""),
    ]
    assert table.loc[2, "error"] == "not asked for (--limit 1)"
    assert computed == ["style", "row"]
    assert planned(batch, capsys, limit=1) == ["new", "invalid", "done", "pending"]
    _, table = batch.run(HEADER, *ROWS, limit=1)
    assert list(table["status"]) == ["done", "invalid", "cached", "pending"]
    state, table = batch.run(HEADER, *ROWS, limit=9)
    assert list(table["status"]) == ["cached", "invalid", "cached", "done"]
    assert list(table["asked"]) == [True] * 4
    assert state.name == "SomeRowsFailed"


def test_a_limit_counts_only_rows_that_are_asked_for(batch: Batch) -> None:
    state, table = batch.run(HEADER, *ROWS, only="2,5", limit=1)
    assert facts(table) == [
        ("done", True, ""),
        ("invalid", False, ""),
        ("pending", False, ""),
        ("pending", False, ""),
    ]
    assert list(table["error"].fillna(""))[2:] == ["not asked for (--only 2,5 --limit 1)"] * 2
    assert (state.name, state.message) == ("Completed", "1 done, 1 invalid, 2 pending")


def test_refresh_with_a_limit_leaves_the_other_rows_done(
    batch: Batch, computed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    batch.run(HEADER, A, B, C)
    computed.clear()
    again = {"refresh": True, "limit": 1}
    assert planned(batch, capsys, **again) == ["done", "new", "done"]
    _, table = batch.run(HEADER, A, B, C, **again)
    assert list(table["status"]) == ["cached", "done", "cached"]
    assert computed == ["style", "row"]


@pytest.mark.parametrize("limit", [0, -1, 1.5, "x"])
def test_a_limit_is_a_whole_number_above_0(limit: object) -> None:
    with pytest.raises(ValueError, match="limit"):
        BatchRequest.model_validate({"manifest": "m", "output": "o", "limit": limit})
