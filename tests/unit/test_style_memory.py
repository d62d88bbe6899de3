"""Which styles are computed tile by tile if memory does not suffice for all of them at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nst_core import devices
from nst_core.transfer.tiles.grid import Tiles
from tasks.job import Job
from tasks.work.style_memory import within_style_memory
from tests.jobs import job_of_size

LARGE = (4000, 4000)


@pytest.fixture
def _little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def reserved(_: str, needed: list[int], **__: Any) -> Iterator[tuple[int, int]]:
        yield len(needed) - 1, needed[-1]

    monkeypatch.setattr(devices, "reserved_memory", reserved)


def job_of_style(pictures: int = 1, **settings: Any) -> Job:
    job = job_of_size(3000, **settings)
    (style,) = job.styles
    picture = style.pictures[0].model_copy(update={"shape": LARGE})
    style = style.model_copy(update={"pictures": (picture,) * pictures})
    return job.model_copy(update={"styles": (style,)})


def tiles_of(job: Job) -> Tiles | None:
    return within_style_memory(job, job.styles[0], "CPU:0", lambda tiles: tiles)


@pytest.mark.usefixtures("_little_memory")
def test_only_one_whole_upright_picture_is_computed_tile_by_tile() -> None:
    plain = job_of_style()
    assert tiles_of(plain) == Tiles()
    # A gray mask has no regions of its own.
    masked = plain.model_copy(update={"style_mask": Path("mask.png"), "style_mask_sha256": "m"})
    assert (masked.style_regions, tiles_of(masked)) == (0, None)
    assert tiles_of(job_of_style(alpha_mask=True)) is None
    assert tiles_of(job_of_style(style_rotations=2)) is None
    assert tiles_of(job_of_style(pictures=2)) is None
    assert tiles_of(job_of_style(style_measure="sliced")) is None
    assert tiles_of(job_of_style(style_measure="moments")) == Tiles()
