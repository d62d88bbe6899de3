"""Files of living processes are kept; those of killed ones are swept, and no others."""

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nst_core.storage import held_files
from nst_core.storage.files import write_atomic
from nst_core.storage.held_files import (
    create_held,
    is_held,
    part_name,
    remove_unless_held,
    sweep_parts,
)

WRITE = """
import os, sys, time
from pathlib import Path
from nst_core.storage.files import write_atomic

def pause(_):
    print("writing", flush=True)
    time.sleep(600)

os.fsync = pause
write_atomic(Path(sys.argv[1]), b"half")
"""


def start_writer(path: Path) -> "subprocess.Popen[str]":
    """Start a process, and return it while it is writing a file."""
    command = [sys.executable, "-c", WRITE, str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    return process


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_partial_file_is_kept_while_its_writer_lives(tmp_path: Path) -> None:
    with start_writer(tmp_path / "a.png") as writer:
        (part,) = tmp_path.iterdir()
        assert part.name.startswith(".a.png.")
        assert is_held(part)
        assert sweep_parts([tmp_path]) == []
        writer.kill()
    assert sweep_parts([tmp_path]) == [part]
    assert names_in(tmp_path) == []


def test_only_files_with_our_own_names_are_swept(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    swept = [tmp_path / part_name("a.png"), tmp_path / part_name("x\ny" * 60)]
    target = tmp_path / "target"
    foreign = [
        *(target, tmp_path / "x.part", tmp_path / ".x.part", tmp_path / ".x.abc.part"),
        *(tmp_path / f"{part_name('a')}.png", tmp_path / "deep" / part_name("a.png")),
    ]
    for path in (*swept, *foreign):
        path.write_bytes(b"x")
    (tmp_path / part_name("link")).symlink_to(target)
    (tmp_path / part_name("folder")).mkdir()
    os.mkfifo(tmp_path / part_name("pipe"))
    before = set(tmp_path.iterdir()) - set(swept)
    assert sorted(sweep_parts([tmp_path, tmp_path / "missing"])) == sorted(swept)
    assert set(tmp_path.iterdir()) == before
    assert all(path.exists() for path in foreign)


@pytest.mark.parametrize(("hours", "is_swept"), [(0, False), (23, False), (25, True)])
def test_partial_files_of_other_machines_are_kept_for_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hours: int, is_swept: bool
) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(held_files, "_machine", lambda: "0" * 8)
        part = tmp_path / part_name("a.png")
    part.write_bytes(b"x")
    written = time.time() - hours * 3600
    os.utime(part, (written, written))
    assert bool(sweep_parts([tmp_path])) == is_swept
    assert part.exists() != is_swept


def test_without_locks_only_age_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    write_atomic(tmp_path / "a", b"data")
    new, old = tmp_path / part_name("new"), tmp_path / part_name("old")
    for part in (new, old):
        part.write_bytes(b"x")
    os.utime(old, (0, 0))
    assert sweep_parts([tmp_path]) == [old]
    assert names_in(tmp_path) == sorted(["a", new.name])


def test_a_writer_whose_file_was_swept_before_it_was_locked_starts_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = fcntl.flock
    swept: list[Path] = []

    def sweep_first(descriptor: int, operation: int) -> None:
        if not swept:
            (part,) = tmp_path.iterdir()
            swept.append(part)
            assert remove_unless_held(part)
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", sweep_first)
    write_atomic(tmp_path / "a", b"data")
    assert swept
    assert (tmp_path / "a").read_bytes() == b"data"
    assert names_in(tmp_path) == ["a"]


def test_a_held_file_is_released_with_its_descriptor(tmp_path: Path) -> None:
    path, descriptor = create_held(lambda: tmp_path / "mine")
    assert is_held(path)
    assert not remove_unless_held(path)
    os.close(descriptor)
    assert not is_held(path)
    assert remove_unless_held(path)
    for look in (is_held, remove_unless_held):
        with pytest.raises(FileNotFoundError):
            look(path)
