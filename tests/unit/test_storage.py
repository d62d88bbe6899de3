"""Files in object storage, here fsspec's own in memory."""

import errno
from collections.abc import Iterator
from typing import Any

import pytest
from upath import UPath

from nst_core import files
from nst_core.files import names_below, read_whole, size_of, write_whole
from tasks.layout import make_folders
from tasks.records import FileReference, RecordError


@pytest.fixture
def bucket() -> Iterator[UPath]:
    folder = UPath("memory://bucket")
    yield folder
    folder.fs.store.clear()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "wait_exponential", lambda **_: lambda *_: 0)


def test_what_is_written_can_be_read(bucket: UPath) -> None:
    for data in (b"first", b"second, longer"):
        write_whole(bucket / "deep" / "a.png", data)
        assert read_whole(bucket / "deep" / "a.png") == data
        assert size_of(bucket / "deep" / "a.png") == len(data)
    assert names_below(bucket) == {"deep/a.png"}
    assert names_below(bucket / "deep") == {"a.png"}
    assert names_below(bucket / "other") == set()


@pytest.mark.parametrize("ask", [read_whole, size_of])
def test_what_is_missing_is_told_as_on_a_disk(bucket: UPath, ask: Any) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        ask(bucket / "a.png")
    assert missing.value.strerror == "No such file"
    assert missing.value.filename == str(bucket / "a.png")


def failing(monkeypatch: pytest.MonkeyPatch, folder: UPath, times: int, error: Exception) -> list:
    """Let so many reads fail; the list grows with each read."""
    reads: list[str] = []
    cat_file = type(folder.fs).cat_file

    def cat(self: Any, path: str, **options: Any) -> Any:
        reads.append(path)
        if len(reads) <= times:
            raise error
        return cat_file(self, path, **options)

    monkeypatch.setattr(type(folder.fs), "cat_file", cat)
    return reads


def test_a_passing_fault_is_outlived(bucket: UPath, monkeypatch: pytest.MonkeyPatch) -> None:
    write_whole(bucket / "a", b"data")
    reads = failing(monkeypatch, bucket, 2, RuntimeError("the network is down"))
    assert read_whole(bucket / "a") == b"data"
    assert len(reads) == 3


def test_a_lasting_fault_is_told_without_secrets(
    bucket: UPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = RuntimeError("https://host/a?signature=hush said\nno")
    reads = failing(monkeypatch, bucket, 9, error)
    with pytest.raises(OSError, match="RuntimeError: https://host/a") as failed:
        read_whole(bucket / "a")
    assert len(reads) == 3
    assert failed.value.errno == errno.EIO
    assert failed.value.strerror == "RuntimeError: https://host/a?... said no"
    # Nor may a traceback show it.
    assert failed.value.__suppress_context__


def test_access_denied_is_not_tried_again(bucket: UPath, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = failing(monkeypatch, bucket, 9, PermissionError("no"))
    with pytest.raises(PermissionError) as failed:
        read_whole(bucket / "a")
    assert failed.value.strerror == "access denied by the storage"
    assert len(reads) == 1


def test_a_reference_knows_its_file_by_size_and_when_read_by_digest(bucket: UPath) -> None:
    reference = FileReference.write(bucket / "a", b"data")
    reference.verify()
    assert reference.read() == b"data"
    write_whole(bucket / "a", b"dada")
    reference.verify()
    with pytest.raises(RecordError, match="is damaged"):
        reference.read()
    write_whole(bucket / "a", b"longer")
    with pytest.raises(RecordError, match="found 6 bytes, expected 4"):
        reference.verify()
    (bucket / "a").unlink()
    with pytest.raises(RecordError, match="No such file"):
        reference.verify()


def test_web_addresses_can_only_be_read(bucket: UPath) -> None:
    with pytest.raises(OSError, match="can only be read") as refused:
        make_folders(UPath("https://host/out"), bucket)
    assert refused.value.errno == errno.EROFS
