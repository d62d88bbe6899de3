"""Every kind of storage: it follows the protocol, and the folders of a batch work in it."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from upath import UPath

from nst_core.scoring.style import StyleStatistics
from nst_core.storage import files
from nst_core.storage.files import (
    exists,
    find_files,
    list_files,
    move,
    probe,
    read_kept,
    read_start,
    read_whole,
    remove,
    sizes_of_files,
    stat,
    write_atomic,
)
from nst_core.storage.places import Place
from nst_core.storage.schemes import SCHEMES, Scheme
from tasks.store.cached_files import CacheError
from tasks.store.file_reference import FileReference
from tasks.store.kept_statistics import keep_statistics, kept_statistics
from tasks.store.output_folder import OutputFolder
from tasks.store.records import StyleRecord
from tasks.store.style_cache import StyleCache
from tests.finished_rows import finish, place_rows
from tests.memory_storage import MemoryStorage


@pytest.fixture(params=["disk", "fsspec", "memory"])
def folder(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    """Yield a folder on a disk, in object storage through fsspec, or in a third kind of storage."""
    if request.param == "disk":
        yield tmp_path / "folder"
        return
    MemoryStorage.files.clear()
    is_ours = request.param == "memory"
    scheme = Scheme(storage="tests.memory_storage.MemoryStorage") if is_ours else Scheme()
    monkeypatch.setitem(SCHEMES, "memory", scheme)
    folder = UPath(f"memory://{tmp_path.name}/folder")
    yield folder
    folder.fs.store.clear()


def test_files_are_written_read_listed_moved_and_removed(folder: Place) -> None:
    path = folder / "deep" / "a.png"
    assert list_files(folder) == set()
    assert not exists(path)
    for data in (b"first", b"second, longer"):
        write_atomic(path, data)
        assert read_whole(path) == read_kept(path) == data
        assert read_start(path, 3) == data[:3]
        assert stat(path).size == len(data)
        assert files.contents_of(path, len(data)) == (len(data), hashlib.sha256(data).hexdigest())
        assert files.contents_of(path, 1) == (len(data), "")
    assert sizes_of_files(folder) == {"deep/a.png": len(data)}
    assert list_files(folder / "deep") == {"a.png"}
    assert [found.name for found in find_files(folder / "deep")] == ["a.png"]
    move(path, folder / "deep" / "b.png")
    assert (exists(path), exists(folder / "deep" / "b.png")) == (False, True)
    for _ in range(2):
        remove(folder / "deep" / "b.png")
    assert list_files(folder) == set()


@pytest.mark.parametrize("ask", [read_whole, read_kept, stat])
def test_missing_files_are_reported_alike_by_all_storages(folder: Place, ask: object) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        ask(folder / "a.png")  # type: ignore[operator]
    assert missing.value.strerror
    assert missing.value.strerror.startswith("No such file")
    assert missing.value.filename == str(folder / "a.png")


def test_equal_bytes_have_equal_tags(folder: Place) -> None:
    tags = [write_atomic(folder / "a", data) for data in (b"data", b"dada", b"data")]
    assert tags[0] == tags[2]
    assert tags == ["", "", ""] or tags[0] != tags[1]
    assert stat(folder / "a").tag == tags[2]


def test_a_probe_leaves_nothing_behind(folder: Place) -> None:
    probe(folder / "new")
    assert list_files(folder) == set()
    assert not exists(folder)


def test_finished_rows_are_found_and_moved_in_any_storage(folder: Place) -> None:
    for row, name in (("A", "a.png"), ("B", "b.png")):
        finish(row, name, folder)
    names = ("b.png", "a.png")
    for _ in range(2):
        place_rows("AB", names, folder).assert_all_have_own_files("AB", names, folder)


def test_an_output_folder_can_be_made_probed_locked_and_swept(folder: Place) -> None:
    output = OutputFolder(folder)
    assert output.probe() == []
    assert list_files(folder) == set()
    output.make()
    output.sweep()
    with output.lock():
        write_atomic(output.intermediate("deep/a.png", 20), b"20")
        write_atomic(output.intermediate("deep/a.png", 100), b"100")
    assert [path.name for path in output.intermediates("deep/a.png")] == [
        "000020.png",
        "000100.png",
    ]
    assert output.intermediates("a.png") == []


def test_style_targets_are_kept_and_found_in_any_storage(folder: Place) -> None:
    cache, key = StyleCache(folder), "a" * 64
    cache.make()
    assert cache.find(key) is None
    record = StyleRecord(key=key, file=FileReference.write(cache.targets(key), b"t"), seconds=1)
    cache.keep(record)
    assert cache.find(key) == record
    cache.mark_used(key)
    cache.sweep()
    with cache.in_use.of_a_run() as use:
        use(key)
    write_atomic(cache.targets(key), b"u")
    assert cache.find(key) is None


def test_what_scores_need_of_styles_is_kept_in_any_storage(folder: Place) -> None:
    cache, key = StyleCache(folder), "a" * 64
    cache.make()
    assert kept_statistics(cache, key) is None
    pixels = np.random.default_rng(1).uniform(size=(40, 40, 3)).astype(np.float32)
    statistics = StyleStatistics.of(pixels, 2)
    keep_statistics(cache, key, statistics)
    found = kept_statistics(cache, key)
    assert found is not None
    assert found.to_bytes() == statistics.to_bytes()


def test_only_caches_on_a_disk_are_pruned(folder: Place) -> None:
    if isinstance(folder, Path):
        assert StyleCache(folder).prune(0, dry_run=False).paths == ()
    else:
        with pytest.raises(CacheError, match="use what the storage service offers"):
            StyleCache(folder).prune(0, dry_run=False)
