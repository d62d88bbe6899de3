"""A run in object storage whose lease is lost: its rows stop, and it writes no table."""

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from upath import UPath

from nst_core.storage.answers import StorageError
from nst_core.storage.leases import Timing, leased
from nst_core.storage.schemes import SCHEMES, Scheme
from tasks.store import output_folder
from tests.memory_storage import MemoryStorage
from tests.pictures import write_csv
from tests.pipeline.conftest import QUICK, Batch

STEPS = 10_000


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Iterator[UPath]:
    """Yield a folder in object storage whose lease is lost after a few seconds."""
    monkeypatch.setitem(SCHEMES, "memory", Scheme(storage="tests.memory_storage.MemoryStorage"))
    timing = Timing(length=1000, renewal=1, loss=10, decision=1)
    monkeypatch.setattr(output_folder, "leased", partial(leased, timing=timing))
    MemoryStorage.files.clear()
    yield UPath("memory://bucket/out")
    MemoryStorage.files.clear()


@pytest.mark.nights
def test_rows_stop_and_no_table_is_written_once_the_lease_is_lost(
    batch: Batch, output: UPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.stylize_manifest import stylize_manifest
    from nst_core.transfer import stylize

    iterates, write, seen = stylize.iterates, MemoryStorage.write, []

    def refuse(self: MemoryStorage, path: UPath, data: bytes) -> str:
        if path.parent.name == "leases":
            raise StorageError(5, "gone", str(path))
        return write(self, path, data)

    def cut_off_from_the_first_step(*arguments: Any, **options: Any) -> Iterator[Any]:
        monkeypatch.setattr(MemoryStorage, "write", refuse)
        steps = iterates(*arguments, **options)
        while True:
            try:
                iterate = next(steps)
            except StopIteration as end:
                return end.value
            seen.append(iterate.step)
            time.sleep(0.1)
            yield iterate

    monkeypatch.setattr(stylize, "iterates", cut_off_from_the_first_step)
    rows = [(content, style) for style in ("s.png", "t.png") for content in ("a.png", "b.png")]
    state = stylize_manifest(
        write_csv(batch.folder / "m.csv", ("content", "style"), *rows),
        settings=QUICK | {"steps": STEPS, "tolerance": 0},
        output=str(output),
        cache=batch.cache,
        return_state=True,
    )
    error = state.result(raise_on_failure=False)
    assert str(error).startswith(f"{output}: this run could not renew its lease for")
    assert max(seen) < STEPS
    names = [UPath(name).name for name in MemoryStorage.files]
    assert not [name for name in names if name in ("summary.csv", "gallery.html")]
