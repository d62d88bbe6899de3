"""Rows that are killed at random moments, again and again, continue and end as if undisturbed."""

import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from nst_core.transfer.octaves import REPORT_EVERY
from tests.end_to_end.conftest import Shell
from tests.end_to_end.pace import pace_of, steps_in
from tests.pictures import write_csv

KILLS, SECONDS = 50, 20
"""How many runs are killed, and about how long a row takes."""
ROWS = [("a.png", "s.png", f"{number}.png", number) for number in range(6)]
SETTINGS = ["--size", "64", "--octaves", "1", "--tolerance", "0", "--cache", "cache"]
SETTINGS += ["--enlarge", "--optimizer", "adam", "--checkpoint-every", "0.25"]
# It also writes down which steps rows take, because a run that is killed writes no table.
PROGRAM = """
import sys
from pathlib import Path
from flows.cli.app import main
from tasks.events import RowStepped, subscribed

steps = Path(sys.argv.pop(1)).open("a", buffering=1)

def write(event):
    if isinstance(event, RowStepped):
        steps.write(f"{event.line} {event.step}\\n")

with subscribed(write):
    main()
"""


def _start(shell: Shell, output: str, steps: int, written: str) -> "subprocess.Popen[str]":
    """Start a run that writes down the steps that rows take, of so many each."""
    command = [sys.executable, "-P", "-c", PROGRAM, written]
    command += ["run", "m.csv", "-o", output, "--steps", str(steps), *SETTINGS]
    return subprocess.Popen(
        command,
        cwd=shell.folder,
        env=shell.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _finish(process: "subprocess.Popen[str]") -> None:
    with process:
        _, errors = process.communicate(timeout=900)
    assert process.returncode == 0, errors


def _kill_at_some_moment(process: "subprocess.Popen[str]", written: Path, moment: float) -> None:
    """Kill a run some seconds after its first step, or before it if that is negative."""
    with process:
        if moment < 0:
            time.sleep(-moment)
        else:
            deadline = time.monotonic() + 200
            while not written.exists() or not written.stat().st_size:
                assert process.poll() is None, "it ended before it was killed"
                assert time.monotonic() < deadline
                time.sleep(0.01)
            time.sleep(moment)
        assert process.poll() is None, "it ended before it was killed"
        process.kill()
        process.communicate()


def _steps_taken(*files: Path) -> int:
    """Return how many steps runs reported; each report but the first of a row is of ten steps."""
    steps = [
        int(row_step.split()[1])
        for file in files
        if file.exists()
        for row_step in file.read_text().splitlines()
    ]
    return REPORT_EVERY * sum(step > 0 for step in steps)


@pytest.mark.torture
def test_rows_that_are_killed_fifty_times_cost_few_steps_and_end_with_the_same_bits(
    shell: Shell, record_property: Callable[[str, object], None]
) -> None:
    write_csv(shell.folder / "m.csv", ("content", "style", "output", "seed"), *ROWS)
    steps = steps_in(SECONDS, pace_of(shell, SETTINGS))
    _finish(_start(shell, "calm", steps, "calm.txt"))
    moments, killed = random.Random(13), []
    for number in range(KILLS):
        # A third of the kills come while a run starts.
        moment = moments.uniform(-6, 0) if number % 3 == 0 else moments.uniform(0, 3)
        killed.append(shell.folder / f"{number}.txt")
        run = _start(shell, "wild", steps, killed[-1].name)
        _kill_at_some_moment(run, killed[-1], moment)
    _finish(_start(shell, "wild", steps, "last.txt"))

    undisturbed = _steps_taken(shell.folder / "calm.txt")
    assert undisturbed == steps * len(ROWS)
    taken = _steps_taken(*killed, shell.folder / "last.txt")
    record_property("steps", f"{taken} with {KILLS} kills, {undisturbed} without")
    # Each kill of an active row also cost steps that were not reported yet, on average five of ten.
    active = sum(file.exists() and bool(file.read_text()) for file in killed)
    unreported = REPORT_EVERY // 2 * active
    assert undisturbed <= taken <= taken + unreported <= 1.1 * undisturbed
    table = pd.read_csv(shell.folder / "wild" / "summary.csv")
    assert set(table["status"]) <= {"done", "cached"}
    assert list(table["steps"]) == [steps] * len(ROWS)
    files = [
        name for row in range(len(ROWS)) for name in (f"pictures/{row}.png", f"losses/{row}.csv")
    ]
    for name in files:
        calmly = (shell.folder / "calm" / name).read_bytes()
        assert (shell.folder / "wild" / name).read_bytes() == calmly, name
    assert not list((shell.folder / "wild" / ".nst-batch" / "checkpoints").glob("[0-9a-f]*"))
