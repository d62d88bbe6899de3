"""`nst-batch run` on real clusters of two workers: its results, and deaths of workers."""

import json
import os
import signal
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.cluster.clusters import Cluster, wait_for
from tests.end_to_end.conftest import Shell
from tests.http_server import closed_port
from tests.pictures import write_csv

pytestmark = pytest.mark.cluster

A_SECOND_OR_MORE = ("--size", "64", "--steps", "40", "--octaves", "1", "--tolerance", "0")
SEVERAL_SECONDS = ("--size", "64", "--steps", "150", "--octaves", "1", "--tolerance", "0")
OF_RUN = ["seconds", "peak_memory_mb"]


def manifest_of(shell: Shell, rows: int, name: str) -> Path:
    """Write a manifest of this many contents, all in one style."""
    contents = [shell.picture(f"{number}.png", 10 + number).name for number in range(rows)]
    lines = [(content, "s.png", Path(content).stem) for content in contents]
    return write_csv(shell.folder / f"{name}.csv", ("content", "style", "output"), *lines)


def on(cluster: Cluster) -> list[str]:
    return ["--runner", cluster.runner, "--address", cluster.address]


def table_of(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "summary.parquet")


def task_runs(shell: Shell, manifest: str, name: str) -> list[dict[str, Any]]:
    """Return what the server knows of the task runs of a name in the run of a manifest."""
    filters = {
        "flow_runs": {"name": {"like_": f"{manifest} "}},
        "task_runs": {"name": {"like_": name}},
    }
    request = urllib.request.Request(
        f"{shell.environment['PREFECT_API_URL']}/task_runs/filter",
        json.dumps(filters).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: list[dict[str, Any]] = json.loads(answer.read())
    return found


def finish(process: Any) -> tuple[int, str, str]:
    output, errors = process.communicate(timeout=280)
    return process.returncode, output, errors


def test_pictures_and_table_equal_those_of_one_process(shell: Shell, cluster: Cluster) -> None:
    name = f"same-{cluster.runner}"
    manifest = manifest_of(shell, 6, name)
    process = shell.start("run", manifest, "-o", "there", *A_SECOND_OR_MORE, *on(cluster))
    workers: set[int] = set()
    while process.poll() is None:
        workers |= cluster.busy()
        time.sleep(0.1)
    code, output, errors = finish(process)
    assert (code, errors) == (0, "")
    # Ray may replace an idle process between rows, so that there are more than two in all.
    assert len(workers) >= 2, "all rows ran in one process"
    assert process.pid not in workers
    # The flow reports this as rows end, because the logs of workers do not reach the user.
    assert "no GPU in use: rows run on the CPU" in output
    for number in range(6):
        assert f"[{number + 1}/6] line " in output
        assert f"{number}.png: done, loss " in output

    wait_for(lambda: len(task_runs(shell, name, "%.png")) == 7, "record of the task runs")
    (style,) = task_runs(shell, name, "style s.png")
    assert style["state"]["type"] == "COMPLETED"
    cache = Path(shell.environment["NST_BATCH_CACHE"])
    assert len(list((cache / "styles" / "targets").glob("*.safetensors"))) == 1
    clustered = table_of(shell.folder / "there")
    assert list(clustered["style_targets"]) == ["computed"] * 6

    arguments = ["-o", "here", *A_SECOND_OR_MORE, "--cache", "another"]
    assert shell.run("run", manifest, *arguments).returncode == 0
    local = table_of(shell.folder / "here")
    pd.testing.assert_frame_equal(clustered.drop(columns=OF_RUN), local.drop(columns=OF_RUN))
    for path in (shell.folder / "here" / "pictures").iterdir():
        same = np.asarray(Image.open(shell.folder / "there" / "pictures" / path.name))
        np.testing.assert_array_equal(np.asarray(Image.open(path)), same)

    again = shell.run("run", manifest, "-o", "there", *A_SECOND_OR_MORE, *on(cluster))
    assert (again.returncode, again.stderr) == (0, "")
    assert "6 cached" in again.stdout


def test_frames_are_made_from_each_other_on_any_worker(shell: Shell, cluster: Cluster) -> None:
    contents = [shell.picture(f"{number}.png", 10 + number).name for number in range(3)]
    rows = [
        (content, "s.png", f"{name}{content}", name) for name in ("a", "b") for content in contents
    ]
    rows = [(*row, size) for row, size in zip(rows, (48, 48, 48, 64, 64, 64), strict=True)]
    header = ("content", "style", "output", "sequence", "size")
    manifest = write_csv(shell.folder / f"frames-{cluster.runner}.csv", header, *rows)
    quick = ("--steps", "20", "--octaves", "1", "--tolerance", "0")
    done = shell.run("run", manifest, "-o", "there", *quick, *on(cluster))
    assert (done.returncode, done.stderr) == (0, "")
    assert shell.run("run", manifest, "-o", "here", *quick, "--cache", "other").returncode == 0
    there, here = (table_of(shell.folder / name) for name in ("there", "here"))
    assert there["temporal_loss"].isna().tolist() == [True, False, False] * 2
    pd.testing.assert_frame_equal(there.drop(columns=OF_RUN), here.drop(columns=OF_RUN))
    again = shell.run("run", manifest, "-o", "there", *quick, *on(cluster))
    assert "6 cached" in again.stdout


def test_a_failed_row_is_reported_and_the_others_are_done(shell: Shell, cluster: Cluster) -> None:
    manifest = manifest_of(shell, 3, f"fails-{cluster.runner}")
    obstacle = shell.folder / "out" / "losses" / "1.csv"
    (obstacle / "folder").mkdir(parents=True)
    result = shell.run("run", manifest, "-o", "out", *A_SECOND_OR_MORE, *on(cluster))
    assert result.returncode == 1
    assert "Traceback" not in result.stdout + result.stderr
    table = table_of(shell.folder / "out")
    assert list(table["status"]) == ["done", "failed", "done"]
    assert "IsADirectoryError" in table["error"][1]
    trace = (shell.folder / "out" / "errors" / "1.txt").read_text()
    assert "in stylize_job" in trace, "the traceback was lost on its way from the worker"
    assert "line 3 1.png: failed, " in result.stdout
    assert "failed: line 3, IsADirectoryError" in result.stdout


def test_rows_of_a_killed_worker_run_again(shell: Shell, cluster: Cluster) -> None:
    name = f"killed-{cluster.runner}"
    process = shell.start(
        "run", manifest_of(shell, 4, name), "-o", "out", *SEVERAL_SECONDS, *on(cluster)
    )
    pictures = shell.folder / "out" / "pictures"

    def two_busy_workers() -> set[int]:
        assert process.poll() is None, process.communicate()
        found = cluster.busy()
        return found if len(found) == 2 else set()

    victim = min(wait_for(two_busy_workers, "two workers at work"))
    before = len(list(pictures.glob("*.png")))
    os.kill(victim, signal.SIGKILL)
    code, output, _ = finish(process)
    assert before <= 2, "the worker was killed too late to lose a row"
    assert code == 0, output
    assert "4 done" in output
    assert sorted(path.name for path in pictures.iterdir()) == ["0.png", "1.png", "2.png", "3.png"]
    assert set(table_of(shell.folder / "out")["status"]) == {"done"}


def test_a_row_whose_workers_all_die_is_a_failed_row(shell: Shell, cluster: Cluster) -> None:
    manifest = manifest_of(shell, 1, f"deadly-{cluster.runner}")
    process = shell.start("run", manifest, "-o", "out", *SEVERAL_SECONDS, *on(cluster))
    while process.poll() is None:
        for worker in cluster.busy():
            os.kill(worker, signal.SIGKILL)
        time.sleep(0.2)
    code, output, errors = finish(process)
    assert code == 1, (output, errors)
    assert list(table_of(shell.folder / "out")["status"]) == ["failed"]
    assert {"dask": "KilledWorker", "ray": "WorkerCrashedError"}[cluster.runner] in output


def test_after_ctrl_c_no_further_row_starts(shell: Shell, cluster: Cluster) -> None:
    manifest = manifest_of(shell, 4, f"stopped-{cluster.runner}")
    process = shell.start("run", manifest, "-o", "out", *SEVERAL_SECONDS, *on(cluster))
    wait_for(lambda: process.poll() is not None or cluster.busy(), "worker at work")
    process.send_signal(signal.SIGINT)
    code, output, errors = finish(process)
    assert code == 130, (output, errors)
    assert "rerun the same command to resume" in errors
    assert "Traceback" not in output + errors
    wait_for(lambda: not cluster.busy(), "end of the rows that ran")
    finished = len(list((shell.folder / "out" / "pictures").glob("*.png")))
    # Ray ends the processes of a run that is gone; on Dask, active rows run to their end.
    assert (1 <= finished < 4) if cluster.runner == "dask" else finished == 0
    result = shell.run("run", manifest, "-o", "out", *SEVERAL_SECONDS, *on(cluster))
    assert result.returncode == 0
    assert list(table_of(shell.folder / "out")["status"]).count("cached") == finished


@pytest.mark.parametrize("runner", ["dask", "ray"])
def test_a_run_without_an_address_starts_its_own_cluster(shell: Shell, runner: str) -> None:
    quick = ("--size", "32", "--steps", "2", "--octaves", "1")
    manifest = manifest_of(shell, 2, f"own-{runner}")
    result = shell.run("run", manifest, "-o", "out", *quick, "--runner", runner)
    assert (result.returncode, result.stderr) == (0, "")
    assert "2 done" in result.stdout
    gpu = shell.run("run", manifest, "-o", "o", *quick, "--runner", runner, "--devices", "gpu")
    assert gpu.returncode == 2
    assert "--devices: gpu was requested, but no worker of the cluster reports a GPU" in gpu.stderr
    assert not list((shell.folder / "o" / "pictures").iterdir())


@pytest.mark.parametrize("runner", ["dask", "ray"])
def test_an_address_without_a_cluster_is_reported(shell: Shell, runner: str) -> None:
    address = f"127.0.0.1:{closed_port()}"
    arguments = ["-o", "out", "--runner", runner, "--address", address]
    result = shell.run("run", manifest_of(shell, 1, f"nowhere-{runner}"), *arguments)
    assert result.returncode == 2
    assert f"no {runner} cluster answers at {address}" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("runner", ["dask", "ray"])
def test_workers_need_a_server_that_all_of_them_can_reach(shell: Shell, runner: str) -> None:
    without = dict(shell.environment)
    del without["PREFECT_API_URL"]
    lone = Shell(shell.folder, without)
    result = lone.run("run", manifest_of(lone, 1, "lone"), "-o", "out", "--runner", runner)
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert "PREFECT_API_URL is not set" in result.stderr
    assert not (shell.folder / "out").exists()
