"""What must hold around a run is looked at first, and told at once with what to do."""

import errno
import os
import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from flows.cli import preconditions
from flows.cli.preconditions import Finding, NotReadyError, check_ready, surroundings


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.delenv("TMPDIR", raising=False)


def found(subject: str, tmp_path: Path, devices: str = "auto") -> Finding:
    findings = surroundings(tmp_path / "cache", tmp_path / "out", devices)
    (finding,) = [finding for finding in findings if finding.subject == subject]
    return finding


def test_where_all_is_well_folders_are_made_and_nothing_is_left_in_them(tmp_path: Path) -> None:
    check_ready(tmp_path / "cache", tmp_path / "out", "auto")
    findings = surroundings(tmp_path / "cache", tmp_path / "out")
    assert {finding.subject for finding in findings} == {
        *("prefect home", "temporary folder", "locks", "cache", "output")
    }
    for name in ("home", "cache", "out"):
        assert not list((tmp_path / name).iterdir())
    assert stat.S_IMODE((tmp_path / "cache").stat().st_mode) == 0o700


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("PREFECT_HOME", str(file / "home"))
    with pytest.raises(NotReadyError) as told:
        check_ready(file, file / "out", "auto")
    home, cache, output = str(told.value).splitlines()
    assert home == (
        f"Prefect's home {file}/home has a file in its path where a folder is expected (Not a "
        "directory); set PREFECT_HOME to a folder that you can write to"
    )
    assert cache.startswith(f"the cache {file} is not a folder (File exists); set ")
    assert output.endswith("(Not a directory); choose another folder (--output)")


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A folder that cannot be written, not even by root."""
    folder = tmp_path / "read-only"
    folder.mkdir()
    if os.geteuid() != 0:
        folder.chmod(0o500)
        yield folder
        return
    mount = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("root needs to mount a folder that it cannot write")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_folders_that_can_only_be_read(read_only: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_HOME", str(read_only / "home"))
    with pytest.raises(NotReadyError) as told:
        check_ready(read_only / "cache", read_only, "auto")
    home, cache, output = str(told.value).splitlines()
    wrong = "(can only be read|is not writable by) .*; "
    assert re.match(f"Prefect's home {read_only}/home {wrong}set PREFECT_HOME", home)
    assert re.match(f"the cache {read_only}/cache {wrong}set NST_BATCH_CACHE or --cache", cache)
    assert re.match(f"the output folder {read_only} {wrong}choose another folder", output)


@pytest.mark.parametrize(("is_kept", "state"), [(True, "warning"), (False, "error")])
def test_a_cache_that_can_only_be_read_serves_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_kept: bool, state: str
) -> None:
    targets = tmp_path / "cache" / "styles" / "targets"
    targets.mkdir(parents=True)
    if is_kept:
        (targets / "a.safetensors").touch()
    temporary, access = preconditions.tempfile.NamedTemporaryFile, os.access

    def refuse_in_cache(dir: Path, prefix: str) -> object:  # noqa: A002 - the library's name
        if dir == tmp_path / "cache":
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(dir))
        return temporary(dir=dir, prefix=prefix)

    monkeypatch.setattr(preconditions.tempfile, "NamedTemporaryFile", refuse_in_cache)
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and access(path, mode))
    assert found("cache", tmp_path).state == state


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_quota_shows_where_something_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("os.fsync", fail)
    finding = found("output", tmp_path)
    assert finding.state == "error"
    assert finding.found.startswith(f"the output folder {tmp_path}/out ")
    assert os.strerror(number) in finding.found
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("blocks", "free", "state"),
    [(10**6, 63, "error"), (10**6, 65, "warning"), (10**6, 1001, "ok"), (0, 0, "ok")],
)
def test_room_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blocks: int, free: int, state: str
) -> None:
    """In MB; a file system that counts no blocks does not say."""
    facts = SimpleNamespace(f_blocks=blocks, f_bavail=free * 1000, f_frsize=1000)
    monkeypatch.setattr("os.statvfs", lambda _: facts)
    finding = found("output", tmp_path)
    assert finding.state == state
    if state == "error":
        assert finding.found.endswith("found 63 MB of free space, expected at least 64 MB")


def test_no_home_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("PREFECT_HOME")
    monkeypatch.setattr(Path, "expanduser", lambda _: fail())
    finding = found("prefect home", tmp_path)
    assert (finding.state, finding.advice) == (
        *("error", "set PREFECT_HOME to a folder that you can write to"),
    )
    assert "HOME is not set, and this user has no home folder" in finding.found


def test_a_server_elsewhere_needs_no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "file" / "home"))
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:4200/api")
    check_ready(tmp_path / "cache", tmp_path / "out", "auto")
    assert not (tmp_path / "home").exists()


def test_a_temporary_folder_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "nowhere"))
    finding = found("temporary folder", tmp_path)
    assert finding.state == "warning"
    assert finding.found.startswith(f"TMPDIR={tmp_path}/nowhere is not a folder; ")

    def fail() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in [...]")

    monkeypatch.setattr("tempfile.gettempdir", fail)
    assert found("temporary folder", tmp_path).state == "error"


def test_locks_that_cannot_be_used_matter_where_there_are_gpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locks = tmp_path / "locks"
    locks.mkdir()
    (locks / "nst-batch-GPU1.lock").symlink_to(tmp_path / "victim")
    monkeypatch.setenv("NST_BATCH_DEVICE_LOCKS", str(locks))
    monkeypatch.setattr(preconditions, "visible_gpus", lambda: ())
    assert found("locks", tmp_path).state == "ok"
    assert found("locks", tmp_path, "gpu:0").state == "ok"
    monkeypatch.setattr(preconditions, "visible_gpus", lambda: ("0", "1"))
    assert found("locks", tmp_path, "cpu").state == "ok"
    for devices in ("auto", "gpu", "gpu:1"):
        finding = found("locks", tmp_path, devices)
        assert finding.state == "error"
        assert "GPU1.lock: expected a lock file, found a symbolic link of " in finding.found
        assert finding.advice == "remove it"
    assert not (tmp_path / "victim").exists()
