"""Runs whose rows are in processes of their own, stopped and killed: no process remains."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest

from nst_core.devices.processes import PROGRAM
from tests.end_to_end.conftest import COMMAND, QUICK, Shell
from tests.pictures import write_csv
from tests.terminal import CTRL_C, PseudoTerminal

# The row would take minutes.
ARGUMENTS = ["run", "m.csv", "--output", "out", "--isolate", "--checkpoint-every", "0.5"]
ARGUMENTS += ["--size", "64", "--enlarge", "--steps", "10000", "--octaves", "1"]
ARGUMENTS += ["--tolerance", "0", "--optimizer", "adam"]
SECONDS = 300
"""The limit of waits for what takes seconds on an idle machine."""


@pytest.fixture
def one(shell: Shell) -> Shell:
    """Return a shell with a manifest of one row."""
    write_csv(shell.folder / "m.csv", ("content", "style"), ("a.png", "s.png"))
    return shell


def processes_of(run: int) -> list[int]:
    """Return the processes of devices that a run started."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            process = int(file.parent.name)
            if str(PROGRAM) in file.read_text().split("\0") and parent_of(process) == run:
                found.append(process)
    return found


def parent_of(process: int) -> int | None:
    """Return the parent of a process; None if the process has ended."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return None
    state, parent = stat.rpartition(")")[2].split()[:2]
    return None if state == "Z" else int(parent)


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


def checkpoints(shell: Shell) -> list[Path]:
    return [*(shell.folder / "out" / ".nst-batch" / "checkpoints").glob("[0-9a-f]*")]


@pytest.mark.nights
def test_ctrl_c_in_a_terminal_saves_the_row_and_leaves_no_process(one: Shell) -> None:
    terminal = PseudoTerminal([*COMMAND, *ARGUMENTS], one.folder, one.environment)
    try:
        terminal.look_until(lambda _: bool(checkpoints(one)), SECONDS)
        (child,) = processes_of(terminal.process.pid)
        terminal.type(CTRL_C)
        code, screen = terminal.end(SECONDS)
    finally:
        terminal.kill()
    assert code == 130, screen
    assert parent_of(child) is None
    (row,) = pd.read_csv(one.folder / "out" / "summary.csv").to_dict("records")
    assert row["status"] == "interrupted"
    assert "the next run continues from there" in row["error"]
    assert (one.folder / "out" / row["picture"]).is_file()
    assert len(checkpoints(one)) == 1
    assert "TensorFlow" not in "\n".join(screen)


@pytest.mark.nights
def test_a_run_that_is_killed_leaves_no_process(one: Shell) -> None:
    with one.start(*ARGUMENTS) as run:
        try:
            wait_for(lambda: checkpoints(one) or run.poll() is not None)
            assert run.poll() is None, run.communicate()
            (child,) = processes_of(run.pid)
        finally:
            run.kill()
        run.communicate(timeout=SECONDS)
    wait_for(lambda: parent_of(child) is None)
    assert not list((one.folder / "out" / "pictures").iterdir())


@pytest.mark.torture
def test_two_devices_have_a_process_each(one: Shell) -> None:
    rows = (("a.png", "s.png", str(number), number) for number in range(1, 5))
    write_csv(one.folder / "m.csv", ("content", "style", "output", "style_weight"), *rows)
    arguments = ["run", "m.csv", "-o", "out", "--isolate", "--devices", "cpu:0,cpu:1"]
    with one.start(*arguments, *QUICK[:2], "--steps", "300", *QUICK[4:]) as run:
        most = 0
        while run.poll() is None:
            most = max(most, len(processes_of(run.pid)))
            time.sleep(0.1)
        assert run.returncode == 0, run.communicate()
    table = pd.read_csv(one.folder / "out" / "summary.csv")
    assert set(table["status"]) == {"done"}
    assert set(table["device"]) == {"CPU:0", "CPU:1"}
    assert most == 2
