"""The server of a run, with a stand-in for Prefect's, which takes ten seconds to start."""

import http.client
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from flows.process import embedded_server
from flows.process.embedded_server import MOST_RESTARTS, EmbeddedServer, ServerError
from tasks.stopping import ask_to_stop

ANSWERING = """
import http.server, socket, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
server.socket = socket.socket(fileno=int(sys.argv[1]))
server.serve_forever()
"""
FAILING = """
print("some line")
raise OSError(30, "Read-only file system", "prefect.db")
"""
SILENT = "import time; print('still migrating', flush=True); time.sleep(60)"


@contextmanager
def server(folder: Path, program: str, patience: float = 30) -> Iterator[EmbeddedServer]:
    """Yield a server whose process runs a program."""
    script = folder / "server_process.py"
    script.write_text(program)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(embedded_server, "SERVER_PROCESS", script)
        made = EmbeddedServer(os.environ, patience)
        try:
            yield made
        finally:
            made.end()


def ask(url: str) -> int:
    """Return the status code of the server's answer."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        connection.request("GET", "/api/health")
        return connection.getresponse().status
    finally:
        connection.close()


def test_the_server_has_its_own_session_and_ends_with_the_run(tmp_path: Path) -> None:
    with server(tmp_path, ANSWERING) as running:
        running.wait_until_up()
        process = running.process_id
        assert os.getsid(process) == process
        assert os.getsid(process) != os.getsid(0)
        assert ask(running.url) == 200
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_a_server_that_dies_is_restarted_and_requests_wait_meanwhile(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with server(tmp_path, ANSWERING) as running:
        running.wait_until_up()
        running.watch()
        first = running.process_id
        os.kill(first, signal.SIGKILL)
        _wait_until(lambda: running.process_id != first)
        assert ask(running.url) == 200
        assert "ended with the signal SIGKILL; the rows continue" in caplog.text
        assert caplog.records[-1].levelno == logging.WARNING


def test_a_run_continues_without_a_server_that_keeps_dying(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with server(tmp_path, ANSWERING) as running:
        running.wait_until_up()
        running.watch()
        for _ in range(MOST_RESTARTS):
            process = running.process_id
            os.kill(process, signal.SIGKILL)
            _wait_until(lambda: running.process_id != process)  # noqa: B023 - called at once
        os.kill(running.process_id, signal.SIGKILL)
        _wait_until(lambda: "are completed without it" in caplog.text)
        # The answer comes at once, with a status for which Prefect's client does not retry.
        assert ask(running.url) == ask(running.url) == 500


def test_the_reason_for_a_failed_start_is_reported_at_once(tmp_path: Path) -> None:
    with (
        server(tmp_path, FAILING) as running,
        pytest.raises(ServerError, match=r"exit code 1 .*Read-only file system: 'prefect.db'"),
    ):
        running.wait_until_up()


def test_a_server_that_never_answers_is_not_waited_for_forever(tmp_path: Path) -> None:
    with (
        server(tmp_path, SILENT, patience=2) as running,
        pytest.raises(ServerError, match=r"does not answer after 2 s: still migrating; .*SECONDS"),
    ):
        running.wait_until_up()


def test_a_stop_ends_the_wait_for_a_server(tmp_path: Path) -> None:
    with server(tmp_path, SILENT) as running:
        ask_to_stop()
        with pytest.raises(KeyboardInterrupt):
            running.wait_until_up()


def _wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    pytest.fail("it never came to that")
