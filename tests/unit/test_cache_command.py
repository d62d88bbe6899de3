"""`nst-batch cache`: what is listed, what is removed, and what somebody else removes meanwhile."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flows.cli.commands import cache as command
from flows.cli.commands.cache import list_styles, prune
from flows.cli.terminal import Terminal
from nst_core.storage.held_files import part_name
from tasks.store.layout import style_files, style_records, styles_in_use
from tasks.store.records import FileReference, StyleRecord, find_style, write_record
from tasks.store.styles_in_use import keys_in_use, using_styles
from tasks.style_targets import mark_used

KEYS = tuple(digit * 64 for digit in "abcd")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Four styles."""
    for folder in (style_files(tmp_path), style_records(tmp_path)):
        Path(folder).mkdir(parents=True)
    for key in KEYS:
        keep(tmp_path, key)
    return tmp_path


def keep(cache: Path, key: str) -> None:
    file = FileReference.write(style_files(cache) / f"{key}.safetensors", b"targets")
    write_record(style_records(cache) / key, StyleRecord(key=key, file=file, seconds=1))


def names_in(folder: object) -> set[str]:
    return {path.name for path in Path(str(folder)).iterdir()}


def listed(cache: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    capsys.readouterr()
    assert list_styles(Terminal(as_json=True), cache) == 0
    styles = json.loads(capsys.readouterr().out)["styles"]
    return [f"{style['key'][0]} {style['state']}" for style in styles]


def test_what_is_listed(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (style_files(cache) / f"{KEYS[1]}.safetensors").write_bytes(b"tar")
    (style_records(cache) / KEYS[2]).unlink()
    assert listed(cache, capsys) == ["a ok", "b damaged", "c damaged", "d ok"]
    assert listed(cache / "missing", capsys) == []


@pytest.mark.parametrize("work", ["list", "prune"])
def test_what_another_prune_removes_meanwhile_is_no_error(
    cache: Path, monkeypatch: pytest.MonkeyPatch, work: str
) -> None:
    def remove_all_and_find(folder: Path, key: str) -> StyleRecord | None:
        for path in (*style_files(cache).iterdir(), *style_records(cache).iterdir()):
            if path.is_file():
                path.unlink()
        return find_style(folder, key)

    monkeypatch.setattr(command, "find_style", remove_all_and_find)
    if work == "list":
        assert list_styles(Terminal(), cache) == 0
    else:
        assert prune(Terminal(), cache, 1, dry_run=False) == 0


def test_many_at_once_with_runs_that_write(cache: Path) -> None:
    def work(number: int) -> int:
        for key in KEYS:
            keep(cache, key)
        if number % 3:
            return prune(Terminal(), cache, 0, dry_run=False)
        return list_styles(Terminal(), cache)

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(work, range(60))) == [0] * 60


def test_nothing_that_no_run_has_written_is_removed(cache: Path, tmp_path: Path) -> None:
    files, records = Path(str(style_files(cache))), Path(str(style_records(cache)))
    own = tmp_path / "own"
    own.mkdir()
    picture = own / "family.png"
    picture.write_bytes(b"family")
    link, folder = (files / f"{digit * 64}.safetensors" for digit in "ef")
    link.symlink_to(picture)
    folder.mkdir()
    (folder / "deep.safetensors").write_bytes(b"x")
    for path in (files / "notes.txt", files / "own.safetensors", files / ".x.part"):
        path.write_bytes(b"x")
        os.utime(path, (0, 0))
    (records / "notes.txt").write_bytes(b"x")
    (files / part_name("a.safetensors")).write_bytes(b"x")
    assert prune(Terminal(), cache, 0, dry_run=False) == 0
    kept = {link.name, folder.name, "notes.txt", "own.safetensors", ".x.part"}
    assert names_in(files) == kept
    assert names_in(records) == {"notes.txt", "locks"}
    assert names_in(own) == {"family.png"}
    assert names_in(folder) == {"deep.safetensors"}


def test_a_dry_run_tells_what_would_be_removed(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = style_files(cache) / part_name("a.safetensors")
    part.write_bytes(b"x")
    told = []
    for dry_run in (True, False):
        assert prune(Terminal(as_json=True), cache, 0, dry_run=dry_run) == 0
        told.append(json.loads(capsys.readouterr().out)["removed"])
        assert part.exists() == dry_run
    assert told[0] == told[1]
    assert {Path(path).name for path in told[0]} == {
        *(f"{key}.safetensors" for key in KEYS),
        part.name,
    }


def test_what_is_written_at_this_moment_stays(cache: Path) -> None:
    (style_records(cache) / KEYS[0]).unlink()
    assert prune(Terminal(), cache, 0, dry_run=False) == 0
    assert names_in(style_files(cache)) == {f"{KEYS[0]}.safetensors"}
    os.utime(style_files(cache) / f"{KEYS[0]}.safetensors", (0, 0))
    assert prune(Terminal(), cache, 10**5, dry_run=False) == 0
    assert names_in(style_files(cache)) == set()


def test_styles_that_runs_need_stay(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with using_styles(cache) as first, using_styles(cache) as second:
        first(KEYS[0])
        second(KEYS[1])
        second(KEYS[0])
        assert keys_in_use(cache) == {KEYS[0], KEYS[1]}
        assert prune(Terminal(), cache, 0, dry_run=False) == 0
        assert (
            "removed 2 files, 0.0 MB; 2 more were kept, because runs are using them"
            in capsys.readouterr().out
        )
        assert listed(cache, capsys) == ["a ok", "b ok"]
    assert keys_in_use(cache) == set()
    assert names_in(styles_in_use(cache)) == set()


def test_marking_targets_as_used_makes_no_file(cache: Path) -> None:
    record = find_style(style_records(cache), KEYS[0])
    assert record
    os.utime(record.file.path, (0, 0))
    mark_used(record)
    assert record.file.path.stat().st_mtime > 0
    record.file.path.unlink()
    mark_used(record)
    assert not record.file.path.exists()


USE = """
import os, sys
from pathlib import Path
from tasks.style_targets import mark_used
from tasks.store.styles_in_use import using_styles

with using_styles(Path(sys.argv[1])) as use:
    use(sys.argv[2])
    os._exit(9)
"""


def test_a_killed_runs_styles_are_in_use_no_more(cache: Path) -> None:
    subprocess.run([sys.executable, "-c", USE, cache, KEYS[0]], check=False)
    assert len(names_in(styles_in_use(cache))) == 1
    assert keys_in_use(cache) == set()
    (styles_in_use(cache) / "notes.txt").write_bytes(b"x")
    assert prune(Terminal(), cache, 0, dry_run=False) == 0
    assert names_in(styles_in_use(cache)) == {"notes.txt"}
    assert names_in(style_files(cache)) == set()


def test_a_cache_that_cannot_be_cleaned_is_told(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(path: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    assert prune(Terminal(), cache, 0, dry_run=False) == 2
    told = capsys.readouterr()
    assert f"{style_records(cache) / KEYS[0]}: cannot be removed: Permission" in told.out + told.err
    monkeypatch.setattr(Path, "iterdir", refuse)
    assert list_styles(Terminal(), cache) == 2
