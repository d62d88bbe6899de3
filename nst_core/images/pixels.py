"""Conversion of arrays and pictures of any usual form to pixels ready for the network."""

import os
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from nst_core.images.decoder_notices import gathered
from nst_core.images.decoding import plain
from nst_core.images.picture_files import PictureError
from nst_core.images.read import Picture, on_white, pixels_of
from nst_core.storage.places import redacted

PictureLike: TypeAlias = ArrayLike | Image.Image | Picture
"""The forms of a picture that `as_pixels` takes."""

Pixels: TypeAlias = NDArray[np.float32]
"""sRGB in [0, 1], (height, width, 3)."""

_OVERSHOOT = 1e-3
"""How far values may exceed 0 and 1 after resizing in floating point; they are clipped."""

_TOPS = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}
_CHANNELS = (1, 3, 4)


def as_pixels(picture: PictureLike, name: str = "picture") -> Pixels:
    """Return the pixels of a picture of any usual form, as `read.load` reads files.

    Args:
        picture: an array of uint8 (0 to 255), uint16 (0 to 65535) or floating point (0 to 1), of
            the shape (height, width) or (height, width, channels) with 1 channel for gray, 3 for
            sRGB or 4 for sRGB and alpha; or a Pillow image, whose orientation, color profile and
            transparency are respected; or what `load` returns.
        name: the picture's name in messages.

    Returns:
        float32 (height, width, 3), sRGB in [0, 1], composited on white where transparent. An array
        that is already in this form is returned unchanged.

    Raises:
        ValueError: `picture` is anything else; the message says what was found and expected.
    """
    return pixels_and_alpha(picture, name)[0]


def pixels_and_alpha(
    picture: PictureLike, name: str = "picture"
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Return the pixels of a picture, as `as_pixels` does, and its alpha.

    Args:
        picture, name: as in `as_pixels`.

    Returns:
        The pixels, and float32 (height, width) in [0, 1], where 0 is transparent; None if
        everything is opaque.

    Raises:
        ValueError: as in `as_pixels`.
    """
    if isinstance(picture, Picture):
        return picture.rgb, picture.alpha
    if isinstance(picture, Image.Image):
        return _of_image(picture, name)
    if isinstance(picture, str | os.PathLike):
        raise ValueError(
            f"{name}: found the path {redacted(picture)}, expected a picture; `nst_core.load` "
            "reads it from its file"
        )
    levels = _levels(_checked_shape(np.asarray(picture), name), name)
    if levels.ndim == 2 or levels.shape[-1] == 1:
        gray = levels.reshape(levels.shape[:2])
        return np.stack([gray] * 3, axis=-1), None
    if levels.shape[-1] == 3:
        return levels, None
    alpha = levels[..., 3]
    if alpha.min() == 1:
        return np.ascontiguousarray(levels[..., :3]), None
    return np.stack([on_white(levels[..., band], alpha) for band in range(3)], axis=-1), alpha


def _checked_shape(array: NDArray[np.generic], name: str) -> NDArray[np.generic]:
    shape = array.shape
    is_known = len(shape) == 2 or (len(shape) == 3 and shape[-1] in _CHANNELS)
    if not is_known or 0 in shape:
        raise ValueError(
            f"{name}: found an array of shape {shape}, expected (height, width) or (height, "
            "width, channels) with 1, 3 or 4 channels, and no side of 0"
        )
    return array


def _levels(array: NDArray[np.generic], name: str) -> NDArray[np.float32]:
    """Convert an array to float32 in [0, 1], of the same shape."""
    top = _TOPS.get(array.dtype)
    if top is not None:
        levels = array.astype(np.float32)
        levels /= top
        return levels
    if not np.issubdtype(array.dtype, np.floating):
        raise ValueError(
            f"{name}: found an array of {array.dtype}, expected uint8 (0 to 255), uint16 (0 to "
            "65535) or floating point (0 to 1)"
        )
    lowest, highest = float(array.min()), float(array.max())
    if not (lowest >= -_OVERSHOOT and highest <= 1 + _OVERSHOOT):  # written so that NaN is refused
        raise ValueError(
            f"{name}: found {array.dtype} values from {lowest:g} to {highest:g}, expected 0 to 1. "
            "Divide them by their highest possible value, or pass uint8 from 0 to 255."
        )
    if lowest < 0 or highest > 1:
        array = np.clip(array, 0, 1)
    return array.astype(np.float32, copy=False)


def _of_image(
    image: Image.Image, name: str
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    info = dict(image.info)
    try:
        with gathered():
            found = pixels_of(plain(image, name))
    except PictureError:
        raise
    except Exception as error:  # decoders raise nearly anything when bytes are damaged
        raise PictureError(
            f"{name}: the Pillow image cannot be read ({error or type(error).__name__}), expected "
            "one whose file is complete and still open"
        ) from error
    finally:
        image.info = info
    return found
