"""The current folder of workers, and the folders from which they import."""

import json
from pathlib import Path

import pytest

from tests.cluster.clusters import Cluster
from tests.end_to_end.conftest import Shell

pytestmark = pytest.mark.cluster

PROGRAM = """
import json, sys
from prefect import flow, task
from tasks.engine.runners import start_workers

@task
def folders():
    # All in here, as workers do not know this program.
    import os, sys
    return os.getcwd(), sys.path

@flow
def look(runner, address):
    with start_workers(runner, address, "cpu") as workers:
        return workers.runner.submit(folders, {}).result()

print(json.dumps(look(*sys.argv[1:])))
"""


def folders_of_a_worker(shell: Shell, runner: str, address: str | None) -> tuple[Path, set[Path]]:
    """Return the current folder of a worker, and the folders from which it imports."""
    arguments = f"import sys; sys.argv[1:] = {[runner, address]!r}\n"
    output = shell.python(arguments + PROGRAM).stdout.splitlines()[-1]
    current, path = json.loads(output)
    return Path(current), {Path(current, folder) for folder in path}


@pytest.mark.parametrize("runner", ["dask", "ray"])
def test_workers_of_a_run_share_its_current_folder_and_import_nothing_from_it(
    shell: Shell, runner: str
) -> None:
    current, imported = folders_of_a_worker(shell, runner, None)
    # Prefect looks for settings there, and relative paths in environment variables start there.
    assert current == shell.folder
    assert shell.folder not in imported


def test_workers_of_a_cluster_import_nothing_from_any_current_folder(
    shell: Shell, cluster: Cluster
) -> None:
    current, imported = folders_of_a_worker(shell, cluster.runner, cluster.address)
    assert current != shell.folder
    assert not imported & {current, shell.folder}
