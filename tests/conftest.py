"""What every test may rely on: quiet, offline, and nobody's caches but its own."""

import os

import pytest

# Before anything imports Prefect or TensorFlow.
os.environ.update(
    TF_CPP_MIN_LOG_LEVEL="3",
    DO_NOT_TRACK="1",
    PREFECT_SERVER_ANALYTICS_ENABLED="false",
    PREFECT_LOGGING_LEVEL="CRITICAL",
    PREFECT_LOGGING_SERVER_LEVEL="CRITICAL",
    PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW="ignore",
)
for name in ("PREFECT_API_URL", "PREFECT_PROFILE", "PREFECT_HOME"):
    os.environ.pop(name, None)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NST_BATCH_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("NST_BATCH_DEVICE_LOCKS", str(tmp_path_factory.mktemp("devices")))
