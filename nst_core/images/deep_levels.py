"""Colors of 16 bits, of which Pillow decodes only the high byte of each level."""

import hashlib
import sys
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL.ImageFile import ImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from nst_core.images.decoding import turned
from nst_core.images.tiff_layouts import OrientedTiff

_NATIVE = "L" if sys.byteorder == "little" else "B"
_OTHER = {"L": "B", "B": "L"}


def deep_levels(image: ImageFile) -> NDArray[np.uint16] | None:
    """Return the upright levels of a picture in color that has 16 bits, (height, width, 3 or 4).

    Args:
        image: an opened picture whose pixels are not decoded yet; its file stays as it is.

    Returns:
        None if it has fewer bits, is gray (whose levels are read with full precision anyway), or
        has a layout that is too rare.
    """
    order = _order(image)
    if order is None or image.fp is None:
        return None
    file = image.fp
    before = file.tell()
    try:
        high, low = (_bytes(image, file, each) for each in (order, _OTHER[order]))
    finally:
        file.seek(before)
    return np.bitwise_or(np.left_shift(high, 8, dtype=np.uint16), low, dtype=np.uint16)


def _order(image: ImageFile) -> str | None:
    """Return `L` or `B` for the byte that comes first in the file; None if there is just one."""
    is_known = isinstance(image, PngImageFile | TiffImageFile) and image.mode in ("RGB", "RGBA")
    modes = {_raw_mode(tile.args) for tile in image.tile} if is_known else set()
    if len(modes) != 1 or "transparency" in image.info:
        return None
    mode, _, kind = modes.pop().partition(";16")
    order = _NATIVE if kind == "N" else kind
    return order if mode == image.mode and order in _OTHER else None


def _raw_mode(arguments: object) -> str:
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def _bytes(image: ImageFile, file: IO[bytes], order: str) -> NDArray[np.uint8]:
    """Return one byte of each level, upright."""
    file.seek(0)
    reader = PngImageFile if isinstance(image, PngImageFile) else OrientedTiff
    other = reader(file, "")
    mode = f"{other.mode};16{order}"
    other.tile = [
        tile._replace(args=(mode, *tile.args[1:]) if isinstance(tile.args, tuple) else mode)
        for tile in other.tile
    ]
    upright = turned(other)
    return np.asarray(upright)


def digest_of_levels(levels: NDArray[np.uint16] | None) -> str:
    """Return 64 hexadecimal digits for these levels; empty if there are none."""
    if levels is None:
        return ""
    return hashlib.sha256(repr(levels.shape).encode() + levels.tobytes()).hexdigest()
