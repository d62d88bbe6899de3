"""Files in object storage; here, it is fsspec's file system in memory."""

import errno
import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from upath import UPath

from nst_core.storage import objects
from nst_core.storage.files import (
    StorageError,
    list_files,
    read_whole,
    remove,
    stat,
    write_atomic,
)
from nst_core.storage.places import place
from tasks.store.file_reference import FileReference, RecordError
from tasks.store.kept_statistics import kept_statistics
from tasks.store.output_folder import OutputFolder
from tasks.store.records import remove_failures
from tasks.store.style_cache import StyleCache
from tests.http_server import Answer, serving


@pytest.fixture
def bucket() -> Iterator[UPath]:
    folder = UPath("memory://bucket")
    yield folder
    folder.fs.store.clear()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "wait_exponential", lambda **_: lambda *_: 0)


def test_written_files_can_be_read_listed_and_removed(bucket: UPath) -> None:
    for data in (b"first", b"second, longer"):
        write_atomic(bucket / "deep" / "a.png", data)
        assert read_whole(bucket / "deep" / "a.png") == data
        assert stat(bucket / "deep" / "a.png").size == len(data)
    assert list_files(bucket) == {"deep/a.png"}
    assert list_files(bucket / "deep") == {"a.png"}
    assert list_files(bucket / "other") == set()
    for _ in range(2):
        remove(bucket / "deep" / "a.png")
    assert list_files(bucket) == set()


@pytest.mark.parametrize("ask", [read_whole, stat])
def test_a_missing_file_is_reported_as_on_a_disk(bucket: UPath, ask: Any) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        ask(bucket / "a.png")
    assert missing.value.strerror == "No such file"
    assert missing.value.filename == str(bucket / "a.png")


def fail_reads(
    monkeypatch: pytest.MonkeyPatch, folder: UPath, times: int, error: Exception
) -> list:
    """Let this many reads fail, and return a list that grows with each read."""
    reads: list[str] = []
    cat_file = type(folder.fs).cat_file

    def cat(self: Any, path: str, **options: Any) -> Any:
        reads.append(path)
        if len(reads) <= times:
            raise error
        return cat_file(self, path, **options)

    monkeypatch.setattr(type(folder.fs), "cat_file", cat)
    return reads


