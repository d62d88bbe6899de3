"""A moving picture that needs no download: real photographs with synthetic motion.

The photograph `coffee` is panned and enlarged, while an eye of the photograph `cat` moves across
it, and hides and uncovers parts of it. It is therefore known exactly where each pixel was in the
frame before.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

from nst_core.samples.photographs import photograph

PAN = np.array([0.004, 0.012])
"""How far the ground moves in each frame, down and to the right, in widths of the picture."""

ZOOM = 1.01
"""How much larger the ground becomes in each frame."""

STEP = np.array([-0.006, 0.035])
"""How far the object moves in each frame, down and to the right, in widths of the picture."""

START = np.array([0.45, 0.25])
"""Where the middle of the object is at first, down and to the right, in widths of the picture."""

RADII = np.array([0.17, 0.15])
"""The half axes of the object, an ellipse, in widths of the picture."""

EYE = np.array([115.0, 185.0])
EYE_RADIUS = 105.0
"""Where the eye is in the photograph, and how much of it is shown, in pixels."""


class MovingFrame(NamedTuple):
    """A frame.

    Attributes:
        picture: sRGB, uint8 (height, width, 3).
        flow: where each pixel was in the frame before, relative to its own place, float32 (height,
            width, 2), to the right and down; zeros for the first frame.
        is_seen: boolean (height, width): whether the frame before shows it, too.
    """

    picture: NDArray[np.uint8]
    flow: NDArray[np.float32]
    is_seen: NDArray[np.bool_]


Places = NDArray[np.float64]
"""Places in a picture, (height, width, 2): down and to the right, in pixels."""


def moving_picture(count: int, height: int, width: int) -> list[MovingFrame]:
    """Return the frames of a moving picture.

    Args:
        count: how many.
        height, width: their size, in pixels; the height is about two thirds of the width.
    """
    return [_frame(number, height, width) for number in range(count)]


def _frame(number: int, height: int, width: int) -> MovingFrame:
    places = np.moveaxis(np.indices((height, width), np.float64), 0, -1)
    inside = _in_object(places, number, width)
    ground = _sampled(photograph("coffee"), _on_ground(places, number, width))
    eye = EYE + (places - _middle(number, width)) / (RADII * width) * EYE_RADIUS
    mask = inside[..., np.newaxis]
    picture = np.where(mask, _sampled(photograph("cat"), eye), ground)
    if number == 0:
        still = np.zeros((height, width, 2), np.float32)
        return MovingFrame(picture, still, np.zeros((height, width), bool))
    on_ground = _from_ground(_on_ground(places, number, width), number - 1, width)
    before = np.where(mask, places - STEP * width, on_ground)
    hidden = ~inside & _in_object(before, number - 1, width)
    is_there = ((before >= 0) & (before <= (height - 1, width - 1))).all(axis=-1)
    flow = (before - places)[..., ::-1].astype(np.float32)
    return MovingFrame(picture, flow, is_there & ~hidden)


def _middle(number: int, width: int) -> NDArray[np.float64]:
    middle: NDArray[np.float64] = (START + number * STEP) * width
    return middle


def _in_object(places: Places, number: int, width: int) -> NDArray[np.bool_]:
    offsets = (places - _middle(number, width)) / (RADII * width)
    inside: NDArray[np.bool_] = np.sum(offsets**2, axis=-1) <= 1
    return inside


def _on_ground(places: Places, number: int, width: int) -> Places:
    """Return the places in the photograph of the ground, whose height is 400 pixels."""
    scale = 400 / width / ZOOM**number
    there: Places = 40 + (places + number * PAN * width) * scale
    return there


def _from_ground(places: Places, number: int, width: int) -> Places:
    """Return the places in the picture of places in the photograph of the ground."""
    scale = 400 / width / ZOOM**number
    there: Places = (places - 40) / scale - number * PAN * width
    return there


def _sampled(picture: NDArray[np.uint8], places: Places) -> NDArray[np.uint8]:
    """Return a picture at these places, without what is finer than the distance between them."""
    distance = np.abs(np.diff(places[:, 0, 0])).mean()
    rows_and_columns = np.moveaxis(places, -1, 0)
    planes = [
        map_coordinates(
            gaussian_filter(plane.astype(float), max(0.0, distance - 1) / 2),
            rows_and_columns,
            order=1,
            mode="nearest",
        )
        for plane in np.moveaxis(picture, -1, 0)
    ]
    sampled: NDArray[np.uint8] = np.rint(np.stack(planes, axis=-1)).astype(np.uint8)
    return sampled
