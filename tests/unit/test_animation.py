"""Moving pictures, read back."""

import io

import numpy as np
import pytest
from PIL import Image

from nst_core.animation import FORMATS, SHORTEST_FRAME, encode_animation

SHADES = (0, 60, 120, 250)


def frames() -> list[np.ndarray]:
    return [np.full((20, 30, 3), (shade, 255 - shade, 90), np.uint8) for shade in SHADES]


@pytest.mark.parametrize("kind", FORMATS)
def test_frames_come_back_with_their_times(kind: str) -> None:
    data = encode_animation(iter(frames()), kind, frame_ms=80, last_frame_ms=1500)
    moving = Image.open(io.BytesIO(data))
    assert (moving.format, moving.size) == (kind.upper(), (30, 20))
    assert moving.n_frames == len(SHADES)
    assert moving.info["loop"] == 0
    times = []
    for number, frame in enumerate(frames()):
        moving.seek(number)
        seen = np.asarray(moving.convert("RGB"), int)
        times.append(moving.info["duration"])
        assert np.abs(seen - frame).max() <= 6, f"frame {number}"
    assert times == [80, 80, 80, 1500]


@pytest.mark.parametrize("kind", FORMATS)
def test_the_shortest_frames_and_a_single_one(kind: str) -> None:
    data = encode_animation(frames()[:2], kind, frame_ms=1, last_frame_ms=1)
    moving = Image.open(io.BytesIO(data))
    moving.load()
    assert moving.info["duration"] == SHORTEST_FRAME
    alone = Image.open(
        io.BytesIO(encode_animation(frames()[:1], kind, frame_ms=9, last_frame_ms=9))
    )
    assert getattr(alone, "n_frames", 1) == 1


def test_what_makes_no_moving_picture() -> None:
    with pytest.raises(ValueError, match="no frame"):
        encode_animation([], "gif", frame_ms=50, last_frame_ms=50)
    shapes = [np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5, 3), np.uint8)]
    with pytest.raises(ValueError, match=r"\[\(4, 4\), \(5, 4\)\]"):
        encode_animation(shapes, "webp", frame_ms=50, last_frame_ms=50)
