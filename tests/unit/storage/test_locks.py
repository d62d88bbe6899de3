"""Locks that are released when their holder dies, and that no user can turn against another."""

import fcntl
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nst_core.storage import locks
from nst_core.storage.locks import LockError, flock, holder_of, lock_folder, locked, shared_lock

ANNA, BEN, MALLORY = 1, 2, 65534
"""IDs of users that exist on Linux systems, and that nobody logs in as."""

HOLD = """
import os, sys, time
from pathlib import Path
from nst_core.storage.locks import LockError, flock
os.umask(0o077)
if user := int(sys.argv[3]):
    # Only now, as other users may not be able to read this installation.
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
try:
    print("held" if flock(Path(sys.argv[1]), timeout=0) is not None else "in use", flush=True)
except LockError as error:
    print(error, flush=True)
time.sleep(float(sys.argv[2]))
"""


def in_another_process(path: Path, seconds: float, user: int = 0) -> "subprocess.Popen[str]":
    """Start a process, as some user, that tries to take a lock, prints the outcome, and waits."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), str(seconds), str(user)],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_lock_has_one_holder_and_can_be_released(tmp_path: Path) -> None:
    with locked(tmp_path / "lock"):
        assert flock(tmp_path / "lock", timeout=0) is None
    descriptor = flock(tmp_path / "lock", timeout=0)
    assert descriptor is not None
    os.close(descriptor)


def test_a_lock_can_be_shared(tmp_path: Path) -> None:
    first = flock(tmp_path / "lock", timeout=0, together=True)
    second = flock(tmp_path / "lock", timeout=0, together=True)
    assert first is not None
    assert second is not None
    assert flock(tmp_path / "lock", timeout=0) is None
    os.close(first)
    os.close(second)


def test_a_lock_is_released_when_its_holder_is_killed(tmp_path: Path) -> None:
    with in_another_process(tmp_path / "lock", 60) as holder:
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


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("of someone else")
    victim.chmod(0o600)
    for target in (victim, tmp_path / "not there"):
        link = tmp_path / f"{target.name}.lock"
        link.symlink_to(target)
        with pytest.raises(LockError, match=r"found a symbolic link of .*; remove it"):
            flock(link, timeout=0)
    assert stat.S_IMODE(victim.stat().st_mode) == 0o600
    assert victim.read_text() == "of someone else"
    assert not (tmp_path / "not there").exists()


def test_only_a_regular_file_can_be_a_lock(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(LockError, match="expected a lock file, found"):
            flock(tmp_path / name, timeout=0)


def test_the_mode_of_an_existing_file_is_kept(tmp_path: Path) -> None:
    (tmp_path / "lock").touch(mode=0o600)
    tmp_path.chmod(0o777)
    with locked(tmp_path / "lock"):
        pass
    assert stat.S_IMODE((tmp_path / "lock").stat().st_mode) == 0o600


@pytest.mark.parametrize(("folder", "file"), [(0o700, 0o600), (0o750, 0o640), (0o1777, 0o644)])
def test_whoever_may_read_the_folder_may_wait(tmp_path: Path, folder: int, file: int) -> None:
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks").chmod(folder)
    before = os.umask(0o077)
    try:
        with locked(tmp_path / "locks" / "lock"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "locks" / "lock").stat().st_mode) == file


def test_a_lock_file_that_was_removed_meanwhile_is_not_relied_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, original = tmp_path / "lock", fcntl.flock
    removals = iter([path])

    def remove_first(descriptor: int, kind: int) -> None:
        for removed in removals:
            removed.unlink()
        original(descriptor, kind)

    monkeypatch.setattr("fcntl.flock", remove_first)
    descriptor = flock(path, timeout=0)
    assert descriptor is not None
    assert os.path.samestat(os.fstat(descriptor), path.stat())
    os.close(descriptor)


def test_a_file_system_without_locks_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(
        LockError, match=r"lock: its file system does not support locks .* not implemented"
    ):
        flock(tmp_path / "lock")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/locks")
def test_the_holder_of_a_lock_is_named(tmp_path: Path) -> None:
    assert holder_of(tmp_path / "lock") == ""
    with in_another_process(tmp_path / "lock", 60) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert holder_of(tmp_path / "lock") == (
            f"process {holder.pid} of {locks.user_name(os.geteuid())}"
        )
        holder.kill()


def test_locks_are_where_all_users_find_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.delenv("NST_BATCH_DEVICE_LOCKS")
    assert shared_lock("GPU0") == Path("/tmp/nst-batch-GPU0.lock")
    monkeypatch.setenv("NST_BATCH_DEVICE_LOCKS", str(tmp_path / "my" / "locks"))
    assert shared_lock("GPU0") == tmp_path / "my" / "locks" / "nst-batch-GPU0.lock"
    assert stat.S_IMODE((tmp_path / "my" / "locks").stat().st_mode) == 0o700


def test_an_unusable_lock_folder_is_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for named in ("file", "file/folder", "link"):
        monkeypatch.setenv("NST_BATCH_DEVICE_LOCKS", str(tmp_path / named))
        with pytest.raises(LockError, match=f"{named}: .*set NST_BATCH_DEVICE_LOCKS to a folder"):
            lock_folder()


# The following tests run processes as real users, which only root can do.


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """Yield a folder like /tmp: root's, open to all users; only a file's owner can remove it."""
    if os.geteuid() != 0 or sys.platform != "linux":
        pytest.skip("needs to be root, to become other users")
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o1777)
    yield folder
    shutil.rmtree(folder)


def test_two_users_wait_for_each_other(shared_folder: Path) -> None:
    path = shared_folder / "GPU0.lock"
    with in_another_process(path, 60, ANNA) as anna:
        assert anna.stdout is not None
        assert anna.stdout.readline() == "held\n"
        with in_another_process(path, 0, BEN) as ben:
            assert ben.communicate()[0] == "in use\n"
        assert holder_of(path) == f"process {anna.pid} of {locks.user_name(ANNA)}"
        anna.kill()
    # The file stays Anna's, and nobody else may write to it.
    assert path.stat().st_uid == ANNA
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    with in_another_process(path, 0, BEN) as ben:
        assert ben.communicate()[0] == "held\n"


def test_a_folder_that_another_user_made_first_is_not_used(
    shared_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = shared_folder / "locks"
    trap.mkdir()
    trap.chmod(0o777)
    os.chown(trap, MALLORY, MALLORY)
    (shared_folder / "link").symlink_to("/etc")
    os.chown(shared_folder / "link", MALLORY, MALLORY, follow_symlinks=False)
    for folder in (trap, shared_folder / "link"):
        monkeypatch.setenv("NST_BATCH_DEVICE_LOCKS", str(folder))
        with pytest.raises(LockError, match=f"{folder}: .* belongs to nobody, who could replace"):
            shared_lock("GPU0")
    assert not list(trap.iterdir())


def test_a_link_that_another_user_planted_is_not_followed(shared_folder: Path) -> None:
    secret = shared_folder / "secret"
    secret.touch(mode=0o600)
    for target in (secret, shared_folder / "new"):
        path = shared_folder / f"{target.name}.lock"
        path.symlink_to(target)
        os.chown(path, MALLORY, MALLORY, follow_symlinks=False)
        with pytest.raises(LockError, match="a symbolic link of nobody; remove it"):
            flock(path, timeout=0)
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert not (shared_folder / "new").exists()


def test_a_lock_that_its_owner_forbids_is_reported_by_name(shared_folder: Path) -> None:
    path = shared_folder / "GPU0.lock"
    path.touch(mode=0o600)
    os.chown(path, MALLORY, MALLORY)
    with in_another_process(path, 0, BEN) as ben:
        output = ben.communicate()[0]
    assert output == (
        f"{path}: this lock file belongs to nobody, and {locks.user_name(BEN)} may not open it; "
        f"have its owner remove it, or let others read it (chmod 644 {path})\n"
    )


def test_others_get_no_access_in_a_folder_of_another_user(shared_folder: Path) -> None:
    folder = shared_folder / "of-mallory"
    folder.mkdir()
    folder.chmod(0o777)
    os.chown(folder, MALLORY, MALLORY)
    with in_another_process(folder / "lock", 0, BEN) as ben:
        assert ben.communicate()[0] == "held\n"
    assert stat.S_IMODE((folder / "lock").stat().st_mode) == 0o640
    folder.chmod(0o755)
    with in_another_process(folder / "other", 0, BEN) as ben:
        output = ben.communicate()[0]
    assert output.startswith(f"{folder}: the folder belongs to nobody, and ")
