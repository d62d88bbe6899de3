"""Batches whose power fails at any moment, and batches in which any file operation fails."""

import errno
import hashlib
import os
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from tasks.engine.in_flight import InFlight
from tasks.store.records import PictureRecord, StyleRecord, _unwrapped, parse_record
from tests.crash import Disk, Journal, disks, journal_of, marks_until, moments, write_disk
from tests.pipeline.conftest import Batch

HEADER = ("content", "style", "output", "size")
ROWS = (("a.png", "s.png", "one.png", 32), ("b.png", "s.png", "two.png", 32))
SWAPPED = (("a.png", "s.png", "two.png", 32), ("b.png", "s.png", "one.png", 32))
CHANGED = (("a.png", "s.png", "one.png", 24), ("b.png", "t.png", "two.png", 32))

Scenario = Callable[[Batch], Any]

UNSHOWN = re.compile(r".*\.part|.*\.lock|.*/lock|.*\.keys|.*\.log|.*/writable")
"""Files that are not results: what is being written, locks, and the libraries' log."""

SHARES = (
    pytest.param(60, marks=pytest.mark.nights),
    pytest.param(1, marks=pytest.mark.torture),
)
"""Of all states or operations, every so many-th is tried; `make torture` tries all."""

ERRNOS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS)
"""No space left, a disk's error, no permission, and a disk that has become read-only."""


def fresh(batch: Batch) -> Any:
    """Stylize two rows in an empty folder."""
    return _run(batch, ROWS)


def swapped(batch: Batch) -> Any:
    """Run finished rows that have exchanged their outputs."""
    return _run(batch, SWAPPED)


def changed(batch: Batch) -> Any:
    """Replace a picture by one of another size, and one by that of another style."""
    return _run(batch, CHANGED)


def refreshed(batch: Batch) -> Any:
    """Stylize finished rows again."""
    return _run(batch, ROWS, refresh=True)


SCENARIOS = (
    fresh,
    *(pytest.param(each, marks=pytest.mark.nights) for each in (swapped, changed, refreshed)),
)


def _run(batch: Batch, rows: tuple[tuple[Any, ...], ...], **options: Any) -> Any:
    root = batch.folder / "disk"
    root.mkdir(exist_ok=True)
    arguments = {"output": root / "out", "cache": root / "cache", **options}
    return batch.run(HEADER, *rows, **arguments)


def _disk(root: Path) -> Disk:
    return {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


@pytest.fixture(params=SCENARIOS, ids=lambda scenario: getattr(scenario, "__name__", None))
def scenario(request: pytest.FixtureRequest, batch: Batch) -> Scenario:
    """Return what is run; what it starts from is in the folder."""
    found: Scenario = request.param
    if found is fresh:
        (batch.folder / "disk").mkdir()
    else:
        _run(batch, ROWS)
    return found


@pytest.fixture
def journal(batch: Batch, scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> Journal:
    """Return what a run did to its files, with a mark for each row that it told done."""
    gather_row = InFlight.gather_row

    def marking(in_flight: InFlight, job: Any) -> Any:
        result = gather_row(in_flight, job)
        assert result.status == "done", result
        journal.mark(job.key)
        return result

    monkeypatch.setattr(InFlight, "gather_row", marking)
    with journal_of(batch.folder / "disk") as journal:
        scenario(batch)
    return journal


@cache
def _parsed(data: bytes) -> PictureRecord | StyleRecord:
    return parse_record(_unwrapped(data))


@cache
def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _records(disk: Disk) -> list[bytes]:
    places = ("out/.nst-batch/rows", "cache/styles/records")
    return [
        data
        for name, data in disk.items()
        if str(PurePosixPath(name).parent) in places and not name.endswith(".part")
    ]


def _is_there(record: PictureRecord | StyleRecord, hashes: set[str]) -> bool:
    """Return whether the files that a record describes are on a disk, wherever they are."""
    files = [record.file, *([record.curve_file] if isinstance(record, PictureRecord) else [])]
    return all(file is not None and file.sha256 in hashes for file in files)


def test_whatever_a_power_failure_leaves_is_whole_and_done_rows_are_there(
    journal: Journal, scenario: Scenario
) -> None:
    whole = {data for file in journal.files() for data in file.synced.values()}
    before = {data for file in journal.before.values() for data in file.synced.values()}
    kept = {_parsed(data).key for data in _records({n: f.last for n, f in journal.before.items()})}
    states = 0
    for moment in moments(journal):
        told = marks_until(journal, moment) | (set() if scenario is changed else kept)
        for disk in disks(journal, moment):
            states += 1
            for path, data in disk.items():
                assert UNSHOWN.fullmatch(path) or data in whole, f"{path} is torn at {moment}"
            hashes = set(map(_sha256, disk.values()))
            records = _records(disk)
            there = {_parsed(data).key for data in records if _is_there(_parsed(data), hashes)}
            new = {_parsed(data).key for data in records if data not in before}
            assert new <= there, f"a record is there before its files at {moment}"
            assert told <= there, f"a row told done is lost at {moment}"
    assert states > 100


@pytest.mark.parametrize("every", SHARES)
def test_a_batch_continues_on_every_disk_that_a_power_failure_leaves(
    batch: Batch, scenario: Scenario, journal: Journal, every: int
) -> None:
    root = batch.folder / "disk"
    expected = _results(root)
    states = [disk for moment in moments(journal) for disk in disks(journal, moment)]
    distinct = list({frozenset(disk.items()): disk for disk in states}.values())
    for disk in distinct[::every]:
        write_disk(root, disk)
        _complete(batch, scenario)
        assert _results(root) == expected


@pytest.mark.parametrize("every", SHARES)
def test_a_batch_survives_the_failure_of_any_file_operation(
    batch: Batch, scenario: Scenario, every: int
) -> None:
    root = batch.folder / "disk"
    before = _disk(root)
    with journal_of(root) as undisturbed:
        scenario(batch)
    expected = _results(root)
    for number in range(1, undisturbed.operations + 1, every):
        write_disk(root, before)
        code = ERRNOS[number // every % len(ERRNOS)]

        def fault(count: int, _: str, number: int = number, code: int = code) -> OSError | None:
            return OSError(code, os.strerror(code)) if count == number else None

        with journal_of(root, fault) as journal:
            _run_disturbed(batch, scenario)
        written = {data for file in journal.files() for data in file.synced.values()}
        for path, data in _disk(root).items():
            assert UNSHOWN.fullmatch(path) or data in written, f"{path} is torn by {number}"
        _complete(batch, scenario)
        assert _results(root) == expected


def _run_disturbed(batch: Batch, scenario: Scenario) -> None:
    """Run a scenario that may fail, but only with a reason for people."""
    try:
        scenario(batch)
    except OSError as error:
        # After the run, `batch.run` reads the table, which may be missing or fail to open.
        if not str(error.filename).endswith("summary.csv"):
            raise


def _complete(batch: Batch, scenario: Scenario) -> None:
    state, table = scenario(batch)
    assert state.is_completed(), state.message
    assert set(table.status) <= {"done", "cached"}


def _results(root: Path) -> Disk:
    return {
        name: data
        for name, data in _disk(root / "out").items()
        if name.startswith(("pictures/", "losses/")) and not name.endswith(".part")
    }
