"""`nst-batch run` as a user runs it, also when it is killed."""

import fcntl
import json
import os
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from tests.end_to_end.conftest import COMMAND, QUICK, Shell, make_shell
from tests.end_to_end.test_commands import bad_manifest  # noqa: F401 - a fixture
from tests.pictures import write_csv

HEADER = ("content", "style")


def grid(shell: Shell) -> Path:
    rows = [(content, style) for content in ("a.png", "b.png") for style in ("s.png", "t.png")]
    return write_csv(shell.folder / "grid.csv", HEADER, *rows)


def table_of(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "summary.csv").set_index("line")


@pytest.mark.nights
def test_good_rows_run_and_bad_rows_are_invalid(shell: Shell, bad_manifest: Path) -> None:  # noqa: F811
    result = shell.run("run", bad_manifest, "--output", "out", *QUICK)
    assert result.returncode == 1
    assert "Traceback" not in result.stdout + result.stderr
    table = table_of(shell.folder / "out")
    assert list(table["status"]) == ["invalid"] * 5 + ["done"]
    assert list(table.index) == [2, 3, 4, 5, 6, 7]
    assert Image.open(shell.folder / "out" / table.loc[7, "picture"]).size == (32, 24)
    assert "1 done, 5 invalid" in result.stdout


def test_strict_runs_nothing_if_a_row_is_bad(shell: Shell, bad_manifest: Path) -> None:  # noqa: F811
    strict = shell.run("run", bad_manifest, "--output", "strict", "--strict", *QUICK)
    assert strict.returncode == 2
    assert "line 5, column content_weight" in strict.stderr
    assert "Traceback" not in strict.stdout + strict.stderr
    assert not list((shell.folder / "strict" / "pictures").iterdir())


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Shell:
    """Return a shell with a finished batch, for tests that leave it finished."""
    shell = make_shell(tmp_path_factory.mktemp("finished"), server_url)
    arguments = ["run", str(grid(shell)), "--output", "out", *QUICK]
    # These modules take seconds to load, and are not needed.
    first = shell.run_and_then(
        arguments,
        "assert not {'keras', 'tf_keras', 'matplotlib'} & set(sys.modules)\n"
        "assert not [name for name in sys.modules if name.startswith('__autograph_generated')]\n",
    )
    assert first.stderr == ""
    assert "4 done" in first.stdout
    assert "[4/4]" in first.stdout
    return shell


def test_the_second_run_does_nothing_and_reports_it(finished: Shell) -> None:
    second = finished.run("run", grid(finished), "--output", "out", "--json", *QUICK)
    assert (second.returncode, second.stderr) == (0, "")
    report = json.loads(second.stdout)
    assert report["counts"] == {"cached": 4}
    assert [row["status"] for row in report["rows"]] == ["cached"] * 4
    assert report["rows"][0]["error"] in ("", None)


@pytest.mark.nights
def test_a_run_into_another_folder_finds_the_style_targets(finished: Shell) -> None:
    other = finished.run("run", grid(finished), "--output", "other", "--json", *QUICK)
    report = json.loads(other.stdout)
    assert report["counts"] == {"done": 4}
    assert {row["style_targets"] for row in report["rows"]} == {"hit"}


def test_a_finished_batch_loads_no_tensorflow(finished: Shell) -> None:
    arguments = ["run", str(grid(finished)), "--output", "out", *QUICK]
    done = finished.run_and_then(
        arguments,
        "assert 'prefect' in sys.modules\nassert 'tensorflow' not in sys.modules\n",
    )
    assert "4 cached" in done.stdout


