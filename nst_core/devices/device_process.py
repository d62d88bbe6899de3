"""The process of a device: it does the work that it receives, one after the other.

    python -P device_process.py DESCRIPTOR DEVICE

Only `nst_core.devices.processes` starts it, and describes the messages. DEVICE only tells people
what they see in a list of processes. It imports nothing of ours before it knows where its parent
imports from, so it can be run by its path, whatever folder the run was started in. It has every
stop signal blocked: its parent decides when it ends.
"""

import gc
import logging
import multiprocessing.connection
import os
import pickle
import queue
import sys
import threading
import traceback
from contextlib import suppress
from functools import partial
from logging.handlers import QueueHandler
from pathlib import Path

ADJUSTMENT = Path("/proc/self/oom_score_adj")
FIRST_TO_BE_KILLED = "1000"

CONNECTION = getattr(
    multiprocessing.connection, "PipeConnection", multiprocessing.connection.Connection
)
"""The kind of connection that `multiprocessing.Pipe` makes; on Windows, it is another one."""


class Parent:
    """The connection to the process that started this one; this process ends with it."""

    def __init__(self, descriptor: int) -> None:
        self._connection = CONNECTION(descriptor)
        self._sending = threading.Lock()
        self._work: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        sys.path[:] = self._connection.recv()

    def listen(self) -> None:
        """Queue work as it arrives, and obey notices at once; end with the parent."""
        while True:
            try:
                kind, data = self._connection.recv()
            except (EOFError, OSError):
                # Also in the middle of a row: whoever started the run may start it again now.
                os._exit(0)
            if kind == "notice":
                pickle.loads(data)()
            else:
                self._work.put(data)

    def next_work(self) -> bytes:
        """Wait for the next work, and return it pickled."""
        return self._work.get()

    def send(self, kind: str, content: object) -> None:
        """Send a message, from any thread."""
        try:
            with self._sending:
                self._connection.send((kind, content))
        except OSError:
            os._exit(0)

    def put_nowait(self, record: logging.LogRecord) -> None:
        """Send a line of a log; this is what a `QueueHandler` calls."""
        self.send("logged", record)


def do(work: bytes, parent: Parent) -> tuple[str, object]:
    """Do some work, and return the answer: its result, or its exception."""
    try:
        return "returned", pickle.loads(work)(partial(parent.send, "said"))
    except Exception as error:  # noqa: BLE001 - passed on to the parent
        return "raised", described(error)


def described(error: BaseException) -> tuple[list[BaseException], str]:
    """Return an exception and its causes, as they can be sent, and the text of its traceback."""
    text = "".join(traceback.format_exception(error))
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and len(chain) < 10:
        chain.append(sendable(cause))
        cause = cause.__cause__
    return chain, text


def sendable(error: BaseException) -> BaseException:
    """Return a copy of an exception, without its traceback; if it has none, one that names it."""
    with suppress(Exception):
        copy: BaseException = pickle.loads(pickle.dumps(error))
        if type(copy) is type(error):
            # Libraries may make pickle copy these, too.
            copy.__cause__ = copy.__context__ = None
            return copy.with_traceback(None)
    return RuntimeError(f"{type(error).__name__}: {error}")


def main(descriptor: int) -> None:
    """Do the work that arrives at a descriptor until its other end is closed."""
    # Anybody may make the kernel prefer their own process when it runs out of memory.
    with suppress(OSError):
        ADJUSTMENT.write_text(FIRST_TO_BE_KILLED)
    parent = Parent(descriptor)
    logging.getLogger().addHandler(QueueHandler(parent))  # type: ignore[arg-type]
    threading.Thread(target=parent.listen, daemon=True).start()
    while True:
        kind, content = do(parent.next_work(), parent)
        # What the work held is free before the parent looks at what is free for the next.
        gc.collect()
        parent.send(kind, content)
        del content


if __name__ == "__main__":
    main(int(sys.argv[1]))
