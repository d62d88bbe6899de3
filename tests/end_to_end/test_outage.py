"""A server that dies while a batch runs, which loses neither a row nor the table."""

import json
import os
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

from tests.end_to_end.conftest import Server, Shell, make_shell
from tests.end_to_end.test_stopping import servers_of
from tests.pictures import write_csv

pytestmark = pytest.mark.nights

ROWS = 12
# A row takes a second or more, so that the server dies while rows run.
SETTINGS = ["--size", "32", "--steps", "100", "--octaves", "1", "--tolerance", "0"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Yield a server of this test's own, to be stopped and started again."""
    (tmp_path / "server").mkdir()
    server = Server(tmp_path / "server")
    try:
        server.start()
        yield server
    finally:
        server.end()


@contextmanager
def batch(
    tmp_path: Path, server: Server | None, until: str = "[2/12]", **environment: str
) -> "Iterator[Batch]":
    """Yield a run of twelve rows once it has printed `until`; without a server, it starts one."""
    shell = make_shell(tmp_path, server.url if server else "")
    shell.environment.update(environment)
    if server is None:
        del shell.environment["PREFECT_API_URL"]
    names = [shell.picture(f"{number}.png", 10 + number).name for number in range(ROWS)]
    manifest = write_csv(
        tmp_path / "m.csv", ("content", "style"), *((name, "s.png") for name in names)
    )
    process = shell.start("run", manifest, "--output", "out", *SETTINGS)
    # On a busy machine the server starts slowly, and the run waits twice as long each time.
    watchdog = threading.Timer(500, process.kill)
    watchdog.start()
    try:
        running = Batch(process, shell)
        running.read_until(until)
        yield running
    finally:
        process.kill()
        watchdog.cancel()


class Batch:
    """A run whose output is read while it lasts."""

    def __init__(self, process: "subprocess.Popen[str]", shell: Shell) -> None:
        self.process = process
        self.out = shell.folder / "out"

    def read_until(self, start: str) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(start):
                return
        pytest.fail(f"the run ended without {start}: {self.process.communicate()}")

    def end(self) -> tuple[str, str]:
        output, errors = self.process.communicate()
        assert "Traceback" not in output + errors
        return output, errors

    def check_rows_and_table(self) -> None:
        table = pd.read_csv(self.out / "summary.csv")
        assert list(table["status"]) == ["done"] * ROWS
        assert list(table["line"]) == list(range(2, ROWS + 2))
        assert list(table["content"]) == [f"{number}.png" for number in range(ROWS)]
        assert all((self.out / picture).is_file() for picture in table["picture"])


def final_states(server: Server, seconds: int = 60) -> list[str]:
    """Return the states of all flow runs as soon as none of them is running."""
    for _ in range(seconds):
        request = urllib.request.Request(
            f"{server.url}/flow_runs/filter", b"{}", {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            states = [run["state_name"] for run in json.load(answer)]
        if "Running" not in states:
            return states
        time.sleep(1)
    return states


def test_a_restarted_server_learns_how_the_batch_ended(tmp_path: Path, server: Server) -> None:
    with batch(tmp_path, server) as running:
        server.end(signal.SIGKILL)
        running.read_until("[5/12]")
        server.start()
        output, errors = running.end()
        assert (running.process.returncode, errors) == (0, "")
        assert "12 done" in output
        running.check_rows_and_table()
    assert final_states(server) == ["Completed"]


def test_a_run_waits_for_a_server_that_is_down_at_the_end(tmp_path: Path, server: Server) -> None:
    with batch(tmp_path, server) as running:
        server.end(signal.SIGKILL)
        running.read_until("the table is written")
        running.check_rows_and_table()
        server.start()
        _, errors = running.end()
        assert (running.process.returncode, errors) == (0, "")
    assert final_states(server) == ["Completed"]


@pytest.mark.torture
def test_a_server_that_stays_down_costs_only_its_page(tmp_path: Path, server: Server) -> None:
    # The default number of retries would take too long for a test.
    with batch(tmp_path, server, PREFECT_CLIENT_MAX_RETRIES="1") as running:
        server.end(signal.SIGKILL)
        output, errors = running.end()
        assert running.process.returncode == 0
        assert "12 done" in output
        assert "but Prefect was not notified (ConnectError: " in errors
        page, end = errors.splitlines()
        assert page.startswith("warning: the Prefect UI lacks the report of this batch: ")
        assert end.endswith("the Prefect UI may show this run as running or failed")
        running.check_rows_and_table()


@pytest.mark.parametrize(
    "until", ["12 of 12 rows to run", pytest.param("[2/12]", marks=pytest.mark.torture)]
)
def test_a_run_continues_after_its_own_server_dies(tmp_path: Path, until: str) -> None:
    with batch(tmp_path, None, until) as running:
        (server,) = servers_of(running.process.pid)
        os.kill(server, signal.SIGKILL)
        output, errors = running.end()
        assert running.process.returncode == 0, errors
        assert "12 done" in output
        assert (
            "Prefect's embedded server ended with the signal SIGKILL; the rows continue" in errors
        )
        assert "Prefect was not notified" not in errors
        running.check_rows_and_table()
        assert servers_of(running.process.pid) == []


@pytest.mark.torture
def test_a_run_continues_without_its_own_server_if_it_keeps_dying(
    tmp_path: Path,
) -> None:
    with batch(tmp_path, None, "[2/12]") as running:
        over = threading.Event()

        def kill_all() -> None:
            while not over.wait(0.5):
                for server in servers_of(running.process.pid):
                    os.kill(server, signal.SIGKILL)

        killer = threading.Thread(target=kill_all, daemon=True)
        killer.start()
        output, errors = running.end()
        over.set()
        killer.join()
        assert running.process.returncode == 0, errors
        assert "12 done" in output
        assert "the rows and the table are completed without it" in errors
        running.check_rows_and_table()
