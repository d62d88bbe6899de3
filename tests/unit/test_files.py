"""Files written whole, and locks that die with their holder."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nst_core.files import flock, locked, user_cache, write_whole


def test_write_whole_writes_and_replaces(tmp_path):
    path = tmp_path / "result.png"
    for data in (b"first", b"second, longer"):
        write_whole(path, data)
        assert path.read_bytes() == data
    assert [entry.name for entry in tmp_path.iterdir()] == ["result.png"]


def test_write_whole_makes_missing_folders(tmp_path):
    write_whole(tmp_path / "new" / "deep" / "a", b"data")
    assert (tmp_path / "new" / "deep" / "a").read_bytes() == b"data"


def test_write_whole_takes_the_longest_names(tmp_path):
    path = tmp_path / ("ü" * 125 + ".png")  # 254 bytes of 255
    write_whole(path, b"data")
    assert path.read_bytes() == b"data"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_write_whole_that_fails_leaves_the_old_file(tmp_path, monkeypatch, step, error):
    path = tmp_path / "result.png"
    path.write_bytes(b"old")
    seen = []

    def fail(*_):
        seen.extend(sorted(entry.name for entry in tmp_path.iterdir()))
        raise error

    monkeypatch.setattr(*((os, "fsync") if step == "fsync" else (Path, "replace")), fail)
    with pytest.raises(type(error)):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["result.png"]
    part, whole = seen
    assert whole == "result.png"
    assert part.startswith(".result.png.")
    assert part.endswith(".part")


def test_write_whole_asks_the_disk_before_it_replaces(tmp_path, monkeypatch):
    steps = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda file: (steps.append("fsync"), fsync(file)))
    monkeypatch.setattr(Path, "replace", lambda *args: (steps.append("replace"), replace(*args)))
    write_whole(tmp_path / "a", b"data")
    assert steps == ["fsync", "replace"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640)])
def test_write_whole_follows_the_umask(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        write_whole(tmp_path / "a", b"data")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == mode


def test_readers_never_see_a_part(tmp_path):
    path = tmp_path / "result"
    contents = [bytes([letter]) * 300_000 for letter in b"ab"]
    write_whole(path, contents[0])

    def write():
        for turn in range(40):
            write_whole(path, contents[turn % 2])

    writer = threading.Thread(target=write)
    writer.start()
    seen = [path.read_bytes()]
    while writer.is_alive():
        seen.append(path.read_bytes())
    writer.join()
    assert set(seen) <= set(contents)


HOLD = """
import sys, time
from pathlib import Path
from nst_core.files import flock
flock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def test_a_lock_is_held_by_one_and_given_back(tmp_path: Path) -> None:
    with locked(tmp_path / "lock"):
        assert flock(tmp_path / "lock", timeout=0) is None
    descriptor = flock(tmp_path / "lock", timeout=0)
    assert descriptor is not None
    os.close(descriptor)


def test_a_lock_is_given_back_when_its_holder_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert flock(tmp_path / "lock", timeout=0.2) is None
        holder.kill()
    with locked(tmp_path / "lock"):
        pass


def test_waiting_for_a_lock_can_be_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with locked(tmp_path / "lock"):
        before = len(list(Path("/proc/self/fd").iterdir()))
        monkeypatch.setattr("time.sleep", interrupt)
        with pytest.raises(KeyboardInterrupt):
            flock(tmp_path / "lock")
        assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_cache_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NST_BATCH_CACHE", "/somewhere")
    assert user_cache() == Path("/somewhere")
    monkeypatch.delenv("NST_BATCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert user_cache() == Path("/caches/nst-batch")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert user_cache() == Path.home() / ".cache" / "nst-batch"
