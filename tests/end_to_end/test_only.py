"""`nst-batch run --only` and `plan --only`, as a user runs them."""

import json
import shutil

import pandas as pd
import pytest

from tests.end_to_end.conftest import QUICK, Shell
from tests.pictures import write_csv

HEADER = ("content", "style", "output")
ROWS = (("a.png", "s.png", "one"), ("b.png", "s.png", "two"), ("none.png", "s.png", "three"))


def statuses(shell: Shell) -> list[str]:
    return list(pd.read_parquet(shell.folder / "out" / "summary.parquet")["status"])


@pytest.mark.nights
def test_only_the_rows_that_failed_run_again(shell: Shell) -> None:
    write_csv(shell.folder / "m.csv", HEADER, *ROWS)
    obstacle = shell.folder / "out" / "losses" / "two.csv"
    (obstacle / "folder").mkdir(parents=True)
    run = ["run", "m.csv", "-o", "out", *QUICK]
    first = shell.run(*run)
    assert first.returncode == 1, first.stderr
    assert statuses(shell) == ["done", "failed", "invalid"]
    shutil.rmtree(obstacle)

    # The line that failed has moved, and a row was added.
    write_csv(shell.folder / "m.csv", HEADER, ("b.png", "t.png", "new"), *ROWS)
    plan = shell.run("plan", "m.csv", "-o", "out", "--only", "failed", "--json", *QUICK)
    assert plan.returncode == 0, plan.stderr
    planned = json.loads(plan.stdout)
    assert planned["counts"] == {"new": 1, "equal": 0, "done": 1, "invalid": 1, "pending": 1}
    assert [row["status"] for row in planned["rows"]] == ["pending", "done", "new", "invalid"]

    again = shell.run(*run, "--only", "failed")
    assert (again.returncode, again.stderr) == (0, "")
    assert "--only failed: 1 of 4 rows are asked for" in again.stdout
    assert "1 of 2 rows to run, 1 already done" in again.stdout
    assert statuses(shell) == ["pending", "cached", "done", "invalid"]

    nothing = shell.run(*run, "--only", "failed")
    assert (nothing.returncode, nothing.stderr) == (0, "")
    assert "no row ended that way in the last run; nothing is left to do" in nothing.stdout
    assert statuses(shell) == ["pending", "cached", "cached", "invalid"]

    line = shell.run(*run, "--only", "5,2", "--json")
    assert line.returncode == 1, "the invalid row was asked for"
    rows = json.loads(line.stdout)["rows"]
    assert [(row["status"], row["asked"]) for row in rows] == [
        *(("done", True), ("cached", False), ("cached", False), ("invalid", True)),
    ]


@pytest.mark.parametrize("command", ["run", "plan"])
@pytest.mark.parametrize(
    ("only", "message"),
    [
        ("faild", "--only: found 'faild'; expected statuses (failed, invalid, interrupted, "),
        ("2,9", "--only: found '9', but no row of the manifest begins in this line"),
        ("failed", "--only: found 'failed', which needs the table of an earlier run in "),
    ],
)
def test_rows_that_cannot_be_selected_are_refused(
    shell: Shell, command: str, only: str, message: str
) -> None:
    write_csv(shell.folder / "m.csv", HEADER, *ROWS)
    result = shell.run(command, "m.csv", "-o", "out", "--only", only, *QUICK)
    assert result.returncode == 2, result.stderr
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (shell.folder / "out" / "summary.csv").exists()
