"""A Prefect server for one run: started, watched, restarted if it dies, and stopped with the run.

The run holds the listening socket, and each server process inherits it. There is therefore no race
for a free port, and while a dead server is restarted, requests wait instead of being refused.
"""

import atexit
import contextlib
import http.client
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from flows.process.prefect_settings import ServerSettings
from flows.process.server_database import DATABASE, DATABASE_URL
from nst_core.errors import UserError
from nst_core.storage.locks import locked
from nst_core.system.programs import options_of_popen
from tasks.stopping import raise_if_asked_to_stop

logger = logging.getLogger("nst_batch.server")

SERVER_PROCESS = Path(__file__).with_name("server_process.py")
MOST_RESTARTS = 3
STEP_SECONDS = 0.2
END_SECONDS = 5.0
ERROR_LINE = re.compile(r"^(\w+\.)*\w*(Error|Exception|Exit)\b.*")
ANSWER = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
"""The answer in place of a dead server; after many other answers, Prefect's client would retry."""


class ServerError(UserError):
    """The server does not start; the message says why and what to do."""


class EmbeddedServer:
    """A server process on a free port of 127.0.0.1.

    Args:
        environment: the environment of the process.
        patience: the seconds within which it must answer.
    """

    def __init__(self, environment: Mapping[str, str], patience: float) -> None:
        self._environment = dict(environment)
        self._patience = patience
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - open while the server runs
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._process = self._start_process()

    @property
    def url(self) -> str:
        """The URL of the server's API."""
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}/api"

    @property
    def process_id(self) -> int:
        """The ID of the server process that runs now, or ran last."""
        return self._process.pid

    def wait_until_up(self) -> None:
        """Return once the server answers.

        Raises:
            ServerError: it ended, or did not answer in time.
            KeyboardInterrupt: the run was asked to stop.
        """
        deadline = time.monotonic() + self._patience
        while not self._answers():
            raise_if_asked_to_stop()
            code = self._process.poll()
            if code is not None:
                raise ServerError(
                    f"Prefect's embedded server ended with {_exit_of(code)} before it answered"
                    f"{self._reason()}; {self._advice()}"
                )
            if time.monotonic() > deadline:
                raise ServerError(
                    f"Prefect's embedded server does not answer after {self._patience:.0f} s"
                    f"{self._reason()}; on a slow machine, set "
                    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS to a larger number"
                )
            self._ending.wait(STEP_SECONDS)

    def watch(self) -> None:
        """Restart the server whenever it dies, and answer in its place if that fails."""
        threading.Thread(target=self._keep_alive, name="embedded-server", daemon=True).start()

    def end(self) -> None:
        """Stop the process, gracefully at first; may be called more than once."""
        with self._lock:
            self._ending.set()
            self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_SECONDS)
        self._process.kill()
        self._process.wait()
        self._socket.close()

    def log(self) -> str:
        """Return what the server processes wrote."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

    def _start_process(self) -> "subprocess.Popen[bytes]":
        descriptor = self._socket.fileno()
        return subprocess.Popen(
            [sys.executable, "-P", str(SERVER_PROCESS), str(descriptor), str(os.getpid())],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            **options_of_popen(descriptor),
        )

    def _answers(self) -> bool:
        host, port = self._socket.getsockname()
        connection = http.client.HTTPConnection(host, port, timeout=1)
        try:
            connection.request("GET", "/api/health")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _reason(self) -> str:
        """Return the last error in the server's log, or else its last line, if there is one."""
        lines = [line.strip() for line in self.log().splitlines() if line.strip()]
        errors = [line for line in lines if ERROR_LINE.match(line)]
        last = (errors or lines)[-1:]
        return f": {last[0]}" if last else ""

    def _advice(self) -> str:
        """Return what to do if the server does not start."""
        database = Path(self._environment.get(DATABASE_URL, "").partition("///")[2])
        if "sqlite3." in self._reason() and database.name.startswith(Path(DATABASE).stem):
            return f"if {database} is damaged, remove it: no result depends on it"
        return "`nst-batch doctor` says what is wrong"

    def _keep_alive(self) -> None:
        for _ in range(MOST_RESTARTS):
            code = self._process.wait()
            with self._lock:
                if self._ending.is_set():
                    return
                logger.warning(
                    "Prefect's embedded server ended with %s%s; the rows continue, and it is "
                    "restarted",
                    _exit_of(code),
                    self._reason(),
                )
                self._process = self._start_process()
        code = self._process.wait()
        if not self._ending.is_set():
            logger.warning(
                "Prefect's embedded server ended with %s again; the rows and the table are "
                "completed without it",
                _exit_of(code),
            )
            self._answer_in_its_place()

    def _answer_in_its_place(self) -> None:
        """Make Prefect's client give up at once, because it would otherwise retry for minutes."""
        while not self._ending.is_set():
            with contextlib.suppress(OSError):
                connection, _ = self._socket.accept()
                with connection:
                    connection.settimeout(1)
                    connection.recv(65536)
                    connection.sendall(ANSWER)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(65536):
                        pass


def _exit_of(code: int) -> str:
    """Return an exit code in words for people."""
    return f"exit code {code}" if code >= 0 else f"the signal {signal.Signals(-code).name}"


def start_embedded_server(meanwhile: Callable[[], object]) -> EmbeddedServer:
    """Start a server that this process uses from now on; call this if the user has named none.

    It ends with the process, after Prefect has sent it everything that is queued.

    Args:
        meanwhile: called while the server starts.

    Raises:
        ServerError: the server does not start, or the user forbids it.
        OSError: Prefect's home or the temporary folder cannot be written.
    """
    settings = ServerSettings.current()
    if not settings.is_allowed:
        raise ServerError(
            "no server: PREFECT_API_URL is not set, and PREFECT_SERVER_ALLOW_EPHEMERAL_MODE "
            "forbids an embedded server; set the former, or change the latter"
        )
    settings.home.mkdir(parents=True, exist_ok=True)
    # The first start creates the database; two first starts at once would break it.
    with locked(settings.home / f"{DATABASE}.lock"):
        server = EmbeddedServer(settings.environment, settings.patience)
        atexit.register(server.end)
        meanwhile()
        try:
            server.wait_until_up()
        except ServerError:
            # Descriptor 2 leads to the libraries' log, or to the terminal if the user wants that.
            os.write(2, server.log().encode())
            raise
    server.watch()
    os.environ["PREFECT_API_URL"] = server.url
    from prefect.context import refresh_global_settings_context

    refresh_global_settings_context()
    return server
