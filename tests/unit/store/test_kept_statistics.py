"""What the scores need of styles: kept in the cache, and pruned from it."""

import os
from pathlib import Path

import numpy as np
import pytest

from flows.cli.commands.cache import prune
from flows.cli.terminal import Terminal
from nst_core.scoring.style import StyleStatistics
from tasks.store.kept_statistics import keep_statistics, kept_statistics
from tasks.store.style_cache import StyleCache

KEY = "a" * 64
PIXELS = np.random.default_rng(1).uniform(size=(40, 40, 3)).astype(np.float32)


@pytest.fixture
def cache(tmp_path: Path) -> StyleCache:
    cache = StyleCache(tmp_path / "cache")
    cache.make()
    return cache


def kept(cache: StyleCache) -> Path:
    keep_statistics(cache, KEY, StyleStatistics.of(PIXELS, 4))
    return Path(str(cache.statistics(KEY)))


def test_statistics_are_found_by_their_key(cache: StyleCache) -> None:
    assert kept_statistics(cache, KEY) is None
    path = kept(cache)
    found = kept_statistics(cache, KEY)
    assert found is not None
    assert found.to_bytes() == path.read_bytes()
    assert kept_statistics(cache, "b" * 64) is None
    assert path.stat().st_mode & 0o077 == 0 or path.parent.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("damage", [b"", b"something else"], ids=["empty", "foreign"])
def test_damaged_statistics_are_not_used(
    cache: StyleCache, caplog: pytest.LogCaptureFixture, damage: bytes
) -> None:
    kept(cache).write_bytes(damage)
    assert kept_statistics(cache, KEY) is None
    (message,) = caplog.messages
    assert "is not used, and computed again: found no statistics of a style" in message


def test_a_link_in_their_place_is_not_followed(cache: StyleCache, tmp_path: Path) -> None:
    path = kept(cache)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert kept_statistics(cache, KEY) is None


def test_a_cache_that_cannot_be_written_costs_only_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="nst_batch.scores")
    (tmp_path / "cache").write_text("this is no folder")
    keep_statistics(StyleCache(tmp_path / "cache"), KEY, StyleStatistics.of(PIXELS, 4))
    (message,) = caplog.messages
    assert "cannot be written" in message


def test_a_prune_removes_those_that_were_not_used_for_long(
    cache: StyleCache, capsys: pytest.CaptureFixture[str]
) -> None:
    path = kept(cache)
    foreign = path.parent / "notes.safetensors"
    foreign.write_bytes(b"notes")
    assert prune(Terminal(), cache, 1, dry_run=False) == 0
    os.utime(path, (0, 0))
    assert kept_statistics(cache, KEY) is not None
    assert prune(Terminal(), cache, 1, dry_run=False) == 0
    assert path.exists(), "it was used just now"
    for each in (path, foreign):
        os.utime(each, (0, 0))
    assert prune(Terminal(), cache, 1, dry_run=True) == 0
    assert path.exists()
    assert prune(Terminal(), cache, 1, dry_run=False) == 0
    assert "removed 1 files, 0.1 MB" in capsys.readouterr().out.splitlines()[-1]
    assert [*path.parent.iterdir()] == [foreign]
