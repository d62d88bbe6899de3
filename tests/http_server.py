"""A local HTTP server that gives the answers a test chooses, including faulty ones."""

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
    """The answer to a request.

    Attributes:
        body: the complete body, whose length the server declares.
        sent: the number of bytes that are sent before `then`; None means all.
        then: what the server does next: it `closes` the connection in order, `resets` it, or
            `holds` it without sending anything until `release` is called or `longest_hold` seconds
            are over, and then sends the rest.
        declares_length: whether the server declares the length of the body.
    """

    body: bytes
    status: int = 200
    sent: int | None = None
    then: Literal["closes", "resets", "holds"] = "closes"
    longest_hold: float | None = None
    declares_length: bool = True


class Server(ThreadingHTTPServer):
    """A server that gives its answers in turn, and then repeats the last one.

    Attributes:
        requests: the requested paths, in order.
        posted: the bodies of POST requests, in order.
        completed: the number of bodies that were sent completely.
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
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def release(self) -> None:
        """Let held answers continue, now and from now on."""
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
            self._send(answer)
        except OSError:
            # The client closed the connection, as it does when it times out or is killed.
            self.close_connection = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with self.server.lock:
            self.server.posted.append(body)
        self.do_GET()

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        if answer.declares_length:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        sent = len(answer.body) if answer.sent is None else answer.sent
        self.wfile.write(answer.body[:sent])
        if answer.then == "resets":
            # With this option, `close` resets the connection instead of ending it in order.
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
    """Run a server while the block runs."""
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
    """Return a port on which nothing listens: that of the obsolete discard protocol."""
    return 9
