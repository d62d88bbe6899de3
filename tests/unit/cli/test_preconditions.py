"""Preconditions of a run, which are checked first and reported at once, with advice."""

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
from nst_core.devices import gpus
from nst_core.storage.disk import Disk
from tasks.store.output_folder import OutputFolder
from tasks.store.style_cache import StyleCache


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.delenv("TMPDIR", raising=False)


def found(subject: str, tmp_path: Path, devices: str = "auto") -> Finding:
    findings = surroundings(StyleCache(tmp_path / "cache"), OutputFolder(tmp_path / "out"), devices)
    (finding,) = [finding for finding in findings if finding.subject == subject]
    return finding


def test_folders_are_created_and_left_empty_if_nothing_is_wrong(tmp_path: Path) -> None:
    check_ready(StyleCache(tmp_path / "cache"), OutputFolder(tmp_path / "out"), "auto")
    findings = surroundings(StyleCache(tmp_path / "cache"), OutputFolder(tmp_path / "out"))
    assert {finding.subject for finding in findings} == {
        *("prefect home", "temporary folder", "locks", "cache", "output")
    }
    for name in ("home", "cache", "out"):
        assert not list((tmp_path / name).iterdir())
    assert stat.S_IMODE((tmp_path / "cache").stat().st_mode) == 0o700


def test_all_problems_are_reported_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("PREFECT_HOME", str(file / "home"))
    with pytest.raises(NotReadyError) as raised:
        check_ready(StyleCache(file), OutputFolder(file / "out"), "auto")
    home, cache, output = str(raised.value).splitlines()
    assert home == (
        f"Prefect's home {file}/home has a file in its path where a folder is expected (Not a "
        "directory); set PREFECT_HOME to a folder that you can write to"
    )
    assert cache.startswith(f"the cache {file} is not a folder (File exists); set ")
    assert output.endswith("(Not a directory); choose another folder (--output)")


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """Yield a folder that nobody can write to, not even root."""
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


def test_read_only_folders_are_reported(read_only: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_HOME", str(read_only / "home"))
    with pytest.raises(NotReadyError) as raised:
        check_ready(StyleCache(read_only / "cache"), OutputFolder(read_only), "auto")
    home, cache, output = str(raised.value).splitlines()
    reason = "(is read-only|is not writable by) .*; "
    assert re.match(f"Prefect's home {read_only}/home {reason}set PREFECT_HOME", home)
    assert re.match(f"the cache {read_only}/cache {reason}set NST_BATCH_CACHE or --cache", cache)
    assert re.match(f"the output folder {read_only} {reason}choose another folder", output)


@pytest.mark.parametrize(("is_kept", "state"), [(True, "warning"), (False, "error")])
def test_a_read_only_cache_is_only_a_warning_if_it_has_targets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_kept: bool, state: str
) -> None:
    targets = tmp_path / "cache" / "styles" / "targets"
    targets.mkdir(parents=True)
    if is_kept:
        (targets / "a.safetensors").touch()
    probe, access = Disk.probe, os.access

    def refuse_in_cache(self: Disk, folder: Path) -> None:
        if folder == tmp_path / "cache":
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(folder))
        probe(self, folder)

    monkeypatch.setattr(Disk, "probe", refuse_in_cache)
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and access(path, mode))
    assert found("cache", tmp_path).state == state


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_an_exceeded_quota_is_noticed_by_writing(
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
def test_free_disk_space_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blocks: int, free: int, state: str
) -> None:
    """Space is in MB; a file system that counts no blocks does not know its free space."""
    facts = SimpleNamespace(f_blocks=blocks, f_bfree=0, f_bavail=free * 1000, f_frsize=1000)
    monkeypatch.setattr("os.statvfs", lambda _: facts)
    finding = found("output", tmp_path)
    assert finding.state == state
    if state == "error":
        assert finding.found.endswith("found 63 MB of free space, expected at least 64 MB")


def test_a_missing_home_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("PREFECT_HOME")
    monkeypatch.setattr(Path, "expanduser", lambda _: fail())
    finding = found("prefect home", tmp_path)
    assert (finding.state, finding.advice) == (
        *("error", "set PREFECT_HOME to a folder that you can write to"),
    )
    assert "HOME is not set, and this user has no home folder" in finding.found


def test_a_run_with_another_server_needs_no_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "file" / "home"))
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:4200/api")
    check_ready(StyleCache(tmp_path / "cache"), OutputFolder(tmp_path / "out"), "auto")
    assert not (tmp_path / "home").exists()


def test_a_missing_temporary_folder_is_reported(
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


def test_unusable_locks_are_an_error_only_if_gpus_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locks = tmp_path / "locks"
    locks.mkdir()
    (locks / "nst-batch-GPU1.lock").symlink_to(tmp_path / "victim")
    monkeypatch.setenv("NST_BATCH_DEVICE_LOCKS", str(locks))
    monkeypatch.setattr(gpus, "machine_gpus", lambda: ())
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
