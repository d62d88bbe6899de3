"""Records on disk: found when whole, refused when anything about them or their file is not."""

import json
import logging
from pathlib import Path

import pytest

from tasks.records import (
    FileReference,
    PictureRecord,
    RecordError,
    StyleRecord,
    find_picture,
    find_style,
    read_record,
    remove_failures,
)

KEY = "a" * 64


def style_record(folder: Path, content: bytes = b"targets") -> StyleRecord:
    path = folder / "targets.safetensors"
    return StyleRecord(key=KEY, file=FileReference.write(path, content), seconds=1)


def picture_record(path: Path) -> PictureRecord:
    return PictureRecord.model_validate(
        {
            "key": KEY,
            "file": FileReference.write(path, b"picture"),
            "curve": path.with_suffix(".csv"),
            "settings": {},
            "encoder_fingerprint": "f",
            "style_layers": {},
            "stop_reason": "steps",
            "device": "CPU:0",
            **dict.fromkeys(
                (
                    *("width", "height", "seed", "steps", "evaluations", "recoveries", "seconds"),
                    *("total_loss", "content_loss", "style_loss", "tv_loss", "start_loss"),
                    "peak_memory_mb",
                ),
                0,
            ),
        }
    )


def keep(folder: Path, record: StyleRecord | PictureRecord, serializer: str = "") -> Path:
    """Write a record as Prefect does."""
    envelope = {
        "metadata": {"serializer": {"type": serializer or "nst-batch/record"}},
        "result": record.model_dump_json(),
    }
    path = folder / KEY
    path.write_text(json.dumps(envelope))
    return path


def test_a_whole_record_is_found(tmp_path: Path) -> None:
    record = style_record(tmp_path)
    keep(tmp_path, record)
    assert find_style(tmp_path, KEY) == record


def test_no_record_is_not_worth_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert find_style(tmp_path, KEY) is None
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
def test_a_damaged_file_is_told_and_not_used(
    tmp_path: Path, damage: object, caplog: pytest.LogCaptureFixture
) -> None:
    record = style_record(tmp_path)
    keep(tmp_path, record)
    damage(record.file.path)  # type: ignore[operator]
    with caplog.at_level(logging.WARNING):
        assert find_style(tmp_path, KEY) is None
    assert str(record.file.path) in caplog.text


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"metadata": 3}', '{"result": "{}"}'])
def test_a_damaged_record_is_told_and_not_used(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / KEY).write_text(text)
    assert find_style(tmp_path, KEY) is None
    assert len(caplog.records) == 1


def test_a_record_of_another_kind_is_not_used(tmp_path: Path) -> None:
    keep(tmp_path, style_record(tmp_path))
    assert find_picture(tmp_path, KEY, tmp_path / "a.png") is None


def test_a_record_that_names_pickle_is_removed_before_prefect_obeys_it(tmp_path: Path) -> None:
    path = keep(tmp_path, style_record(tmp_path), serializer="pickle")
    assert find_style(tmp_path, KEY) is None
    assert not path.exists()


def test_a_moved_output_folder_keeps_its_pictures(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    keep(tmp_path, picture_record(old / "a.png"))
    old.rename(new)
    record = find_picture(tmp_path, KEY, new / "a.png")
    assert record is not None
    assert record.file.path == new / "a.png"


def test_a_picture_is_found_under_its_former_name(tmp_path: Path) -> None:
    keep(tmp_path, picture_record(tmp_path / "a.png"))
    record = find_picture(tmp_path, KEY, tmp_path / "renamed.png")
    assert record is not None
    assert record.file.path == tmp_path / "a.png"


def test_another_picture_in_its_place_is_not_taken_for_it(tmp_path: Path) -> None:
    keep(tmp_path, picture_record(tmp_path / "a.png"))
    (tmp_path / "a.png").write_bytes(b"another")
    assert find_picture(tmp_path, KEY, tmp_path / "a.png") is None


def test_read_record_verifies(tmp_path: Path) -> None:
    record = style_record(tmp_path)
    assert read_record(record.model_dump_json().encode()) == record
    record.file.path.write_bytes(b"other")
    with pytest.raises(RecordError, match="is damaged: found 5 bytes, expected 7"):
        read_record(record.model_dump_json().encode())


def test_remains_of_failed_tasks_are_removed_and_nothing_else(tmp_path: Path) -> None:
    kept = keep(tmp_path, style_record(tmp_path / "."))
    (tmp_path / "cc45a5ffe3914b30863b0e513d9a2847").write_text("{}")
    (tmp_path / "cc45a5ff-e391-4b30-863b-0e513d9a2847").write_text("{}")
    (tmp_path / "notes.txt").write_text("somebody's own")
    (tmp_path / "locks").mkdir()
    remove_failures(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *(KEY, "locks", "notes.txt", "targets.safetensors")
    ]
    assert kept.exists()
