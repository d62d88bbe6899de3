"""A worker that, told to stop, first lets its run give up the row it is at.

    python deploy/worker.py        with PREFECT_API_URL and NST_BATCH_HOME set

`prefect worker start` kills the run at once when it is stopped itself, which leaves the run Running
on Prefect's page and its place in the queue taken.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from flows.proxies import speak_directly
from tasks.signals import answer_signals, stop_signals

WORKER = [
    *(str(Path(sys.executable).parent / "prefect"), "worker", "start"),
    *("--pool", "nst-batch", "--type", "process", "--limit", "1"),
]


def children(process: int) -> set[int]:
    """The processes that a process started and that still live, on Linux."""
    found = set()
    for file in Path("/proc").glob("[0-9]*/stat"):
        # Processes end while the folder is read.
        with suppress(OSError):
            state, parent = file.read_text().rpartition(")")[2].split()[:2]
            if int(parent) == process and state != "Z":
                found.add(int(file.parent.name))
    return found


def end(worker: subprocess.Popen[bytes]) -> None:
    """Ask its run to end, which reports so itself, and then the worker.

    A worker whose run ended may take the next one at once, which is asked too.
    """
    asked: set[int] = set()
    while runs := children(worker.pid):
        for run in runs - asked:
            with suppress(ProcessLookupError):
                os.kill(run, signal.SIGTERM)
        asked |= runs
        time.sleep(0.1)
    worker.terminate()


def main() -> int:
    """Run a worker until it ends or is told to stop."""
    # A shell has what it starts with `&` ignore Ctrl-C; a worker that inherited this would never
    # end, as a SIGINT to itself is how it does.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    speak_directly(os.environ.get("PREFECT_API_URL"))
    # Ctrl-C in a terminal shall reach us alone.
    worker = subprocess.Popen(WORKER, start_new_session=True)

    def stop(*_: object) -> None:
        for number in stop_signals():
            signal.signal(number, signal.SIG_IGN)
        end(worker)

    answer_signals(stop)
    return worker.wait()


if __name__ == "__main__":
    sys.exit(main())
