"""A worker that, when stopped, first lets its run give up the active row.

    python deploy/worker.py [OPTION...]    with PREFECT_API_URL and NST_BATCH_HOME set

The options are those of `prefect worker start`, such as --with-healthcheck.

When `prefect worker start` is stopped, it kills the run at once. The run then stays Running in the
Prefect UI, and keeps its place in the queue.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from flows.process.proxies import bypass_proxies
from flows.process.signals import answer_signals, stop_signals

WORKER = [
    *(str(Path(sys.executable).parent / "prefect"), "worker", "start"),
    *("--pool", "nst-batch", "--type", "process", "--limit", "1"),
]


def children(process: int) -> set[int]:
    """Return the living processes that a process started, on Linux."""
    found = set()
    for file in Path("/proc").glob("[0-9]*/stat"):
        # Processes may end while the folder is read.
        with suppress(OSError):
            state, parent = file.read_text().rpartition(")")[2].split()[:2]
            if int(parent) == process and state != "Z":
                found.add(int(file.parent.name))
    return found


def end(worker: subprocess.Popen[bytes]) -> None:
    """Ask the worker's run to end and to report that itself, and then end the worker.

    A worker whose run ended may start the next one at once; that run is asked, too.
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
    """Run a worker until it ends or is asked to stop."""
    # A shell makes what it starts with `&` ignore Ctrl-C. A worker that inherited this would never
    # end, because it ends by sending SIGINT to itself.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    bypass_proxies(os.environ.get("PREFECT_API_URL"))
    # Ctrl-C in a terminal must reach only this process.
    worker = subprocess.Popen([*WORKER, *sys.argv[1:]], start_new_session=True)

    def stop(*_: object) -> None:
        for number in stop_signals():
            signal.signal(number, signal.SIG_IGN)
        end(worker)

    answer_signals(stop)
    return worker.wait()


if __name__ == "__main__":
    sys.exit(main())
