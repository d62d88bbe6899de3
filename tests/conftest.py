"""What every test may rely on: quiet, offline, and nobody's caches but its own."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import Server, start_with_migrated

# Before anything imports Prefect or TensorFlow.
os.environ.update(
    TF_CPP_MIN_LOG_LEVEL="3",
    TF_USE_LEGACY_KERAS="1",
    DO_NOT_TRACK="1",
    PREFECT_SERVER_ANALYTICS_ENABLED="false",
    PREFECT_LOGGING_LEVEL="CRITICAL",
    PREFECT_LOGGING_SERVER_LEVEL="CRITICAL",
    PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW="ignore",
)
for name in ("PREFECT_API_URL", "PREFECT_PROFILE", "PREFECT_HOME"):
    os.environ.pop(name, None)


@pytest.fixture(scope="session")
def unused_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folders that are not there yet, one after another."""
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
    """Begin with the folders whose modules take longest, so that no process is left with one.

    Within a folder, modules and tests stay in the random order that they were given.
    """
    ranks = {folder: rank for rank, folder in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: ranks.get(item.path.parent.name, len(ranks)))


@pytest.fixture(scope="session")
def server_and_migrated_home(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Server, Path]]:
    """A server for all tests of a process, and a copy of its home as it was at first."""
    server = Server(tmp_path_factory.mktemp("server"))
    copy = tmp_path_factory.mktemp("migrated") / "home"
    try:
        start_with_migrated(server, copy)
        yield server, copy
    finally:
        server.end()


@pytest.fixture(scope="session")
def server_url(server_and_migrated_home: tuple[Server, Path]) -> str:
    """The address of a server for all tests of a process, with a database of its own."""
    return server_and_migrated_home[0].url


@pytest.fixture(scope="session")
def migrated_home(server_and_migrated_home: tuple[Server, Path]) -> Path:
    """A Prefect home whose database is ready; for copies, with `copy_migrated`."""
    return server_and_migrated_home[1]
