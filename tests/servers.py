"""Prefect servers for tests, and the environment of processes that use them."""

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest
from filelock import FileLock

LEFT_BY_A_START = {"prefect.db": "nst-batch.db", "memo_store.toml": "nst-batch-memo.toml"}
"""The files that a server's first start leaves in its home, and the names under which the server
that a run starts for itself looks for them. With these files, that server starts quickly."""


def clean_environment(home: Path, **extra: str) -> dict[str, str]:
    """Return an environment without Prefect and nst-batch settings of whoever runs the tests."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PREFECT_", "NST_BATCH_", "TF_", "DO_NOT_TRACK"))
    }
    own = {
        "PREFECT_HOME": str(home),
        "NST_BATCH_CACHE": str(home / "cache"),
        # Without this, tests that run at the same time would wait for each other.
        "NST_BATCH_DEVICE_LOCKS": str(home / "devices"),
    }
    return inherited | own | extra


def free_port() -> int:
    """Return a port on which nothing listens now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


class Server:
    """A Prefect server, run by `prefect server start`.

    It can be stopped and started again: the port, and the database in its home, stay the same.
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


def start_migrated(server: Server, copy: Path) -> None:
    """Start a server in a new home, with the files that an earlier server's first start left.

    The first of all processes of a test run creates these files, which takes half a minute.

    Args:
        copy: where they are, or will be.
    """
    with FileLock(copy.with_suffix(".lock")):
        if not copy.exists():
            server.start()
            _copy_what_is_left(server, copy)
            return
    for name in LEFT_BY_A_START:
        shutil.copy(copy / name, server.home / name)
    server.start()


def _copy_what_is_left(server: Server, copy: Path) -> None:
    copy.mkdir()
    database, memo = LEFT_BY_A_START
    shutil.copy(server.home / memo, copy)
    with (
        closing(sqlite3.connect(server.home / database)) as source,
        closing(sqlite3.connect(copy / database)) as target,
    ):
        # The server may write to the database meanwhile.
        source.backup(target)


def copy_migrated(home: Path, new: Path) -> None:
    """Prepare a new home so that runs in it start their own server quickly."""
    new.mkdir(parents=True, exist_ok=True)
    for name, copy in LEFT_BY_A_START.items():
        shutil.copy(home / name, new / copy)
