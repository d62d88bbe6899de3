"""`nst-batch cache`: what it lists and removes, and what others remove meanwhile."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flows.cli.commands.cache import list_styles, prune
from flows.cli.terminal import Terminal
from nst_core.storage.held_files import part_name
from tasks.store.file_reference import FileReference
from tasks.store.records import StyleRecord
from tasks.store.style_cache import StyleCache

KEYS = tuple(digit * 64 for digit in "abcd")


@pytest.fixture
def cache(tmp_path: Path) -> StyleCache:
    """Return a cache with four styles."""
    cache = StyleCache(tmp_path / "cache")
    cache.make()
    for key in KEYS:
        add_style(cache, key)
    return cache


def add_style(cache: StyleCache, key: str) -> None:
    file = FileReference.write(cache.targets(key), b"targets")
    cache.keep(StyleRecord(key=key, file=file, seconds=1))


def names_in(folder: object) -> set[str]:
    return {path.name for path in Path(str(folder)).iterdir()}


def listed(cache: StyleCache, capsys: pytest.CaptureFixture[str]) -> list[str]:
    capsys.readouterr()
    assert list_styles(Terminal(as_json=True), cache) == 0
    styles = json.loads(capsys.readouterr().out)["styles"]
    return [f"{style['key'][0]} {style['state']}" for style in styles]


def test_list_shows_the_state_of_each_style(
    cache: StyleCache, capsys: pytest.CaptureFixture[str]
) -> None:
    (cache.targets(KEYS[1])).write_bytes(b"tar")
    (cache.records / KEYS[2]).unlink()
    assert listed(cache, capsys) == ["a ok", "b damaged", "c damaged", "d ok"]
    assert listed(StyleCache(cache.root / "missing"), capsys) == []


@pytest.mark.parametrize("work", ["list", "prune"])
def test_styles_that_another_prune_removes_meanwhile_are_no_error(
    cache: StyleCache, monkeypatch: pytest.MonkeyPatch, work: str
) -> None:
    find = StyleCache.find

    def remove_all_and_find(self: StyleCache, key: str) -> StyleRecord | None:
        for path in (*cache.files.iterdir(), *cache.records.iterdir()):
            if path.is_file():
                path.unlink()
        return find(self, key)

    monkeypatch.setattr(StyleCache, "find", remove_all_and_find)
    if work == "list":
        assert list_styles(Terminal(), cache) == 0
    else:
        assert prune(Terminal(), cache, 1, dry_run=False) == 0


def test_many_lists_and_prunes_at_once_with_runs_that_write(cache: StyleCache) -> None:
    def work(number: int) -> int:
        for key in KEYS:
            add_style(cache, key)
        if number % 3:
            return prune(Terminal(), cache, 0, dry_run=False)
        return list_styles(Terminal(), cache)

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(work, range(60))) == [0] * 60


def test_files_that_no_run_has_written_are_kept(cache: StyleCache, tmp_path: Path) -> None:
    files, records = Path(str(cache.files)), Path(str(cache.records))
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
    foreign = {link.name, folder.name, "notes.txt", "own.safetensors", ".x.part"}
    assert names_in(files) == foreign
    assert names_in(records) == {"notes.txt", "locks"}
    assert names_in(own) == {"family.png"}
    assert names_in(folder) == {"deep.safetensors"}


def test_a_dry_run_lists_what_would_be_removed(
    cache: StyleCache, capsys: pytest.CaptureFixture[str]
) -> None:
    part = cache.files / part_name("a.safetensors")
    part.write_bytes(b"x")
    removed = []
    for dry_run in (True, False):
        assert prune(Terminal(as_json=True), cache, 0, dry_run=dry_run) == 0
        removed.append(json.loads(capsys.readouterr().out)["removed"])
        assert part.exists() == dry_run
    assert removed[0] == removed[1]
    assert {Path(path).name for path in removed[0]} == {
        *(f"{key}.safetensors" for key in KEYS),
        part.name,
    }


def test_targets_that_are_being_written_are_kept(cache: StyleCache) -> None:
    (cache.records / KEYS[0]).unlink()
    assert prune(Terminal(), cache, 0, dry_run=False) == 0
    assert names_in(cache.files) == {f"{KEYS[0]}.safetensors"}
    os.utime(cache.targets(KEYS[0]), (0, 0))
    assert prune(Terminal(), cache, 10**5, dry_run=False) == 0
    assert names_in(cache.files) == set()


def test_styles_that_runs_need_are_kept(
    cache: StyleCache, capsys: pytest.CaptureFixture[str]
) -> None:
    with cache.in_use.of_a_run() as first, cache.in_use.of_a_run() as second:
        first(KEYS[0])
        second(KEYS[1])
        second(KEYS[0])
        assert cache.in_use.keys() == {KEYS[0], KEYS[1]}
        assert prune(Terminal(), cache, 0, dry_run=False) == 0
        assert (
            "removed 2 files, 0.0 MB; 2 more were kept, because runs are using them"
            in capsys.readouterr().out
        )
        assert listed(cache, capsys) == ["a ok", "b ok"]
    assert cache.in_use.keys() == set()
    assert names_in(cache.in_use.folder) == set()


def test_marking_targets_as_used_creates_no_file(cache: StyleCache) -> None:
    path = cache.targets(KEYS[0])
    os.utime(path, (0, 0))
    cache.mark_used(KEYS[0])
    assert path.stat().st_mtime > 0
    path.unlink()
    cache.mark_used(KEYS[0])
    assert not path.exists()


USE = """
import os, sys
from pathlib import Path
from tasks.store.style_cache import StyleCache

with StyleCache(Path(sys.argv[1])).in_use.of_a_run() as use:
    use(sys.argv[2])
    os._exit(9)
"""


def test_styles_of_a_killed_run_are_no_longer_in_use(cache: StyleCache) -> None:
    subprocess.run([sys.executable, "-c", USE, cache.root, KEYS[0]], check=False)
    assert len(names_in(cache.in_use.folder)) == 1
    assert cache.in_use.keys() == set()
    (cache.in_use.folder / "notes.txt").write_bytes(b"x")
    assert prune(Terminal(), cache, 0, dry_run=False) == 0
    assert names_in(cache.in_use.folder) == {"notes.txt"}
    assert names_in(cache.files) == set()


def test_a_cache_that_cannot_be_cleaned_is_reported(
    cache: StyleCache, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(path: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    assert prune(Terminal(), cache, 0, dry_run=False) == 2
    captured = capsys.readouterr()
    assert (
        f"{cache.records / KEYS[0]}: cannot be removed: Permission" in captured.out + captured.err
    )
    monkeypatch.setattr(Path, "iterdir", refuse)
    assert list_styles(Terminal(), cache) == 2
