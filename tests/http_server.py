"""A server on this machine that gives the answers a test asks for, faults included."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal


@dataclass(frozen=True)
class Answer:
    """What a request gets.

    Attributes:
        body: what the server has and whose length it tells.
        sent: how many bytes of it it sends before `then`; None: all.
        then: how it goes on: `closes` the connection in order, `resets` it, or `holds` it, silent,
            until the server is told to `release` or `longest_hold` seconds are over, and then sends
            the rest.
        tells_length: whether it says how long the body is.
    """

    body: bytes
    status: int = 200
    sent: int | None = None
    then: Literal["closes", "resets", "holds"] = "closes"
    longest_hold: float | None = None
    tells_length: bool = True


class Server(ThreadingHTTPServer):
    """Answers the requests in turn, all after the last answer with that one.

    Attributes:
        requests: what was asked for, in order.
        posted: what was sent along, in order.
        completed: how many bodies were sent whole.
    """

    def __init__(self, *answers: Answer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = list(answers)
        self.requests: list[str] = []
        self.posted: list[str] = []
        self.completed = 0
        self.lock = threading.Lock()
        self.released = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def release(self) -> None:
        """Let go on what is held, now and later."""
        self.released.set()

    def next_answer(self, request: str) -> Answer:
        with self.lock:
            self.requests.append(request)
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        answer = self.server.next_answer(self.path)
        try:
            self._give(answer)
        except OSError:
            # The client went away, as it may where it times out or is killed.
            self.close_connection = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with self.server.lock:
            self.server.posted.append(body)
        self.do_GET()

    def _give(self, answer: Answer) -> None:
        self.send_response(answer.status)
        if answer.tells_length:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        sent = len(answer.body) if answer.sent is None else answer.sent
        self.wfile.write(answer.body[:sent])
        if answer.then == "resets":
            # Closed with this, a connection is not ended in order but reset.
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()
            return
        if answer.then == "holds":
            self.server.released.wait(answer.longest_hold)
            self.wfile.write(answer.body[sent:])
        if sent == len(answer.body) or answer.then == "holds":
            with self.server.lock:
                self.server.completed += 1

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(*answers: Answer) -> Iterator[Server]:
    """A server while the block runs."""
    with Server(*answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.release()
            server.shutdown()
            thread.join()


def closed_port() -> int:
    """A port at which nobody listens: that of a protocol that nobody uses any more."""
    return 9
