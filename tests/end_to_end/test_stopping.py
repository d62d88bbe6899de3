"""A batch that is stopped at any moment, in the ways in which people and services stop it."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from tests.end_to_end.conftest import COMMAND, Shell
from tests.pictures import write_csv
from tests.terminal import CTRL_C, PseudoTerminal

ROWS = 6
# A row takes a second or more, and saves a picture every ten steps.
SETTINGS = ["--size", "32", "--steps", "100", "--octaves", "1", "--tolerance", "0"]
SETTINGS += ["--optimizer", "adam"]
SECONDS = float(os.environ.get("NST_BATCH_TEST_STOP_SECONDS", "20"))
"""The limit from the signal to the end of the process."""


@dataclass(frozen=True)
class Stoppable:
    """A run in its own process group, and what can be observed of it.

    Attributes:
        process: the run.
        out: its output folder.
    """

    process: "subprocess.Popen[bytes] | subprocess.Popen[str]"
    out: Path

    def answers_signals(self) -> bool:
        """Return whether the start of Python itself is over."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
        return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)

    def has_server(self) -> bool:
        return bool(servers_of(self.process.pid))

    def has_lock(self) -> bool:
        return (self.out / "pictures").is_dir() and (self.out / ".nst-batch" / "lock").exists()

    def has_steps(self) -> bool:
        return (self.out / "intermediates" / "0_s" / "000010.png").exists()

    def has_table(self) -> bool:
        return (self.out / "summary.csv").exists()

    def has_pictures(self, count: int) -> bool:
        return len(pictures_in(self.out)) >= count

    def wait_for(self, moment: Callable[["Stoppable"], bool], seconds: float = 600) -> None:
        deadline = time.monotonic() + seconds
        while not moment(self):
            assert self.process.poll() is None, "it ended before"
            assert time.monotonic() < deadline, "the moment never came"
            time.sleep(0.01)


MOMENTS: dict[str, Callable[[Stoppable], bool]] = {
    "as soon as Python runs": Stoppable.answers_signals,
    "when the batch is open": Stoppable.has_lock,
    "while the server starts": Stoppable.has_server,
    "in the first row": Stoppable.has_steps,
    "after 1 row": lambda run: run.has_pictures(1),
    "after 2 rows": lambda run: run.has_pictures(2),
    "after 3 rows": lambda run: run.has_pictures(3),
    "after 5 rows": lambda run: run.has_pictures(5),
    "after the last row": lambda run: run.has_pictures(6),
    "when the table is written": Stoppable.has_table,
}


def servers_of(run: int) -> list[int]:
    """Return the embedded servers that a run started and that are still alive."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = file.read_bytes().split(b"\0")
            state = (file.parent / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        is_of_run = arguments[-2:-1] == [str(run).encode()]
        if is_of_run and state != "Z" and any(b"server_process" in each for each in arguments):
            found.append(int(file.parent.name))
    return found


def pictures_in(out: Path) -> dict[str, int]:
    """Return the names of the results, and when each was written."""
    return {path.name: path.stat().st_mtime_ns for path in out.glob("pictures/*.png")}


@pytest.fixture
def six(lone_shell: Shell) -> Shell:
    """Return a shell without a server, with a manifest of six rows."""
    names = [lone_shell.picture(f"{number}.png", 10 + number).name for number in range(ROWS)]
    write_csv(lone_shell.folder / "m.csv", ("content", "style"), *((n, "s.png") for n in names))
    return lone_shell


def arguments() -> list[str]:
    return ["run", "m.csv", "--output", "out", "--save-every", "10", *SETTINGS]


def stop_in_a_terminal(shell: Shell, moment: Callable[[Stoppable], bool]) -> tuple[int, str]:
    """Type Ctrl-C; return the exit code and what the terminal shows."""
    terminal = PseudoTerminal([*COMMAND, *arguments()], shell.folder, shell.environment)
    try:
        run = Stoppable(terminal.process, shell.folder / "out")
        terminal.look_until(lambda _: moment(run), 600)
        terminal.type(CTRL_C)
        since = time.monotonic()
        code, screen = terminal.end(SECONDS)
        print(f"ended {time.monotonic() - since:.1f} s after Ctrl-C")  # noqa: T201
    finally:
        terminal.kill()
    return code, "\n".join(screen)


def start_in_a_group(shell: Shell) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*COMMAND, *arguments()],
        cwd=shell.folder,
        env=shell.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def stop_the_group(
    shell: Shell, moment: Callable[[Stoppable], bool], number: signal.Signals = signal.SIGINT
) -> tuple[int, str]:
    """Run `kill -INT -- -PGID`; return the exit code and the output."""
    with start_in_a_group(shell) as process:
        try:
            Stoppable(process, shell.folder / "out").wait_for(moment)
            os.killpg(process.pid, number)
            since = time.monotonic()
            output, _ = process.communicate(timeout=SECONDS)
            print(f"ended {time.monotonic() - since:.1f} s after {number.name}")  # noqa: T201
        finally:
            process.kill()
    return process.returncode, output


def check_stopped(shell: Shell, code: int, output: str, *, rows_are_known: bool) -> None:
    """Check what must hold after any stop."""
    out = shell.folder / "out"
    assert code == 130, output
    assert "Traceback" not in output
    assert "interrupted" in output
    if not rows_are_known:
        return
    table = pd.read_csv(out / "summary.csv")
    assert list(table["line"]) == list(range(2, ROWS + 2))
    assert set(table["status"]) <= {"done", "interrupted", "pending"}
    done = table[table["status"] == "done"]["picture"]
    assert sorted(done) == sorted(f"pictures/{name}" for name in pictures_in(out))
    for picture in table[table["status"] == "interrupted"]["picture"].dropna():
        assert Image.open(out / picture).size == (32, 24)
    assert (out / "gallery.html").is_file()


def check_that_it_resumes(shell: Shell) -> None:
    """Check that the same command completes the batch, and does not repeat finished rows."""
    before = pictures_in(shell.folder / "out")
    again = shell.run(*arguments())
    assert again.returncode == 0, (again.stdout, again.stderr)
    table = pd.read_csv(shell.folder / "out" / "summary.csv")
    assert sorted(set(table["status"])) in (["cached", "done"], ["cached"], ["done"])
    after = pictures_in(shell.folder / "out")
    assert len(after) == ROWS
    assert {name: after[name] for name in before} == before


@pytest.mark.nights
def test_ctrl_c_in_a_terminal_stops_a_run_soon_with_its_table(six: Shell) -> None:
    code, screen = stop_in_a_terminal(six, MOMENTS["after 1 row"])
    check_stopped(six, code, screen, rows_are_known=True)


WAYS = (stop_in_a_terminal, stop_the_group)
ALL = [(moment, way) for moment in MOMENTS for way in WAYS]
SOME = [(moment, WAYS[number % 2]) for number, moment in enumerate(list(MOMENTS)[::4])]
"""Every fourth moment, in a terminal and without by turns; `make torture` tests all."""


@pytest.mark.parametrize(
    ("moment", "stop"),
    [
        pytest.param(*case, marks=pytest.mark.nights if case in SOME else pytest.mark.torture)
        for case in ALL
    ],
)
def test_a_run_resumes_after_a_stop_at_any_moment(
    six: Shell,
    moment: str,
    stop: Callable[[Shell, Callable[[Stoppable], bool]], tuple[int, str]],
) -> None:
    code, output = stop(six, MOMENTS[moment])
    is_early = list(MOMENTS).index(moment) <= list(MOMENTS).index("while the server starts")
    check_stopped(six, code, output, rows_are_known=not is_early)
    check_that_it_resumes(six)
