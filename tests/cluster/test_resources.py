"""One GPU per task, however many tasks a worker could run at once; the GPUs are simulated."""

import json
import tempfile
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.clusters import Cluster, dask_cluster, ray_cluster
from tests.end_to_end.conftest import Shell

pytestmark = pytest.mark.cluster

PROGRAM = """
import json, os, sys
from prefect import flow, task
from tasks.engine.runners import start_workers

@task
def row(number):
    # All in here, as workers do not know this program.
    import os, time
    started = time.time()
    time.sleep(0.5)
    gpu = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return {"process": os.getpid(), "gpu": gpu, "started": started, "ended": time.time()}

@flow
def rows(runner, address):
    with start_workers(runner, address, "auto") as workers:
        submitted = [workers.runner.submit(row, {"number": number}) for number in range(5)]
        return workers.devices, [future.result() for future in submitted]

print(json.dumps(rows(*sys.argv[1:])))
"""


def run_rows(shell: Shell, cluster: Cluster) -> tuple[str, list[dict[str, Any]]]:
    """Return the `devices` that tasks are given, and what each of five tasks reports."""
    arguments = f"import sys; sys.argv[1:] = {[cluster.runner, cluster.address]!r}\n"
    output = shell.python(arguments + PROGRAM).stdout.splitlines()[-1]
    devices, rows = json.loads(output)
    return devices, rows


def assert_one_at_a_time(rows: Iterable[dict[str, Any]]) -> None:
    ordered = sorted(rows, key=lambda row: row["started"])
    for earlier, later in pairwise(ordered):
        assert later["started"] >= earlier["ended"], "two tasks had one GPU at once"


def test_dask_gives_a_worker_as_many_rows_as_it_has_gpus(
    shell: Shell, tmp_path: Path, worker_environment: dict[str, str]
) -> None:
    with_gpu = ("--nthreads", "2", "--resources", "GPU=1")
    with dask_cluster(tmp_path, worker_environment, with_gpu, ("--nthreads", "2")) as cluster:
        devices, rows = run_rows(shell, cluster)
    assert devices == "gpu"
    # The other worker, which has no GPU, was idle all the time.
    assert len({row["process"] for row in rows}) == 1
    assert_one_at_a_time(rows)


def test_ray_gives_each_row_its_own_gpu(shell: Shell, worker_environment: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory(prefix="ray") as folder:
        options = (f"--temp-dir={folder}", "--num-gpus=2")
        with ray_cluster(Path(folder), worker_environment, *options) as cluster:
            devices, rows = run_rows(shell, cluster)
    assert devices == "gpu"
    assert {row["gpu"] for row in rows} <= {"0", "1"}
    for gpu in ("0", "1"):
        assert_one_at_a_time(row for row in rows if row["gpu"] == gpu)
    # A process that ran several rows would keep TensorFlow on its first GPU.
    assert len({row["process"] for row in rows}) == 5
