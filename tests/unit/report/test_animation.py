"""Animations, read back."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nst_core.images.animation import FORMATS, SHORTEST_FRAME, encode_animation
from nst_core.images.write import encode_png
from nst_core.storage.files import write_atomic
from tasks.report.animation import animate_row
from tasks.report.finding import NoResultsError
from tasks.report.table_row import TableRow
from tasks.store.output_folder import OutputFolder
from tasks.store.provenance import ROW_KEYWORD

SHADES = (0, 60, 120, 250)


def frames() -> list[np.ndarray]:
    return [np.full((20, 30, 3), (shade, 255 - shade, 90), np.uint8) for shade in SHADES]


@pytest.mark.parametrize("kind", FORMATS)
def test_frames_are_read_back_with_their_durations(kind: str) -> None:
    data = encode_animation(iter(frames()), kind, frame_ms=80, last_frame_ms=1500)
    animation = Image.open(io.BytesIO(data))
    assert (animation.format, animation.size) == (kind.upper().removeprefix("A"), (30, 20))
    assert animation.n_frames == len(SHADES)
    assert animation.info["loop"] == 0
    times = []
    for number, frame in enumerate(frames()):
        animation.seek(number)
        seen = np.asarray(animation.convert("RGB"), int)
        times.append(animation.info["duration"])
        assert np.abs(seen - frame).max() <= 6, f"frame {number}"
    assert times == [80, 80, 80, 1500]


@pytest.mark.parametrize("kind", FORMATS)
def test_frames_have_a_least_duration_and_one_frame_is_enough(kind: str) -> None:
    data = encode_animation(frames()[:2], kind, frame_ms=1, last_frame_ms=1)
    animation = Image.open(io.BytesIO(data))
    animation.load()
    assert animation.info["duration"] == SHORTEST_FRAME
    alone = Image.open(
        io.BytesIO(encode_animation(frames()[:1], kind, frame_ms=9, last_frame_ms=9))
    )
    assert getattr(alone, "n_frames", 1) == 1


def test_no_frames_and_unequal_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="no frame"):
        encode_animation([], "gif", frame_ms=50, last_frame_ms=50)
    shapes = [np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5, 3), np.uint8)]
    with pytest.raises(ValueError, match=r"\[\(4, 4\), \(5, 4\)\]"):
        encode_animation(shapes, "webp", frame_ms=50, last_frame_ms=50)


@pytest.mark.parametrize(
    ("key", "status", "of_row", "count"),
    [
        ("k", "done", "k", 3),
        # The output was another row's before. Intermediates of an earlier version name no row.
        ("k", "done", "other", None),
        ("k", "done", "", 3),
        # The table has no key for a row without a result.
        (None, "interrupted", "k", 3),
        (None, "pending", "other", None),
    ],
)
def test_intermediates_of_another_row_are_not_used(
    tmp_path: Path, key: str | None, status: str, of_row: str, count: int | None
) -> None:
    text = {ROW_KEYWORD: of_row} if of_row else {}
    for number, shade in enumerate(SHADES[:3]):
        picture = encode_png(np.full((8, 8, 3), shade / 255, np.float32), text=text)
        write_atomic(OutputFolder(tmp_path).intermediate("a.png", number), picture)
    row = TableRow(line=2, output="a.png", key=key, status=status)
    if count is None:
        with pytest.raises(NoResultsError, match="no intermediates of line 2"):
            animate_row(row, OutputFolder(tmp_path), "gif", size=8, seconds=1)
    else:
        path = animate_row(row, OutputFolder(tmp_path), "gif", size=8, seconds=1)
        assert isinstance(path, Path)
        assert Image.open(path).n_frames == count
