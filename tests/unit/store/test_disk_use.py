"""The disk that results take: learned from finished pictures, or an upper bound that holds."""

from pathlib import Path

import numpy as np
import pytest

from flows.cli.preconditions import LEAST_FREE
from flows.cli.room import Disk, Room, room_for, size_text
from nst_core.images.write import encode_jpeg, encode_png
from nst_core.networks.loading import load_encoder
from nst_core.storage.places import place
from nst_core.transfer.losses.terms import LOSS_TERMS
from nst_core.transfer.optimization.checkpoint import Totals
from tasks.store import disk_use as module
from tasks.store.curves import Point, curve_csv
from tasks.store.disk_use import (
    BLOCK,
    DiskUse,
    PictureSizes,
    checkpoint_bytes,
    curve_bytes,
    disk_use,
    targets_bytes,
)
from tests.finished_rows import record_of
from tests.jobs import job_of_size

NOISE = np.random.default_rng(1).integers(0, 256, (200, 200, 3), dtype=np.uint8)


def test_the_bounds_hold_for_pictures_that_cannot_be_compressed() -> None:
    job, none = job_of_size(200), PictureSizes([])
    size = len(encode_png(NOISE, text={"nst-batch": "x" * 3000}))
    assert 0.9 * none.of(job) < size <= none.of(job)
    transparent = job_of_size(200, keep_alpha=True)
    size = len(encode_png(NOISE, NOISE[..., 0] / np.float32(255)))
    assert 0.9 * none.of(transparent) < size <= none.of(transparent)
    assert len(encode_jpeg(NOISE)) <= module.PAGE_BYTES_PER_PIXEL * 200**2


def test_sizes_are_learned_from_finished_pictures(tmp_path: Path) -> None:
    record = record_of("a", "a.png", tmp_path)
    sizes = PictureSizes([record])
    job = job_of_size(80)
    assert sizes.is_known(job)
    assert sizes.of(job) == round(record.file.size / (8 * 6) * 80 * 80)
    learned = disk_use([job], [], [], [record], 1)
    assert learned.is_learned
    assert learned.pictures < disk_use([job], [], [], [], 1).pictures
    assert not disk_use([job], [], [], [], 1).is_learned


def test_a_curve_takes_no_more_than_its_bound() -> None:
    job = job_of_size(512, steps=45)
    terms = dict.fromkeys(LOSS_TERMS, -1.2345678901234567e-300)
    points = [Point(3, 8192, 8192, 99999, 99999, 1.2345678901234567e-300, terms)] * 3 * 6
    assert len(curve_csv(points)) <= curve_bytes(job)


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_checkpoints_and_style_targets_take_about_as_much_as_estimated(optimizer: str) -> None:
    from nst_core.transfer.styles.statistics import style_targets
    from nst_core.transfer.stylize import iterates

    job = job_of_size(64, optimizer=optimizer, octaves=1, steps=10)
    encoder = load_encoder("compact")
    targets = style_targets(encoder, NOISE, job.settings)
    size = len(targets.to_bytes())
    assert 0.5 * targets_bytes(job) < size <= targets_bytes(job)
    iterate = next(iterates(encoder, NOISE[:64, :64], targets, job.settings, seed=0))
    assert iterate.checkpoint().before == Totals(0, 0, 0)
    pixels = checkpoint_bytes(job) - curve_bytes(job) - BLOCK
    assert 0.8 * pixels < len(iterate.checkpoint().to_bytes()) <= checkpoint_bytes(job)


def test_all_files_of_a_batch_are_counted() -> None:
    small, large = job_of_size(64, line=2), job_of_size(512, line=3)
    alone = disk_use([large], [], [large], [], 1)
    both = disk_use([small, large], [], [large], [], 1)
    assert both.checkpoints == alone.checkpoints, "only one runs at a time"
    assert disk_use([small, large], [], [], [], 2).checkpoints > both.checkpoints
    assert both.style_targets == alone.style_targets > 0
    assert disk_use([], [large], [], [], 1).pictures == alone.pictures, "a copy takes as much"
    parts = (both.pictures, both.curves, both.page_pictures, both.records, both.checkpoints)
    assert all(parts)
    assert both.in_output == sum(parts)
    assert (both.pictures % BLOCK, disk_use([], [], [], [], 1).in_output) == (0, 0)


def room(monkeypatch: pytest.MonkeyPatch, free: float, output: str, cache: str) -> Room:
    monkeypatch.setattr("flows.cli.room.free_bytes", lambda _: free)
    return room_for(DiskUse(pictures=10**9, style_targets=10**6), place(output), place(cache))


def test_there_is_room_if_enough_is_left_to_begin_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = str(tmp_path / "new" / "out"), str(tmp_path / "cache")
    needed = 10**9 + 10**6
    enough = room(monkeypatch, needed + LEAST_FREE, *folders)
    assert len(enough.disks) == 1, "both folders are on the same disk"
    assert "there is room: 1065 MB is free for" in str(enough)
    assert enough.as_json()["has_room"]
    full = room(monkeypatch, needed + LEAST_FREE - 1, *folders)
    assert "1000 MB of results (at most) and 1.0 MB of style targets; there is not" in str(full)
    assert not full.as_json()["has_room"]
    assert full.as_json()["disks"][0]["needed"] == needed
    assert not (tmp_path / "new").exists()


def test_object_storage_has_room_as_far_as_anyone_knows() -> None:
    assert Disk(("s3://bucket",), 10**15, None).has_room
    there = room_for(DiskUse(pictures=10**15), place("s3://bucket/out"), place("s3://bucket/cache"))
    assert there.as_json()["has_room"]
    assert there.as_json()["disks"][0]["free"] is None
    assert "the free space of s3://bucket/out is unknown" in str(there)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0.0 MB"), (4.2e5, "0.4 MB"), (1.2e8, "120 MB"), (9.96e6, "10 MB"), (4.5e10, "45 GB")],
)
def test_sizes_are_readable(size: float, text: str) -> None:
    assert size_text(size) == text
