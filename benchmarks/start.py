"""Measure where the seconds of a start go: help, a batch that is done, and a row's first step.

    python benchmarks/start.py [--rows 1000] [--runs 5]

The three kinds of processes run in turn, without a server that is named. The rows that are done are
made first, by a stylizer that returns the content. Figures are medians of all runs but the first;
the CPU seconds are those of the command's own process, without those of the server.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

DONE = """
import sys
from flows.process import environment
environment.prepare()
from nst_core.images.levels import to_levels
from nst_core.transfer import stylize
from nst_core.transfer.losses.terms import LOSS_TERMS, Losses
from nst_core.transfer.outcomes import Outcome

LOSSES = Losses(0.0, dict.fromkeys(LOSS_TERMS, 0.0), {})

def nothing(encoder, content, targets, settings, *, seed, **options):
    pixels = to_levels(content)
    pixels.flat[:2] = divmod(seed % 65536, 256)
    return Outcome(pixels, LOSSES, LOSSES, 0, 0, "steps", 0)
    yield

stylize.iterates = nothing
from flows.cli.main import main
main()
"""

TIMED = """
import json, os, resource, sys, time

def note(phase):
    if phase not in noted:
        used = resource.getrusage(resource.RUSAGE_SELF)
        noted[phase] = time.time() - float(os.environ["STARTED"]), used.ru_utime + used.ru_stime

def on_event(event):
    kind = type(event).__name__
    note(f"{kind} {min(event.step, 1)}" if kind == "RowStepped" else kind)

def on_audit(event, arguments):
    if event == "subprocess.Popen" and "server_process.py" in str(arguments[1]):
        note("ServerStarted")

noted = {}
sys.addaudithook(on_audit)
from tasks.events import subscribed
from flows.cli.main import main
try:
    with subscribed(on_event):
        main()
except SystemExit as end:
    code = end.code
note("End")
with open(os.environ["NOTED"], "w") as file:
    json.dump({"code": code, "modules": len(sys.modules), "noted": noted}, file)
sys.exit(code)
"""

PHASES = {
    "help": {"imports, and the help": "End"},
    "done": {
        "imports, and the first picture examined": "PictureExamined",
        "all rows examined, finished ones found": "RowsPlanned",
        "table": "TableWritten",
        "page": "GalleryWritten",
        "end": "End",
    },
    "first step": {
        "imports, and the first picture examined": "PictureExamined",
        "until the server's process starts": "ServerStarted",
        "the server starts; imports of Prefect and TensorFlow": "RowsPlanned",
        "the targets of the style": "RowStarted",
        "the row's pictures, and its first loss": "RowStepped 0",
        "tracing, and the first ten steps": "RowStepped 1",
    },
}
"""The phases of each kind of process, and the events at which they end."""


def command_of(kind: str, folder: Path) -> list[str]:
    """Return the arguments of a kind of process."""
    if kind == "help":
        return ["--help"]
    if kind == "done":
        return ["run", str(folder / "many.csv"), "--output", str(folder / "many")]
    fresh = Path(tempfile.mkdtemp(dir=folder))
    own = ["--output", str(fresh / "out"), "--cache", str(fresh / "cache"), "--steps", "10"]
    return ["run", str(folder / "one.csv"), *own]


def timed(kind: str, folder: Path) -> tuple[dict[str, tuple[float, float]], int]:
    """Run a process; return the wall and CPU seconds of its phases, and its number of modules."""
    started = time.time()
    extra = {"STARTED": str(started), "NOTED": str(folder / "noted.json")}
    run([sys.executable, "-c", TIMED, *command_of(kind, folder)], folder, **extra)
    ended = time.time() - started
    result = json.loads((folder / "noted.json").read_text())
    found, earlier = {}, (0.0, 0.0)
    for phase, event in PHASES[kind].items():
        wall, cpu = result["noted"][event]
        found[phase] = wall - earlier[0], cpu - earlier[1]
        earlier = wall, cpu
    # The rest of the row is not a part of the start.
    found["in all"] = earlier if kind == "first step" else (ended, earlier[1])
    return found, result["modules"]


def run(command: list[str], folder: Path, **extra: str) -> None:
    """Run a process that must succeed, without settings of Prefect's but a home of its own."""
    inherited = {name: value for name, value in os.environ.items() if "PREFECT" not in name}
    own = {"PREFECT_HOME": str(folder / "prefect"), "NST_BATCH_CACHE": str(folder / "cache")}
    environment = inherited | own | extra
    subprocess.run(command, check=True, capture_output=True, env=environment, cwd=folder)


def rows_of(folder: Path, count: int) -> Iterator[str]:
    """Yield rows of a manifest, all of them different, with the pictures of the demo."""
    contents, styles = (sorted((folder / name).iterdir()) for name in ("contents", "styles"))
    for number in range(count):
        content, style = contents[number % len(contents)], styles[number % len(styles)]
        yield f"{content},{style},{number + 1}"


def prepare(folder: Path, count: int) -> None:
    """Write the manifests, and finish the rows of one of them."""
    run([sys.executable, "-m", "flows.cli.main", "demo", str(folder)], folder)
    for name, rows in (("many", count), ("one", 1)):
        lines = ["content,style,style_weight", *rows_of(folder, rows)]
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    run([sys.executable, "-c", DONE, *command_of("done", folder)], folder)


def main() -> None:
    """Print a table of each kind of process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, options.rows)
        found = [{kind: timed(kind, folder) for kind in PHASES} for _ in range(options.runs + 1)][
            1:
        ]
    for kind in PHASES:
        _, modules = found[0][kind]
        print(f"\n| {kind}: {modules} modules | seconds | CPU seconds |\n|---|---|---|")
        for phase in found[0][kind][0]:
            pairs = [each[kind][0][phase] for each in found]
            wall, cpu = (statistics.median(values) for values in zip(*pairs, strict=True))
            print(f"| {phase} | {wall:.2f} | {cpu:.2f} |")


if __name__ == "__main__":
    main()
