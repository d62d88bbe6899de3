"""Records on disk: found if they and their files are intact, and refused otherwise."""

import json
import logging
from pathlib import Path

import pytest
from prefect.results import ResultRecord

from tasks.engine.caching import RecordSerializer
from tasks.store.file_reference import FileReference, RecordError
from tasks.store.records import (
    PictureRecord,
    StyleRecord,
    read_record,
    remove_failures,
    write_record,
)
from tasks.store.style_cache import StyleCache

KEY = "a" * 64


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """Return a folder of records, like that of a cache."""
    folder = tmp_path / "styles" / "records"
    folder.mkdir(parents=True)
    return folder


def style_record(folder: Path, content: bytes = b"targets") -> StyleRecord:
    path = folder.parent / "targets" / f"{KEY}.safetensors"
    return StyleRecord(key=KEY, file=FileReference.write(path, content), seconds=1)


def write_as_prefect(
    folder: Path, record: StyleRecord | PictureRecord, serializer: str = ""
) -> Path:
    """Write a record as Prefect does, and return its path."""
    envelope = {
        "metadata": {"serializer": {"type": serializer or "nst-batch/record"}},
        "result": record.model_dump_json(),
    }
    path = folder / KEY
    path.write_text(json.dumps(envelope))
    return path


def test_an_intact_record_is_found(records: Path) -> None:
    record = style_record(records)
    write_as_prefect(records, record)
    assert StyleCache(records.parents[1]).find(KEY) == record


def test_a_missing_record_gives_no_warning(records: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert StyleCache(records.parents[1]).find(KEY) is None
    assert not caplog.records


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(b"Targets"),
    ],
    ids=["missing", "empty", "truncated", "flipped"],
)
def test_a_damaged_file_is_reported_and_not_used(
    records: Path, damage: object, caplog: pytest.LogCaptureFixture
) -> None:
    record = style_record(records)
    write_as_prefect(records, record)
    damage(record.file.path)  # type: ignore[operator]
    with caplog.at_level(logging.WARNING):
        assert StyleCache(records.parents[1]).find(KEY) is None
    assert str(record.file.path) in caplog.text


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"metadata": 3}', '{"result": "{}"}'])
def test_a_damaged_record_is_reported_and_not_used(
    records: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    (records / KEY).write_text(text)
    assert StyleCache(records.parents[1]).find(KEY) is None
    assert len(caplog.records) == 1


def test_a_record_of_another_kind_or_key_is_not_used(records: Path) -> None:
    path = write_as_prefect(records, style_record(records))
    with pytest.raises(RecordError, match="expected a PictureRecord, found a StyleRecord"):
        read_record(path, KEY, PictureRecord)
    with pytest.raises(RecordError, match="the record of another key"):
        read_record(path, "b" * 64, StyleRecord)


def test_a_record_that_names_pickle_is_removed_before_prefect_reads_it(records: Path) -> None:
    path = write_as_prefect(records, style_record(records), serializer="pickle")
    assert StyleCache(records.parents[1]).find(KEY) is None
    assert not path.exists()


@pytest.mark.parametrize(
    "older",
    [
        {"serializer": {"type": "pickle"}},
        {"data": "gASVDQAAAA=="},
    ],
)
def test_a_record_in_prefects_older_form_is_also_removed(
    records: Path, older: dict[str, object]
) -> None:
    """Prefect uses the serializer of that form, whatever the newer form says."""
    path = write_as_prefect(records, style_record(records))
    path.write_text(json.dumps(json.loads(path.read_text()) | older))
    assert StyleCache(records.parents[1]).find(KEY) is None
    assert not path.exists()


def test_targets_are_only_looked_for_in_their_own_place(records: Path) -> None:
    """A cache can therefore be moved, and a record cannot make a run read any other file."""
    record = style_record(records)
    elsewhere = FileReference.write(records.parent / "elsewhere", b"targets")
    write_as_prefect(records, record.model_copy(update={"file": elsewhere}))
    assert StyleCache(records.parents[1]).find(KEY) == record
    record.file.path.unlink()  # type: ignore[union-attr]
    assert StyleCache(records.parents[1]).find(KEY) is None


def test_our_own_records_are_valid_for_prefect(records: Path) -> None:
    record = style_record(records)
    write_record(records / KEY, record)
    assert read_record(records / KEY, KEY, StyleRecord) == record
    assert record.file.verify() == record.file
    envelope = ResultRecord.model_validate_json((records / KEY).read_bytes())
    assert envelope.metadata.serializer == RecordSerializer()


def test_a_record_tells_of_failed_attempts_only_if_there_were_any(records: Path) -> None:
    record = style_record(records)
    assert "failures" not in record.model_dump_json()
    tried = record.model_copy(update={"failures": ("MemoryError: no room",)})
    assert StyleRecord.model_validate_json(tried.model_dump_json()) == tried
    assert StyleRecord.model_validate_json(record.model_dump_json()).failures == ()


def test_remains_of_failed_tasks_are_removed_and_nothing_else(records: Path) -> None:
    record = write_as_prefect(records, style_record(records))
    (records / "cc45a5ffe3914b30863b0e513d9a2847").write_text("{}")
    (records / "cc45a5ff-e391-4b30-863b-0e513d9a2847").write_text("{}")
    (records / "notes.txt").write_text("somebody's own")
    (records / "locks").mkdir()
    remove_failures(records)
    assert sorted(path.name for path in records.iterdir()) == [KEY, "locks", "notes.txt"]
    assert record.exists()