@pytest.mark.nights
def test_a_run_without_a_server_starts_one_and_stops_it(new_shell: Shell) -> None:
    """Proxies are set, and the pipe cannot encode a name."""
    name = new_shell.picture("caf\u00e9 \u2603.png", 7).name
    manifest = write_csv(new_shell.folder / "m.csv", HEADER, (name, "s.png"))
    dead_proxies = {"HTTP_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    new_shell.environment.update(dead_proxies, ALL_PROXY="socks5://127.0.0.1:9")
    new_shell.environment["PYTHONIOENCODING"] = "ascii:strict"
    result = new_shell.run("run", manifest, "--output", "out", *QUICK)
    assert (result.returncode, result.stderr) == (0, "")
    assert "1 done" in result.stdout
    assert "caf\\xe9 \\u2603" in result.stdout
    assert servers_of(new_shell) == []
    home = Path(new_shell.environment["PREFECT_HOME"])
    # The run does not use the database of a server that the user has, or will have.
    assert [path.name for path in home.glob("*.db")] == ["nst-batch.db"]


def servers_of(shell: Shell) -> list[int]:
    """Return the embedded servers whose environment is this shell's."""
    found = []
    marker = f"PREFECT_HOME={shell.environment['PREFECT_HOME']}".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            is_server = b"server_process" in (entry / "cmdline").read_bytes()
            if is_server and marker in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@pytest.mark.nights
def test_a_killed_run_resumes_where_it_was(lone_shell: Shell) -> None:
    shell = lone_shell
    contents = [shell.picture(f"{number}.png", 10 + number).name for number in range(6)]
    manifest = write_csv(
        shell.folder / "six.csv", HEADER, *((content, "s.png") for content in contents)
    )
    # A row takes long enough for a kill in the middle of the fourth.
    settings = ["--size", "48", "--steps", "150", "--octaves", "1", "--tolerance", "0"]
    pictures = shell.folder / "out" / "pictures"
    process = shell.start("run", manifest, "--output", "out", *settings)
    deadline = time.monotonic() + 240
    while len(list(pictures.glob("*.png"))) < 3:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    finished = {path: path.stat().st_mtime_ns for path in pictures.glob("*.png")}
    assert 3 <= len(finished) < 6
    for path in finished:
        Image.open(path).load()

    result = shell.run("run", manifest, "--output", "out", *settings)
    assert (result.returncode, result.stderr) == (0, "")
    table = table_of(shell.folder / "out")
    # The record of the last picture may not have been written before the kill.
    assert (table["status"] == "cached").sum() >= len(finished) - 1
    assert set(table["status"]) == {"cached", "done"}
    untouched = [path for path, written in finished.items() if path.stat().st_mtime_ns == written]
    assert len(untouched) >= len(finished) - 1
    assert sorted(path.name for path in pictures.iterdir()) == [f"{n}_s.png" for n in range(6)]
    for path in pictures.iterdir():
        Image.open(path).load()
    assert servers_of(shell) == [], "the killed run's server goes on without it"


@pytest.mark.nights
@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        *(pytest.param(each, marks=pytest.mark.torture) for each in (signal.SIGINT, signal.SIGHUP)),
    ],
)
def test_a_signal_stops_a_run_soon_and_it_reports_how_to_resume(shell: Shell, number: int) -> None:
    rows = [("a.png", "s.png"), ("b.png", "s.png")]
    manifest = write_csv(shell.folder / "m.csv", HEADER, *rows)
    endless = ["--size", "48", "--steps", "10000", "--octaves", "1", "--tolerance", "0"]
    process = shell.start("run", manifest, "--output", "out", "--save-every", "10", *endless)
    while not (shell.folder / "out" / "intermediates" / "a_s" / "000010.png").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    os.kill(process.pid, number)
    time.sleep(0.3)
    # A second signal does no harm.
    os.kill(process.pid, number)
    # The rows alone would take many minutes.
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, (output, errors)
    assert "stopping; the best picture so far" in errors
    assert "rerun the same command to resume" in errors
    assert "Traceback" not in output + errors
    out = shell.folder / "out"
    assert not list((out / "pictures").iterdir())
    assert list(table_of(out)["status"]) == ["interrupted", "pending"]
    assert Image.open(out / "interrupted" / "a_s.png").size == (48, 36)
    assert "interrupted/a_s.png" in (out / "gallery.html").read_text()


@pytest.mark.nights
def test_a_run_completes_although_nobody_reads_its_output(shell: Shell) -> None:
    """`nst-batch run ... | head -1` still completes the batch."""
    process = shell.start("run", grid(shell), "--output", "out", *QUICK)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(200) == 0
    assert list(table_of(shell.folder / "out")["status"]) == ["done"] * 4
    # The same holds if there is nowhere to write output to.
    command = shlex.join([*COMMAND, "run", "grid.csv", "--output", "out", *QUICK])
    closed = ["sh", "-c", f"exec {command} >/dev/full 2>&-"]
    ended = subprocess.run(
        closed, cwd=shell.folder, env=shell.environment, timeout=200, check=False
    )
    assert ended.returncode == 0
    assert list(table_of(shell.folder / "out")["status"]) == ["cached"] * 4


@pytest.mark.nights
def test_a_picture_that_is_made_again_is_reported(finished: Shell) -> None:
    (finished.folder / "out" / "pictures" / "a_s.png").write_bytes(b"damaged")
    again = finished.run("run", grid(finished), "--output", "out", *QUICK)
    assert again.returncode == 0
    assert "1 done, 3 cached" in again.stdout
    assert "warning: a_s.png is stylized again" in again.stderr
    assert "a_s.png" in again.stderr


def test_only_one_run_at_a_time_writes_to_an_output_folder(finished: Shell) -> None:
    with (finished.folder / "out" / ".nst-batch" / "lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        second = finished.run("run", grid(finished), "--output", "out", *QUICK)
    assert second.returncode == 2
    assert "another run is writing there" in second.stderr


def test_an_impossible_output_folder_is_reported_in_one_line(shell: Shell) -> None:
    (shell.folder / "file").write_text("")
    for output in ("file", "file/out"):
        result = shell.run("run", grid(shell), "--output", output, *QUICK)
        assert result.returncode == 2
        assert len(result.stderr.splitlines()) == 1
        assert "choose another folder" in result.stderr


@pytest.mark.nights
def test_unusable_manifests_and_settings_are_also_reported_as_json(shell: Shell) -> None:
    missing = shell.run("run", "no.csv", "--output", "out", "--json")
    assert (missing.returncode, "error" in json.loads(missing.stdout)) == (2, True)
    layers = shell.run("run", grid(shell), "--output", "out", "--style-layers", "nope", "--json")
    assert layers.returncode == 2
    assert "settings for the batch" in json.loads(layers.stdout)["error"]


def test_unwritable_places_are_reported_before_any_work(lone_shell: Shell) -> None:
    manifest = write_csv(lone_shell.folder / "m.csv", ("content", "style"), ("a.png", "s.png"))
    file = lone_shell.folder / "file"
    file.touch()
    lone_shell.environment["PREFECT_HOME"] = str(file / "home")
    result = lone_shell.run("run", manifest, "-o", file / "out", *QUICK)
    assert result.returncode == 2
    assert result.stdout == ""
    home, output = result.stderr.splitlines()
    why = "has a file in its path where a folder is expected"
    assert home.startswith(f"error: Prefect's home {file}/home {why} (Not a directory); ")
    assert output.startswith(f"error: the output folder {file}/out {why} ")
