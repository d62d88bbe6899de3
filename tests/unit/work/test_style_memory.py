"""Which styles are computed tile by tile if memory does not suffice for all of them at once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nst_core import devices
from nst_core.devices.free_memory import Reservation
from nst_core.networks import CATALOGUE
from nst_core.transfer.memory import style_memory
from nst_core.transfer.settings import Settings
from nst_core.transfer.tiles.grid import Tiles
from tasks.job import Job, JobMask
from tasks.work.style_memory import within_style_memory
from tests.jobs import job_of_size

LARGE = (4000, 4000)
COMPACT = CATALOGUE["compact"].topology


@pytest.fixture
def _little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def reserved(_: str, needed: list[int], **__: Any) -> Iterator[tuple[int, int]]:
        yield len(needed) - 1, needed[-1]

    monkeypatch.setattr(devices, "reserved_memory", reserved)


def job_of_style(pictures: int = 1, shape: tuple[int, int] = LARGE, **settings: Any) -> Job:
    job = job_of_size(3000, **settings)
    (style,) = job.styles
    picture = style.pictures[0].model_copy(update={"shape": shape})
    style = style.model_copy(update={"pictures": (picture,) * pictures})
    return job.model_copy(update={"styles": (style,)})


def tiles_of(job: Job) -> Tiles | None:
    return within_style_memory(job, job.styles[0], "CPU:0", lambda tiles: tiles)


@pytest.mark.usefixtures("_little_memory")
def test_only_one_whole_upright_picture_is_computed_tile_by_tile() -> None:
    plain = job_of_style()
    assert tiles_of(plain) == Tiles()
    # A gray mask has no regions of its own.
    gray = JobMask(place=Path("mask.png"), sha256="m")
    assert tiles_of(plain.model_copy(update={"style_mask": gray})) is None
    assert tiles_of(job_of_style(alpha_mask=True)) is None
    assert tiles_of(job_of_style(style_rotations=2)) is None
    assert tiles_of(job_of_style(pictures=2)) is None
    assert tiles_of(job_of_style(style_measure="sliced")) is None
    assert tiles_of(job_of_style(style_measure="moments")) == Tiles()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[int]]:
    """Return a list of the sizes that are asked for; 2 GB are free."""
    seen: list[Sequence[int]] = []

    @contextmanager
    def reserved(
        _: str, sizes: Sequence[int], *, isolated: bool, **__: bool
    ) -> Iterator[Reservation]:
        assert isolated
        seen.append(sizes)
        fitting = (number for number, size in enumerate(sizes) if size <= 2e9)
        yield Reservation(next(fitting, None), int(2e9))

    monkeypatch.setattr(devices, "reserved_memory", reserved)
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
    job = job_of_style(shape=(side, side)).model_copy(update={"settings": settings})
    found = within_style_memory(job, job.styles[0], "CPU:0", lambda tiles: tiles, isolated=True)
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
