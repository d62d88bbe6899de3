"""Photographs that arrive in a folder while it is watched."""

import csv
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.conftest import QUICK, Shell, make_shell
from tests.object_storage import object_storage

pytestmark = pytest.mark.nights
WATCH = ["watch", "inbox", "--style", "s.png", "--output", "out", "--every", "0.5"]


@pytest.fixture
def watching(tmp_path: Path, server_url: str) -> Shell:
    shell = make_shell(tmp_path, server_url)
    (shell.folder / "inbox").mkdir()
    return shell


def start(shell: Shell, *arguments: str) -> "tuple[subprocess.Popen[str], Path]":
    """Start a watch, and return it with the file to which it prints."""
    shown = shell.folder / "shown.txt"
    with shown.open("w") as file:
        process = subprocess.Popen(
            [*shell.command, *arguments],
            cwd=shell.folder,
            env=shell.environment,
            stdout=file,
            stderr=subprocess.PIPE,
            text=True,
        )
    return process, shown


def until(condition: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 240
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)


def statuses(shell: Shell) -> dict[str, str]:
    try:
        with (shell.folder / "out" / "summary.csv").open(newline="") as file:
            return {Path(row["content"]).name: row["status"] for row in csv.DictReader(file)}
    except FileNotFoundError:
        return {}


def ended_by(number: signal.Signals, process: "subprocess.Popen[str]") -> tuple[int, str]:
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors


def test_pictures_are_done_as_they_come_and_a_bad_one_ends_nothing(watching: Shell) -> None:
    inbox = watching.folder / "inbox"
    process, shown = start(watching, *WATCH, *QUICK)
    watching.picture("inbox/a.png", 1)
    until(lambda: statuses(watching) == {"a.png": "done"}, process)
    # Somebody copies a picture slowly.
    data = (inbox / "a.png").read_bytes()
    with (inbox / "b.png").open("wb") as slow:
        slow.write(data[:60])
        slow.flush()
        (inbox / "bad.png").write_text("no picture")
        for at in range(60, 160, 10):
            time.sleep(0.1)
            slow.write(data[at : at + 10])
            slow.flush()
        slow.write(data[160:])
    until(lambda: statuses(watching).get("b.png") in ("done", "cached"), process)
    until(lambda: statuses(watching).get("bad.png") == "invalid", process)
    watching.picture("inbox/c.png", 3)
    until(lambda: statuses(watching).get("c.png") == "done", process)
    # Until this is said, the run is not over.
    until(lambda: "1 done, 2 cached, 1 invalid; " in shown.read_text(), process)
    manifest = (watching.folder / "out" / "manifest.csv").read_text()
    assert manifest.splitlines()[1].startswith("../inbox/a.png,../s.png,a_s,")
    assert manifest.count("\n") == 5
    code, errors = ended_by(signal.SIGINT, process)
    assert (code, errors) == (1, ""), "one picture has no result"
    assert "watching inbox every 0.5 s; Ctrl-C ends it" in shown.read_text()
    # The same command goes on where this one ended.
    (inbox / "bad.png").unlink()
    again, shown = start(watching, *WATCH, *QUICK)
    watching.picture("inbox/d.png", 4)
    until(lambda: "1 done, 3 cached" in shown.read_text(), again)
    assert statuses(watching) == {"a.png": "cached", "b.png": "cached", "c.png": "cached"} | {
        "d.png": "done"
    }
    assert ended_by(signal.SIGTERM, again)[0] == 0


def test_a_watch_that_is_stopped_in_a_row_resumes_it(watching: Shell) -> None:
    slow = ["--size", "64", "--steps", "10000", "--octaves", "1", "--tolerance", "0"]
    slow += ["--optimizer", "adam", "--save-every", "10"]
    watching.picture("inbox/a.png", 1, height=64, width=64)
    process, _ = start(watching, *WATCH, *slow)
    begun = watching.folder / "out" / "intermediates" / "a_s" / "000010.png"
    until(begun.exists, process)
    code, errors = ended_by(signal.SIGINT, process)
    assert code == 130
    assert "interrupted; finished rows are kept; rerun the same command to resume" in errors
    assert statuses(watching) == {"a.png": "interrupted"}
    done = watching.run(*WATCH, *slow, "--budget", "4s")
    assert done.returncode == 4
    assert statuses(watching)["a.png"] in ("interrupted", "pending")


def test_a_folder_in_object_storage_is_watched(watching: Shell) -> None:
    watching.picture("a.png", 1)
    with object_storage() as bucket:
        cloud = Shell(watching.folder, watching.environment | bucket.environment)
        for name in ("a.png", "s.png"):
            bucket.put(f"in/{name}", (cloud.folder / name).read_bytes())
        places = ["s3://pictures/in/a*.png", "--style", "s3://pictures/in/s.png"]
        places += ["--output", "s3://pictures/out", "--cache", "s3://pictures/cache"]
        process, shown = start(cloud, "watch", *places, "--every", "0.5", *QUICK)
        until(lambda: "out/pictures/a_s.png" in bucket.names(), process)
        bucket.put("in/a2.png", cloud.picture("a2.png", 2).read_bytes())
        until(lambda: "1 done, 1 cached; " in shown.read_text(), process)
        assert ended_by(signal.SIGTERM, process) == (0, "")
        assert {"out/pictures/a2_s.png", "out/summary.csv"} <= set(bucket.names())
        rows = bucket.get("out/manifest.csv").decode().splitlines()[1:]
    assert [row.split("/in/")[1].split(",")[0] for row in rows] == ["a.png", "a2.png"]


def test_a_watch_that_cannot_begin_says_why(watching: Shell) -> None:
    done = watching.run("watch", "nowhere", "--style", "s.png", "--output", "out")
    assert (done.returncode, done.stdout) == (2, "")
    why = "error: nowhere: cannot be read: No such file or directory; check the path"
    assert done.stderr.startswith(why)
    done = watching.run("watch", "inbox", "--output", "out")
    assert (done.returncode, done.stderr) == (2, "error: expected --style PICTURE\n")
    assert not (watching.folder / "out").exists()
