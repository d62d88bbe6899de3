"""The command line as a user runs it: other processes, files on disk, a real server."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.browser.conftest import browser, opened
from tests.pictures import write_picture

__all__ = ["browser", "opened"]
COMMAND = [str(Path(sys.executable).parent / "nst-batch")]
QUICK = ["--size", "32", "--steps", "2", "--octaves", "1"]


def clean_environment(home: Path, **extra: str) -> dict[str, str]:
    """No Prefect or nst-batch setting of whoever runs the tests."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PREFECT_", "NST_BATCH_", "TF_", "DO_NOT_TRACK"))
    }
    own = {
        "PREFECT_HOME": str(home),
        "NST_BATCH_CACHE": str(home / "cache"),
        # Else the tests that run at once would wait for each other.
        "NST_BATCH_DEVICE_LOCKS": str(home / "devices"),
    }
    return kept | own | extra


@dataclass(frozen=True)
class Shell:
    """Runs `nst-batch` in a folder."""

    folder: Path
    environment: dict[str, str] = field(repr=False)

    def start(self, *arguments: object) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )

    def run(self, *arguments: object) -> "subprocess.CompletedProcess[str]":
        with self.start(*arguments) as process:
            output, errors = process.communicate(timeout=280)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def python(self, program: str) -> "subprocess.CompletedProcess[str]":
        """Run a Python program that must succeed."""
        result = subprocess.run(
            [sys.executable, "-c", program],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        return result

    def run_and_then(
        self, arguments: list[str], program: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run `nst-batch`, which must succeed, and then a program in the same process."""
        return self.python(
            f"import sys; sys.argv[1:] = {arguments!r}\n"
            "from flows.cli import main\n"
            "try: main()\n"
            "except SystemExit as end: assert not end.code, end.code\n" + program
        )

    def picture(self, name: str, seed: int, **shape: int) -> Path:
        return write_picture(self.folder / name, seed, **shape)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


class Server:
    """A Prefect server as `prefect server start` gives it.

    It may be ended and started anew: the port and the database, in the home, stay the same.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/api"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = clean_environment(
            self.home,
            DO_NOT_TRACK="1",
            PREFECT_SERVER_ANALYTICS_ENABLED="false",
            PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS="5",
        )
        prefect = str(Path(sys.executable).parent / "prefect")
        command = [prefect, "server", "start", "--host", "127.0.0.1", "--port", str(self.port)]
        with (self.home / "server.log").open("a") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        _wait_until_up(f"{self.url}/health", self.process, seconds=180)

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(30)
            self.process = None


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server for all tests of a session, with a database of its own."""
    server = Server(tmp_path_factory.mktemp("server"))
    try:
        server.start()
        yield server.url
    finally:
        server.end()


def _wait_until_up(url: str, process: "subprocess.Popen[bytes]", seconds: float) -> None:
    for _ in range(int(seconds * 2)):
        assert process.poll() is None, "the server ended by itself"
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
        else:
            return
    pytest.fail(f"no server at {url} after {seconds} s")


def make_shell(folder: Path, server_url: str) -> Shell:
    """A shell whose runs use a server, in a folder with contents a, b and styles s, t."""
    made = Shell(folder, clean_environment(folder / "home", PREFECT_API_URL=server_url))
    for seed, name in enumerate(("a.png", "b.png", "s.png", "t.png")):
        made.picture(name, seed)
    return made


@pytest.fixture
def shell(tmp_path: Path, server_url: str) -> Shell:
    """A shell in a folder of its own, with the session's server."""
    return make_shell(tmp_path, server_url)


@pytest.fixture
def lone_shell(shell: Shell) -> Shell:
    """The same without a server."""
    environment = {
        name: value for name, value in shell.environment.items() if name != "PREFECT_API_URL"
    }
    return Shell(shell.folder, environment)
