"""A Prefect server, and clusters of two workers that the tests start."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.clusters import Cluster, dask_cluster, ray_cluster
from tests.end_to_end.conftest import Shell, clean_environment, make_shell

ONE_ROW_PER_WORKER = ("--nthreads", "1")


@pytest.fixture
def shell(tmp_path: Path, server_url: str) -> Shell:
    """Return the shell of a user who never used Ray, which keeps tokens in a user's home."""
    made = make_shell(tmp_path, server_url)
    return Shell(made.folder, {**made.environment, "HOME": str(tmp_path)})


@pytest.fixture(scope="session")
def worker_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment of worker processes: without settings, as on another machine."""
    home = tmp_path_factory.mktemp("workers")
    return clean_environment(home, TF_CPP_MIN_LOG_LEVEL="3", HOME=str(home))


@pytest.fixture(scope="session", params=["dask", "ray"])
def cluster(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    worker_environment: dict[str, str],
) -> Iterator[Cluster]:
    """Yield a cluster of two workers without a GPU."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "dask":
        with dask_cluster(
            folder, worker_environment, ONE_ROW_PER_WORKER, ONE_ROW_PER_WORKER
        ) as made:
            yield made
    else:
        with (
            short_folder() as short,
            ray_cluster(folder, worker_environment, f"--temp-dir={short}", "--num-gpus=0") as made,
        ):
            yield made


def short_folder() -> "tempfile.TemporaryDirectory[str]":
    """Return a folder for Ray's sockets, whose paths are limited to 107 characters."""
    return tempfile.TemporaryDirectory(prefix="ray", dir=Path(tempfile.gettempdir()))
