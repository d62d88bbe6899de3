"""What a run loads and starts: no Prefect if it has nothing to do, and one server if it has.

Modules and processes are counted here; `benchmarks/start.py` measures the time of a start.
"""

import fcntl
import json
import re
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.end_to_end.conftest import QUICK, Shell, make_shell
from tests.pictures import write_csv

HEADER = ("content", "style", "output")
DONE = (("a.png", "s.png", "one"), ("b.png", "t.png", "two"))

COUNTING = """
import json, sys
starts = []
def note(event, arguments):
    if event == "subprocess.Popen" and "server_process.py" in str(arguments[1]):
        starts.append(arguments)
sys.addaudithook(note)
sys.argv[1:] = {arguments!r}
from flows.cli.app import main
try:
    main()
except SystemExit as end:
    code = end.code
loaded = [name for name in ("prefect", "tensorflow") if name in sys.modules]
print("\\n" + json.dumps([code, len(starts), loaded, len(sys.modules)]))
"""


class Cost(NamedTuple):
    """What a command cost: its exit code, the servers that it started, and what it loaded."""

    code: int
    starts: int
    loaded: list[str]
    modules: int


def cost_of(shell: Shell, *arguments: str) -> Cost:
    shown = shell.python(COUNTING.format(arguments=[*arguments])).stdout
    return Cost(*json.loads(shown.splitlines()[-1]))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Path:
    """Return a folder with a manifest `m.csv` whose rows are done in `out`."""
    shell = make_shell(tmp_path_factory.mktemp("done"), server_url)
    write_csv(shell.folder / "m.csv", HEADER, *DONE)
    first = shell.run("run", "m.csv", "--output", "out", *QUICK)
    assert first.returncode == 0, first.stderr
    return shell.folder


@pytest.fixture
def finished(done: Path, new_shell: Shell) -> Shell:
    """Return a shell without a server, with a finished batch of its own."""
    shutil.copytree(done, new_shell.folder, dirs_exist_ok=True)
    return new_shell


RUN = ("run", "m.csv", "--output", "out", *QUICK)


def test_a_batch_that_is_done_starts_no_server_and_loads_no_prefect(finished: Shell) -> None:
    cost = cost_of(finished, *RUN)
    assert cost[:3] == (0, 0, [])
    # Half of them are those of pandas and pyarrow, which write the table.
    assert cost.modules < 1600
    assert not list(Path(finished.environment["PREFECT_HOME"]).glob("nst-batch*"))


def test_a_batch_with_a_row_to_run_starts_one_server(lone_shell: Shell) -> None:
    write_csv(lone_shell.folder / "m.csv", HEADER, *DONE)
    cost = cost_of(lone_shell, *RUN)
    assert cost[:3] == (0, 1, ["prefect", "tensorflow"])


def test_a_server_that_a_profile_names_is_used_for_a_batch_that_is_done(
    finished: Shell, server_url: str
) -> None:
    profiles = Path(finished.environment["PREFECT_HOME"]) / "profiles.toml"
    profiles.parent.mkdir(parents=True, exist_ok=True)
    profiles.write_text(f'active = "ours"\n[profiles.ours]\nPREFECT_API_URL = "{server_url}"\n')
    assert cost_of(finished, *RUN)[:3] == (0, 0, ["prefect"])


@pytest.mark.parametrize("command", ["check", "plan"])
def test_looking_at_a_batch_that_is_done_starts_nothing(finished: Shell, command: str) -> None:
    cost = cost_of(finished, command, *RUN[1:4], *QUICK)
    assert cost[:3] == (0, 0, [])
    assert cost.modules < 1100


MISSING = ("missing.png", "s.png", "three")
CASES = {
    "all done": (DONE, ()),
    "a row cannot run": ((*DONE, MISSING), ()),
    "a row cannot run, and must": ((*DONE, MISSING), ("--strict",)),
    "some rows": (DONE, ("--only", "2")),
    "no row that failed": (DONE, ("--only", "failed")),
    "a limit": (DONE, ("--limit", "1", "--until", "23:59 Asia/Tokyo")),
    "other names, and a row twice": (((*DONE[0][:2], "uno"), DONE[1], (*DONE[0][:2], "due")), ()),
    "one row less": (DONE[:1], ("--json",)),
    "other columns": ((("a.png", "s.png", "../one"), DONE[1]), ()),
}


IN_SHORT = ("all done", "a row cannot run")
"""The cases that are always tried; the nights try them all."""


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=[] if case in IN_SHORT else pytest.mark.nights) for case in CASES],
)
def test_without_a_server_everything_is_as_with_one(
    finished: Shell, server_url: str, case: str
) -> None:
    rows, options = CASES[case]
    write_csv(finished.folder / "m.csv", HEADER, *rows)
    served = Shell(finished.folder, finished.environment | {"PREFECT_API_URL": server_url})
    found = []
    for shell, output in ((served, "with"), (finished, "alone")):
        shutil.copytree(shell.folder / "out", shell.folder / output)
        ended = shell.run("run", "m.csv", "--output", output, *QUICK, *options)
        written = files_of(shell.folder / output)
        # The one thing that the other run does not do.
        said = plain(ended.stdout).removeprefix("loading Prefect ...\n" * (shell is served))
        found.append((ended.returncode, said, plain(ended.stderr), written))
    for with_server, without in zip(*found, strict=True):
        assert without == with_server
    assert not list(Path(finished.environment["PREFECT_HOME"]).glob("nst-batch*"))


def plain(text: str) -> str:
    """Return a text without what differs between two runs in two folders."""
    text = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?([+-]\d\d:\d\d)?", "NOW", text)
    text = re.sub(r"\w+day, \d\d \w+ \d{4}, \d\d:\d\d", "NOW", text)
    text = re.sub(r"process \d+", "process ID", text)
    return re.sub(r"\b(with|alone)\b", "OUTPUT", text)


def files_of(folder: Path) -> dict[str, object]:
    """Return the files of an output folder by name: texts as `plain`, others as their bytes."""
    found: dict[str, object] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name, data = str(path.relative_to(folder)), path.read_bytes()
        if path.suffix == ".parquet" or path.name == "libraries.log":
            data = b""  # the time is in it, or Prefect's own messages
        try:
            found[name] = plain(data.decode())
        except UnicodeDecodeError:
            found[name] = data
    return found


def test_without_a_server_the_lock_and_the_errors_are_as_with_one(finished: Shell) -> None:
    with (finished.folder / "out" / ".nst-batch" / "lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        second = finished.run(*RUN)
    assert (second.returncode, second.stdout) == (2, "reading the manifest ...\n")
    assert "another run is writing there" in second.stderr
