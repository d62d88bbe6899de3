"""Measure what Prefect and our code cost with very many rows: time, memory, server latency.

    python benchmarks/many_rows.py [--rows 100 1000 10000] [--styles 50]

Each number of rows runs through the real flow against a new server, with a stylizer that does
nothing, so that rows end as fast as everything around them allows. A second night with the same
rows follows.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

from nst_core.images.write import encode_png
from nst_core.storage.files import write_atomic

BATCH = """
import json, resource, sys, time
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
started = time.perf_counter()
state = stylize_manifest(
    folder / "m.csv", folder / "out", cache=folder / "cache", return_state=True
)
print(json.dumps({
    "state": state.name,
    "message": state.message,
    "seconds": time.perf_counter() - started,
    "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
}))
"""


def write_manifest(folder: Path, rows: int, styles: int) -> None:
    """Write tiny pictures, all of them different, and a manifest of all their pairs."""
    contents = rows // styles
    for kind, count in (("c", contents), ("s", styles)):
        for number in range(count):
            pixels = np.full((16, 16, 3), 0.2, np.float32)
            pixels.flat[number % 700] = (number // 700 + 1) / 50 + (0.5 if kind == "s" else 0.0)
            write_atomic(folder / f"{kind}{number}.png", encode_png(pixels))
    lines = [f"c{c}.png,s{s}.png" for c in range(contents) for s in range(styles)]
    (folder / "m.csv").write_text("content,style\n" + "\n".join(lines) + "\n")


class Server:
    """`prefect server start` with a database of its own, watched from another thread."""

    def __init__(self, home: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.home, self.url = home, f"http://127.0.0.1:{port}/api"
        self.environment = os.environ | {
            "PREFECT_HOME": str(home),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
        }
        prefect = str(Path(sys.executable).parent / "prefect")
        command = [prefect, "server", "start", "--host", "127.0.0.1", "--port", str(port)]
        with (home / "server.log").open("w") as log:
            self.process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        self.answers: list[float] = []
        self.peak_mb = 0.0
        self.watching = threading.Event()
        for _ in range(360):
            if self.ask() is not None:
                break
            time.sleep(0.5)
        self.answers.clear()

    def ask(self) -> str | None:
        """Ask for the number of task runs, as the page does; None if no answer comes in time."""
        body = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/task_runs/count", b"{}", body)
        started = time.perf_counter()
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                count = answer.read().decode()
        except OSError:
            count = None
        self.answers.append(time.perf_counter() - started if count else float("inf"))
        return count

    def watch(self) -> None:
        """Query the server and measure its memory every second, until `watching` is set."""
        process = psutil.Process(self.process.pid)
        while not self.watching.wait(1):
            self.ask()
            family = [process, *process.children(recursive=True)]
            resident = sum(member.memory_info().rss for member in family) / 1e6
            self.peak_mb = max(self.peak_mb, resident)

    def database_mb(self) -> float:
        """Return the size of the SQLite database, including its journal."""
        return sum(path.stat().st_size for path in self.home.glob("prefect.db*")) / 1e6

    def end(self) -> None:
        """Ask the server to terminate, and wait until it has terminated."""
        self.process.terminate()
        self.process.wait(60)


def settled(server: Server) -> tuple[str | None, float]:
    """Return the count of task runs once it stops changing, and how many seconds that took."""
    started, before = time.perf_counter(), None
    while time.perf_counter() - started < 600:
        now = server.ask()
        if now == before:
            break
        before = now
        time.sleep(10)
    return before, time.perf_counter() - started


def night(folder: Path, server: Server) -> dict[str, object]:
    """Run the manifest once, and return what it cost."""
    server.answers.clear()
    server.watching.clear()
    watcher = threading.Thread(target=server.watch)
    watcher.start()
    ran = subprocess.run(
        [sys.executable, "-c", BATCH, str(folder)],
        env=server.environment | {"PREFECT_API_URL": server.url},
        capture_output=True,
        text=True,
        check=False,
    )
    server.watching.set()
    watcher.join()
    if ran.returncode:
        return {"failed": ran.stderr[-2000:]}
    result = json.loads(ran.stdout.splitlines()[-1])
    table = pd.read_csv(folder / "out" / "summary.csv")
    wanted = [line.split(",")[0] for line in (folder / "m.csv").read_text().splitlines()[1:]]
    in_order = list(table["content"]) == wanted and table["line"].is_monotonic_increasing
    answers = np.array(server.answers or [0.0])
    task_runs, lag = settled(server)
    return result | {
        "complete_and_in_order": in_order,
        "server_peak_mb": server.peak_mb,
        "answer_median_s": float(np.median(answers)),
        "answer_longest_s": float(answers.max()),
        "unanswered": int(np.isinf(answers).sum()),
        "database_mb": server.database_mb(),
        "task_runs": task_runs,
        "recorded_after_s": lag,
    }


def main() -> None:
    """Print what each night of each size cost, as one line of JSON per night."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[100, 1000, 10000])
    parser.add_argument("--styles", type=int, default=50)
    options = parser.parse_args()
    for rows in options.rows:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "prefect").mkdir()
            write_manifest(folder, rows, options.styles)
            server = Server(folder / "prefect")
            try:
                for number in ("first", "second"):
                    cost = night(folder, server)
                    print(json.dumps({"rows": rows, "night": number} | cost), flush=True)
            finally:
                server.end()


if __name__ == "__main__":
    main()