def test_a_lasting_failure_is_reported_without_secrets(
    bucket: UPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = RuntimeError("https://host/a?signature=hush said\nno")
    reads = fail_reads(monkeypatch, bucket, 9, error)
    with pytest.raises(StorageError, match="RuntimeError: https://host/a") as failed:
        read_whole(bucket / "a")
    # The libraries of object storages retry by themselves.
    assert len(reads) == 1
    assert failed.value.errno == errno.EIO
    assert failed.value.strerror == "RuntimeError: https://host/a?... said no"
    # A traceback must not show the secret, either.
    assert failed.value.__suppress_context__


def test_denied_access_is_reported(bucket: UPath, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_reads(monkeypatch, bucket, 9, PermissionError("no"))
    with pytest.raises(StorageError, match="access denied by the storage service") as failed:
        read_whole(bucket / "a")
    assert failed.value.filename == str(bucket / "a")


@pytest.mark.parametrize(
    ("answers", "data", "requests"),
    [
        ((Answer(b"", status=503), Answer(b"data")), b"data", 2),
        ((Answer(b"", status=503),), None, 3),
        ((Answer(b"", status=403),), None, 1),
    ],
)
def test_a_web_request_is_repeated_if_that_may_help(
    answers: tuple[Answer, ...], data: bytes | None, requests: int
) -> None:
    with serving(*answers) as web:
        named = place(f"{web.url}/it's a.png?signature=hush")
        if data is None:
            with pytest.raises(StorageError) as failed:
                read_whole(named)
            assert "hush" not in f"{failed.value} {failed.value.filename}"
        else:
            assert read_whole(named) == data
    assert len(web.requests) == requests


def test_a_reference_without_a_tag_reads_its_file(bucket: UPath) -> None:
    reference = FileReference.write(bucket / "a", b"data")
    assert reference.tag == ""
    reference.verify()
    write_atomic(bucket / "a", b"dada")
    for look in (reference.verify, reference.read):
        with pytest.raises(RecordError, match="is damaged"):
            look()
    remove(bucket / "a")
    with pytest.raises(RecordError, match="No such file"):
        reference.verify()


@pytest.fixture
def tagged_bucket(bucket: UPath, monkeypatch: pytest.MonkeyPatch) -> UPath:
    """Return a bucket with tags like those of S3: equal only for equal bytes."""
    info = type(bucket.fs).info

    def tagged(self: Any, path: str, **options: Any) -> dict[str, Any]:
        facts = info(self, path, **options)
        return {**facts, "ETag": f'"{hashlib.md5(self.store[path].getvalue()).hexdigest()}"'}

    monkeypatch.setattr(type(bucket.fs), "info", tagged)
    return bucket


def test_a_reference_with_a_tag_compares_tags(
    tagged_bucket: UPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = tagged_bucket
    reference = FileReference.write(bucket / "a", b"data")
    reads = fail_reads(monkeypatch, bucket, 0, RuntimeError())
    reference.verify()
    assert reads == []
    write_atomic(bucket / "a", b"dada")
    with pytest.raises(RecordError, match="another file"):
        reference.verify()


def overwrite_after(
    monkeypatch: pytest.MonkeyPatch, folder: UPath, method: str, *others: bytes
) -> None:
    """Let another writer write these bytes right after each call of a storage's method."""
    ask, coming = getattr(type(folder.fs), method), list(others)

    def ask_and_overwrite(self: Any, path: str, *arguments: Any, **options: Any) -> Any:
        answer = ask(self, path, *arguments, **options)
        if coming:
            self.store[path].seek(0)
            self.store[path].truncate()
            self.store[path].write(coming.pop(0))
        return answer

    monkeypatch.setattr(type(folder.fs), method, ask_and_overwrite)


@pytest.mark.parametrize("moment", ["pipe_file", "info", "cat_file"])
def test_another_writers_tag_is_not_taken_for_that_of_our_bytes(
    tagged_bucket: UPath, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    overwrite_after(monkeypatch, tagged_bucket, moment, b"dada")
    reference = FileReference.write(tagged_bucket / "a", b"data")
    assert read_whole(tagged_bucket / "a") == b"dada"
    assert reference.tag == ""
    with pytest.raises(RecordError, match="is damaged"):
        reference.verify()


def test_our_tag_is_missing_or_right_after_another_writer(
    tagged_bucket: UPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    overwrite_after(monkeypatch, tagged_bucket, "info", b"dada", b"data")
    reference = FileReference.write(tagged_bucket / "a", b"data")
    write_atomic(tagged_bucket / "a", b"data")
    reference.verify()
    write_atomic(tagged_bucket / "a", b"dada")
    with pytest.raises(RecordError):
        reference.verify()


def test_the_tag_in_the_answer_to_a_write_is_used(
    tagged_bucket: UPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, reads = type(tagged_bucket.fs).pipe_file, []
    monkeypatch.setattr(
        type(tagged_bucket.fs),
        "pipe_file",
        lambda self, path, data: (write(self, path, data), {"ETag": '"abc"'})[1],
    )
    monkeypatch.setattr(type(tagged_bucket.fs), "info", lambda *_: reads.append("info"))
    assert FileReference.write(tagged_bucket / "a", b"data").tag == "abc"
    assert reads == []


def test_a_file_that_disappears_right_after_a_write_is_no_error(
    tagged_bucket: UPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = type(tagged_bucket.fs).pipe_file

    def write_and_lose(self: Any, path: str, data: bytes) -> None:
        write(self, path, data)
        del self.store[path]

    monkeypatch.setattr(type(tagged_bucket.fs), "pipe_file", write_and_lose)
    assert FileReference.write(tagged_bucket / "a", b"data").tag == ""


def test_a_storage_that_does_not_answer_is_not_a_missing_record(
    bucket: UPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_reads(monkeypatch, bucket, 9, RuntimeError("down"))
    with pytest.raises(StorageError):
        StyleCache(bucket).find("key")
    monkeypatch.undo()
    assert StyleCache(bucket).find("key") is None


def test_a_storage_that_does_not_answer_costs_scores_only_time(
    bucket: UPath, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fail_reads(monkeypatch, bucket, 9, RuntimeError("down"))
    assert kept_statistics(StyleCache(bucket), "a" * 64) is None
    assert "is not used, and computed again" in caplog.text


def test_leftovers_that_cannot_be_removed_are_reported_and_kept(
    bucket: UPath, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    key, leftover = "0" * 64, "0" * 32
    for name in (key, leftover, "notes.txt", "locks/x.lock"):
        write_atomic(bucket / "[1]" / name, b"x")

    def refuse(*_: Any) -> None:
        raise PermissionError("no")

    with monkeypatch.context() as denied:
        denied.setattr(type(bucket.fs), "rm_file", refuse)
        remove_failures(bucket / "[1]")
    assert "access denied" in caplog.text
    remove_failures(bucket / "[1]")
    assert list_files(bucket / "[1]") == {key, "notes.txt", "locks/x.lock"}


def test_web_urls_can_only_be_read() -> None:
    with pytest.raises(OSError, match="is read-only") as refused:
        OutputFolder(UPath("https://host/out")).make()
    assert refused.value.errno == errno.EROFS
