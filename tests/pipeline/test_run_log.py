"""The log of a run in the Prefect UI: its rows, and errors that are not bugs."""

import errno
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.flow_engine import run_flow
from prefect.logging.configuration import setup_logging

from flows.stylize_manifest import stylize_manifest
from nst_core.transfer.presets import Overrides
from tests.pictures import write_csv
from tests.pipeline.conftest import Batch

HEADER = ("content", "style")
LOGGERS = ("prefect.flow_runs", "prefect.task_runs", "prefect.engine")


class Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def lines(self) -> list[str]:
        return [f"{record.levelname} {record.getMessage()}" for record in self.records]

    def tracebacks(self) -> list[str]:
        return [record.getMessage() for record in self.records if record.exc_info]


@pytest.fixture
def log() -> Iterator[Records]:
    """Yield a handler that keeps all log records of flow runs and task runs."""
    # Otherwise the first run would do so, and remove the handler.
    setup_logging()
    handler = Records()
    levels = {}
    for name in LOGGERS:
        logger = logging.getLogger(name)
        levels[name] = logger.level
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    yield handler
    for name, level in levels.items():
        logging.getLogger(name).removeHandler(handler)
        logging.getLogger(name).setLevel(level)


def test_rows_that_are_not_done_are_logged_with_their_reasons(batch: Batch, log: Records) -> None:
    manifest = write_csv(
        batch.folder / "m.csv", HEADER, ("a.png", "s.png"), ("gone.png", "s.png"), ("b.png", "")
    )
    parameters = {
        "manifest": str(manifest),
        "output": str(batch.output),
        "cache": str(batch.cache),
        "settings": Overrides(size=32, steps=2, octaves=1),
    }
    with pytest.raises(Exception, match="1 done, 2 invalid"):
        # This is how a worker runs a flow; it gets an exception for a failed run.
        run_flow(
            stylize_manifest,
            parameters=parameters,
            error_logger=logging.getLogger("prefect.flow_runs"),
        )
    logged = log.lines()
    gone, empty = [line for line in logged if line.startswith("WARNING invalid: ")]
    assert gone.startswith("WARNING invalid: line 3, column content: ")
    assert "gone.png" in gone
    assert empty.startswith("WARNING invalid: line 4, column style: ")
    (end,) = [line for line in logged if line.startswith("WARNING the run ends: ")]
    counts, *reasons = end.removeprefix("WARNING the run ends: ").splitlines()
    assert counts == "1 done, 2 invalid"
    assert f"INFO result: {counts}" in logged
    for reason, line in zip(reasons, (gone, empty), strict=True):
        assert line.startswith(f"WARNING invalid: {reason.removesuffix(' ...')}")
    assert not any(line.startswith(("ERROR", "CRITICAL")) for line in logged)
    assert log.tracebacks() == []


def test_an_unusable_manifest_is_logged_without_a_traceback(batch: Batch, log: Records) -> None:
    with pytest.raises(FileNotFoundError, match="summary"):
        batch.run(("content", "other"), ("a.png", "s.png"))
    message, _ = [line for line in log.lines() if "no column style" in line]
    assert message.startswith(f"ERROR the run ends: {batch.folder}/m.csv, line 1: ")
    assert log.tracebacks() == []


def test_a_bug_keeps_its_traceback(
    batch: Batch, log: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("tasks.work.results.curve_csv", fail)
    state, table = batch.run(HEADER, ("a.png", "s.png"))
    assert state.name == "AllRowsFailed"
    assert table.loc[2, "error"] == "ZeroDivisionError: a bug"
    assert any("ZeroDivisionError" in line for line in log.tracebacks())
    assert "ERROR failed: line 2, a_s.png: ZeroDivisionError: a bug" in log.lines()


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list of names of files, or folders, for which there is no disk space."""
    names: list[str] = []
    original = os.fsync

    def fail(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path.is_file() and {path.parent.name, path.name.split(".")[1]} & set(names):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        original(descriptor)

    monkeypatch.setattr("os.fsync", fail)
    return names


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="reads /proc")
def test_a_full_disk_is_reported_with_the_file_and_the_folder(
    batch: Batch, log: Records, full: list[str]
) -> None:
    full.append("pictures")
    _, table = batch.run(HEADER, ("a.png", "s.png"))
    path = batch.output / "pictures" / "a_s.png"
    why = (
        f"{path}: cannot be written: the output folder {batch.output} is full (No space left on "
        "device); make room there"
    )
    assert table.loc[2, "error"] == f"WriteError: {why}"
    assert log.tracebacks() == []
    full[:] = ["targets"]
    _, table = batch.run(HEADER, ("a.png", "t.png"))
    assert f"the cache {batch.cache} is full" in table.loc[2, "error"]
    full[:] = ["summary"]
    batch.run(HEADER, ("a.png", "t.png"))
    assert any(
        f"the output folder {batch.output} is full" in line and "summary." in line
        for line in log.lines()
    )
    assert log.tracebacks() == []
