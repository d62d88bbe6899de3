"""Large styles: computed tile by tile only if memory does not suffice for the whole picture."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

import nst_core.devices
from nst_core.devices.free_memory import Reservation
from nst_core.networks import CATALOGUE
from nst_core.transfer.memory import style_memory
from nst_core.transfer.settings import Settings
from nst_core.transfer.tiles.grid import Tiles
from tasks.job import Job
from tasks.work.style_memory import within_style_memory

COMPACT = CATALOGUE["compact"].topology


def job(settings: Settings, side: int) -> Job:
    return Job.model_construct(settings=settings, style_shape=(side, side), style=Path("s.png"))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[int]]:
    """Return a list of the sizes that are asked for; 2 GB are free."""
    seen: list[Sequence[int]] = []

    @contextmanager
    def reserved(_: str, sizes: Sequence[int], *, isolated: bool) -> Iterator[Reservation]:
        assert isolated
        seen.append(sizes)
        fitting = (number for number, size in enumerate(sizes) if size <= 2e9)
        yield Reservation(next(fitting, None), int(2e9))

    monkeypatch.setattr(nst_core.devices, "reserved_memory", reserved)
    return seen


@pytest.mark.parametrize(
    ("settings", "side", "expected", "count"),
    [
        (Settings(size=512), 4000, None, 0),
        (Settings(size=2048), 700, None, 0),
        (Settings(size=1024), 4000, None, 1),
        (Settings(size=2048), 4000, Tiles(), 1),
        (Settings(size=8192), 8192, Tiles(), 1),
        (Settings(size=2048, style_measure="sliced"), 4000, None, 0),
        (Settings(size=2048, content_measure="self-similarity"), 4000, Tiles(), 1),
    ],
)
def test_only_large_styles_that_do_not_fit_are_tiled(
    asked: list[Sequence[int]], settings: Settings, side: int, expected: Tiles | None, count: int
) -> None:
    found = within_style_memory(job(settings, side), "CPU:0", lambda tiles: tiles, isolated=True)
    assert found == expected
    assert len(asked) == count


def test_tiles_need_less_and_more_octaves_more() -> None:
    one, three = (Settings(size=2048, octaves=count) for count in (1, 3))
    whole, tiled = (
        style_memory(COMPACT, one, (2048, 2048), tiles=tiles) for tiles in (None, Tiles())
    )
    assert tiled < whole / 4
    assert style_memory(COMPACT, three, (2048, 2048)) > whole
    assert style_memory(COMPACT, three, (2048, 2048), tiles=Tiles()) == tiled
    # Without tiles, the activations of the seven style layers exist at once.
    channels = 32 + 64 + (96 + 128) / 4 + (192 + 256) / 16 + 384 / 64
    assert whole > 4 * 2048 * 2048 * channels
