"""Failed writes, which are reported with the file, the folder, and what to do."""

import errno
import os
import stat
from pathlib import Path

import pytest

from nst_core.storage.files import StorageError, write_atomic
from nst_core.storage.write_errors import WriteError, writing_to


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOSPC, "is full (No space left on device); make room there"),
        (errno.EDQUOT, "exceeds your quota (Disk quota exceeded); remove files"),
        (errno.EROFS, "is read-only (Read-only file system); choose another folder"),
        (errno.EACCES, "is not writable by "),
    ],
)
def test_the_file_and_the_folder_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int, reason: str
) -> None:
    fsync = os.fsync

    def fail(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            fsync(descriptor)
        else:
            # `write` and `fsync` raise errors like this one, without a file name.
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr("os.fsync", fail)
    output, cache = tmp_path / "out", tmp_path / "cache"
    folders = {"the output folder": output, "the cache": cache}
    for name, folder in folders.items():
        path = folder / "pictures" / "a.png"
        with pytest.raises(WriteError) as failed, writing_to(folders):
            write_atomic(path, b"data")
        assert str(failed.value).startswith(f"{path}: cannot be written: {name} {folder} {reason}")
        assert not list((folder / "pictures").iterdir())
    with pytest.raises(WriteError) as failed, writing_to(folders):
        write_atomic(tmp_path / "elsewhere", b"data")
    assert f"the folder {tmp_path} {reason}" in str(failed.value)


def test_other_errors_are_not_changed() -> None:
    errors = [
        FileNotFoundError(errno.ENOENT, "No such file", "/a"),
        StorageError(errno.EACCES, "access denied by the storage service", "s3://a/b"),
        ValueError("none of ours"),
    ]
    for error in errors:
        with pytest.raises(type(error)) as raised, writing_to({"the output folder": Path("/a")}):
            raise error
        assert raised.value is error
