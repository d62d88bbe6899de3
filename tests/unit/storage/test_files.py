"""Atomic writes of files, and the location of the user's cache."""

import os
import threading
from pathlib import Path

import pytest

from nst_core.storage.files import user_cache, write_atomic


def test_write_atomic_writes_and_replaces(tmp_path):
    path = tmp_path / "result.png"
    for data in (b"first", b"second, longer"):
        write_atomic(path, data)
        assert path.read_bytes() == data
    assert [entry.name for entry in tmp_path.iterdir()] == ["result.png"]


def test_write_atomic_creates_missing_folders(tmp_path):
    write_atomic(tmp_path / "new" / "deep" / "a", b"data")
    assert (tmp_path / "new" / "deep" / "a").read_bytes() == b"data"


def test_write_atomic_accepts_the_longest_names(tmp_path):
    path = tmp_path / ("ü" * 125 + ".png")  # 254 bytes of 255
    write_atomic(path, b"data")
    assert path.read_bytes() == b"data"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_write_atomic_leaves_the_old_file_if_it_fails(tmp_path, monkeypatch, step, error):
    path = tmp_path / "result.png"
    path.write_bytes(b"old")
    seen = []

    def fail(*_):
        seen.extend(sorted(entry.name for entry in tmp_path.iterdir()))
        raise error

    monkeypatch.setattr(*((os, "fsync") if step == "fsync" else (Path, "replace")), fail)
    with pytest.raises(type(error)):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["result.png"]
    part, final = seen
    assert final == "result.png"
    assert part.startswith(".result.png.")
    assert part.endswith(".part")


def test_write_atomic_syncs_before_it_replaces(tmp_path, monkeypatch):
    steps = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda file: (steps.append("fsync"), fsync(file)))
    monkeypatch.setattr(Path, "replace", lambda *args: (steps.append("replace"), replace(*args)))
    write_atomic(tmp_path / "a", b"data")
    assert steps == ["fsync", "replace"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640)])
def test_write_atomic_follows_the_umask(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        write_atomic(tmp_path / "a", b"data")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == mode


def test_readers_never_see_a_partial_file(tmp_path):
    path = tmp_path / "result"
    contents = [bytes([letter]) * 300_000 for letter in b"ab"]
    write_atomic(path, contents[0])

    def write():
        for turn in range(40):
            write_atomic(path, contents[turn % 2])

    writer = threading.Thread(target=write)
    writer.start()
    seen = [path.read_bytes()]
    while writer.is_alive():
        seen.append(path.read_bytes())
    writer.join()
    assert set(seen) <= set(contents)


def test_the_users_cache_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NST_BATCH_CACHE", "/somewhere")
    assert user_cache() == Path("/somewhere")
    monkeypatch.delenv("NST_BATCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert user_cache() == Path("/caches/nst-batch")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert user_cache() == Path.home() / ".cache" / "nst-batch"


def test_where_systems_keep_caches_elsewhere_an_existing_cache_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NST_BATCH_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    usual = tmp_path / "Library" / "Caches" / "nst-batch"
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: usual)
    assert user_cache() == usual
    (tmp_path / ".cache" / "nst-batch").mkdir(parents=True)
    assert user_cache() == tmp_path / ".cache" / "nst-batch"
