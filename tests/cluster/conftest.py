"""A Prefect server, and clusters of two workers that the tests start."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.clusters import Cluster, dask_cluster, ray_cluster
from tests.end_to_end.conftest import Shell, clean_environment, make_shell

A_ROW_A_WORKER = ("--nthreads", "1")


@pytest.fixture
def shell(tmp_path: Path, server_url: str) -> Shell:
    """A shell of a user at whose home Ray, which keeps tokens there, never was."""
    made = make_shell(tmp_path, server_url)
    return Shell(made.folder, {**made.environment, "HOME": str(tmp_path)})


@pytest.fixture(scope="session")
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of worker processes, as that of another machine would be: no settings."""
    home = tmp_path_factory.mktemp("workers")
    return clean_environment(home, TF_CPP_MIN_LOG_LEVEL="3", HOME=str(home))


@pytest.fixture(scope="session", params=["dask", "ray"])
def cluster(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    surroundings: dict[str, str],
) -> Iterator[Cluster]:
    """Two workers without a GPU."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "dask":
        with dask_cluster(folder, surroundings, A_ROW_A_WORKER, A_ROW_A_WORKER) as made:
            yield made
    else:
        with (
            short_folder() as short,
            ray_cluster(folder, surroundings, f"--temp-dir={short}", "--num-gpus=0") as made,
        ):
            yield made


def short_folder() -> "tempfile.TemporaryDirectory[str]":
    """Ray makes sockets in it, whose paths may have 107 characters; pytest's folders have more."""
    return tempfile.TemporaryDirectory(prefix="ray", dir=Path(tempfile.gettempdir()))
