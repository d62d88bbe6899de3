"""The colors of one picture with the lightness of another, in CIELAB (CIE 1976 L*a*b*, D65)."""

import numpy as np
from numpy.typing import NDArray

from nst_core.images.pixels import PictureLike, as_pixels

HALVINGS = 12
"""How often the range of lightness is halved until a color is one that sRGB has."""

GAMUT_TOLERANCE = 1e-3
"""A color is one that sRGB has if L*, a* and b* come back from sRGB within this distance."""

STRIP = 256
"""Rows that are converted at a time, because the conversions take much memory."""

_Lab = NDArray[np.float64]


def with_chroma_of(picture: PictureLike, colors: PictureLike) -> NDArray[np.float32]:
    """Return a picture with the a* and b* of another one, and its own lightness where possible.

    sRGB does not have every lightness of each color: no light blue is as colorful as pure blue.
    There, the color is kept, and the lightness gives way: it moves towards that of `colors`, just
    as far as is necessary.

    Args:
        picture: the picture whose lightness counts.
        colors: the picture whose colors count, of the same height and width. Both are in any form
            that `nst_core.images.pixels.as_pixels` takes.

    Returns:
        sRGB in [0, 1], float32, (height, width, 3).

    Raises:
        ValueError: one of them is not a picture, or their sizes differ.
    """
    light, colorful = as_pixels(picture), as_pixels(colors, "colors")
    if light.shape != colorful.shape:
        raise ValueError(
            f"colors: found a picture of shape {colorful.shape}, expected {light.shape}, the shape "
            "of the picture that gets them"
        )
    tops = range(0, len(light), STRIP)
    strips = [_combined(light[top : top + STRIP], colorful[top : top + STRIP]) for top in tops]
    return np.concatenate(strips).astype(np.float32)


def _combined(light: NDArray[np.float32], colorful: NDArray[np.float32]) -> NDArray[np.float64]:
    from skimage.color import lab2rgb, rgb2lab

    target = rgb2lab(light.astype(np.float64))[..., 0]
    colors = rgb2lab(colorful.astype(np.float64))
    # With less lightness, this b* would need a negative amount of light.
    target = np.maximum(target, 116 / 200 * colors[..., 2] - 16 + GAMUT_TOLERANCE)
    wanted: _Lab = np.concatenate([target[..., None], colors[..., 1:]], axis=-1)
    outside = ~_is_in_gamut(wanted)
    wanted[outside] = _moved_into_gamut(wanted[outside], colors[outside])
    pixels: NDArray[np.float64] = np.clip(lab2rgb(wanted), 0, 1)
    return pixels


def _moved_into_gamut(outside: _Lab, inside: _Lab) -> _Lab:
    """Return the nearest colors between two rows of colors (n, 3) that differ in lightness."""
    if not len(outside):
        return outside
    low, high = np.zeros(len(outside)), np.ones(len(outside))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        fits = _is_in_gamut(_between(inside, outside, middle))
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    return _between(inside, outside, low)


def _between(start: _Lab, end: _Lab, share: NDArray[np.float64]) -> _Lab:
    between = start.copy()
    between[:, 0] += share * (end[:, 0] - start[:, 0])
    return between


def _is_in_gamut(colors: _Lab) -> NDArray[np.bool_]:
    from skimage.color import lab2rgb, rgb2lab

    there_and_back = rgb2lab(lab2rgb(colors))
    fits: NDArray[np.bool_] = np.abs(there_and_back - colors).max(axis=-1) < GAMUT_TOLERANCE
    return fits
