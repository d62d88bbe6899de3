"""Measure what grows from night to night: memory, open files, threads, Prefect's database.

    python benchmarks/long_nights.py [--rows 10000] [--nights 10] [--styles 50] [--keep DIR]

All nights run in one process, one after the other, each into a folder of its own, through the real
flow and against one real server. The stylizer does nothing but return a tiny picture, so each night
ends as fast as everything around it allows.
"""

import argparse
import json
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.metadata import version
from pathlib import Path

import psutil
from many_rows import Server, settled, write_manifest

NIGHTS = """
import sys, time
from pathlib import Path
from flows.process import environment
environment.prepare()
import numpy as np
from nst_core.transfer import stylize
from nst_core.transfer.stylize import Outcome
from nst_core.transfer.losses.terms import LOSS_TERMS, Losses

PIXELS = np.zeros((16, 16, 3), np.uint8)
LOSSES = Losses(0.0, dict.fromkeys(LOSS_TERMS, 0.0), {})

def nothing(*arguments, **options):
    return Outcome(PIXELS, LOSSES, LOSSES, 0, 0, "steps", 0)
    yield

stylize.iterates = nothing
from flows.stylize_manifest import stylize_manifest
folder = Path(sys.argv[1])
for night in sys.stdin:
    started = time.perf_counter()
    state = stylize_manifest(
        folder / "m.csv", folder / night.strip(), cache=folder / "cache", return_state=True
    )
    print("night", time.perf_counter() - started, state.message, flush=True)
"""

TABLES = ("flow_run", "task_run", "task_run_state", "log", "artifact", "events", "event_resources")


def resources(process: psutil.Process) -> dict[str, float]:
    """Return the memory in MB, the open file descriptors and the threads of a process."""
    with process.oneshot():
        memory = process.memory_info().rss / 1e6
        return {"mb": memory, "files": process.num_fds(), "threads": process.num_threads()}


@contextmanager
def peaks_of(process: psutil.Process) -> Iterator[dict[str, float]]:
    """Yield the peaks of a process's resources, which grow while the context lasts."""
    peaks, over = resources(process), threading.Event()

    def watch() -> None:
        while not over.wait(0.5):
            for name, found in resources(process).items():
                peaks[name] = max(peaks[name], found)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peaks
    finally:
        over.set()
        watcher.join()


def rows_of_tables(server: Server) -> dict[str, int]:
    """Return how many rows the largest tables of the server's database have."""
    with closing(sqlite3.connect(server.home / "prefect.db", timeout=60)) as database:
        return {
            table: database.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
            for table in TABLES
        }


def one_night(nights: "subprocess.Popen[str]", folder: Path, number: int) -> tuple[float, str]:
    """Let a night run; return its seconds and the message of its final state."""
    assert nights.stdin is not None
    assert nights.stdout is not None
    output = f"out{number}"
    print(output, file=nights.stdin, flush=True)
    for line in nights.stdout:
        if line.startswith("night "):
            _, seconds, message = line.strip().split(" ", 2)
            shutil.rmtree(folder / output)
            return float(seconds), message
    raise SystemExit("the process of the nights ended")


def measure(folder: Path, server: Server, count: int) -> None:
    """Print a line of a Markdown table for each night, and then the sizes of the tables."""
    with (folder / "nights.log").open("w") as log:
        nights = subprocess.Popen(
            [sys.executable, "-c", NIGHTS, str(folder)],
            env=server.environment | {"PREFECT_API_URL": server.url},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    own, served = psutil.Process(nights.pid), psutil.Process(server.process.pid)
    print(
        "| night | seconds | peak MB | files | threads | server: peak MB | files | threads "
        "| database MB | task runs recorded |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    for number in range(1, count + 1):
        with peaks_of(own) as peaks, peaks_of(served) as server_peaks:
            seconds, message = one_night(nights, folder, number)
            recorded, _ = settled(server)
        cells = [f"{found:.0f}" for found in (*peaks.values(), *server_peaks.values())]
        print(
            f"| {number} ({message}) | {seconds:.0f} | {' | '.join(cells)} "
            f"| {server.database_mb():.0f} | {recorded} |",
            flush=True,
        )
    nights.communicate()
    print("\nrows in the database:", json.dumps(rows_of_tables(server)))


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10000)
    parser.add_argument("--nights", type=int, default=10)
    parser.add_argument("--styles", type=int, default=50)
    parser.add_argument("--keep", type=Path, help="a new folder, for the server's database")
    options = parser.parse_args()
    print(
        f"{os.cpu_count()} cores {platform.machine()}, Python {platform.python_version()}, "
        f"Prefect {version('prefect')}, {options.rows} rows a night\n",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as name:
        folder, home = Path(name), options.keep or Path(name, "prefect")
        home.mkdir()
        write_manifest(folder, options.rows, options.styles)
        server = Server(home)
        try:
            measure(folder, server, options.nights)
        finally:
            server.end()


if __name__ == "__main__":
    main()
