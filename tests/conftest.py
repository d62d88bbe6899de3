"""Settings and fixtures of all tests: quiet, offline, and with caches of their own."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.servers import Server, start_migrated

# These must be set before anything imports Prefect or TensorFlow.
os.environ.update(
    TF_CPP_MIN_LOG_LEVEL="3",
    TF_USE_LEGACY_KERAS="1",
    DO_NOT_TRACK="1",
    PREFECT_SERVER_ANALYTICS_ENABLED="false",
    PREFECT_LOGGING_LEVEL="CRITICAL",
    PREFECT_LOGGING_SERVER_LEVEL="CRITICAL",
    PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW="ignore",
)
# Other processes may keep the machine busy, so no example has a wall time to keep.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
for name in ("PREFECT_API_URL", "PREFECT_PROFILE", "PREFECT_HOME"):
    os.environ.pop(name, None)


@pytest.fixture(scope="session")
def unused_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return an iterator over the paths of folders that do not exist yet."""
    base = tmp_path_factory.mktemp("own")
    return (base / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def _own_cache(unused_folders: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    own = next(unused_folders)
    for variable, name in (("NST_BATCH_CACHE", "cache"), ("NST_BATCH_DEVICE_LOCKS", "devices")):
        (own / name).mkdir(parents=True)
        monkeypatch.setenv(variable, str(own / name))


LONGEST_FIRST = ("end_to_end", "pipeline", "browser")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the folders with the slowest modules first, so that no process starts one last.

    Within a folder, modules and tests keep the random order that they already have.
    """
    ranks = {folder: rank for rank, folder in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: ranks.get(item.path.parent.name, len(ranks)))


@pytest.fixture(scope="session")
def server_and_migrated_home(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Server, Path]]:
    """Yield a server for all tests of a process, and a copy of its home as it was at first."""
    server = Server(tmp_path_factory.mktemp("server"))
    own = tmp_path_factory.getbasetemp()
    # Beside the folders of pytest-xdist's processes; that of a single process is beside older ones.
    copy = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "migrated"
    try:
        start_migrated(server, copy)
        yield server, copy
    finally:
        server.end()


@pytest.fixture(scope="session")
def server_url(server_and_migrated_home: tuple[Server, Path]) -> str:
    """Return the URL of a server for all tests of a process, with its own database."""
    return server_and_migrated_home[0].url


@pytest.fixture(scope="session")
def migrated_home(server_and_migrated_home: tuple[Server, Path]) -> Path:
    """Return a Prefect home whose database is ready, to be copied with `copy_migrated`."""
    return server_and_migrated_home[1]
