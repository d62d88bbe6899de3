"""Encoding of pixels as PNG and JPEG files; `WRITTEN_FORMATS` is the list of all formats.

Nothing here changes Pillow's process-wide settings, so every function may run in several threads.
"""

import io
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from nst_core.images.levels import to_levels

Pixels = NDArray[np.float32] | NDArray[np.uint8]
Text = Mapping[str, str]


class Format(NamedTuple):
    """A format in which pictures are written.

    Attributes:
        encode: takes pixels, alpha (None if the picture is opaque) and text (None if there is none)
            as `encode_png` does, and returns the file's bytes.
        has_alpha: whether its files can be transparent.
    """

    encode: Callable[[Pixels, NDArray[np.float32] | None, Text | None], bytes]
    has_alpha: bool = False


def encode_png(
    rgb: Pixels,
    alpha: NDArray[np.float32] | None = None,
    *,
    text: Text | None = None,
) -> bytes:
    """Encode an 8-bit PNG file, rounded to the nearest level and tagged as sRGB.

    Args:
        rgb: (height, width, 3), sRGB; uint8, or floating point that is clipped to [0, 1].
        alpha: (height, width) in [0, 1], stored unchanged; `rgb` is not divided by it.
        text: keyword (1 to 79 Latin-1 characters) -> any text, for `read.read_png_text`.

    Raises:
        ValueError: `rgb` has another type of numbers, or contains NaN.
    """
    levels = _as_levels(rgb)
    if alpha is not None:
        levels = np.dstack([levels, _as_levels(alpha)])
    info = PngInfo()
    info.add(b"sRGB", b"\0")  # 0: perceptual intent
    for keyword, value in (text or {}).items():
        # Paths may contain lone surrogates, which UTF-8 cannot encode.
        info.add_itxt(keyword, value.encode("utf-8", "backslashreplace").decode())
    data = io.BytesIO()
    Image.fromarray(levels).save(data, "PNG", pnginfo=info)
    return data.getvalue()


def encode_jpeg(rgb: Pixels, *, quality: int = 85) -> bytes:
    """Encode a JPEG file, for pictures that are only for viewing.

    Args:
        rgb: as in `encode_png`.
        quality: from 1 to 95, as in Pillow.
    """
    data = io.BytesIO()
    Image.fromarray(_as_levels(rgb)).save(data, "JPEG", quality=quality, progressive=True)
    return data.getvalue()


def _as_levels(array: NDArray[np.floating] | NDArray[np.uint8]) -> NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return np.asarray(array, np.uint8)
    if not np.issubdtype(array.dtype, np.floating) or np.isnan(array).any():
        raise ValueError(
            f"found pixels of {array.dtype}{' with NaN' if array.dtype.kind == 'f' else ''}, "
            "expected uint8 from 0 to 255 or floating point from 0 to 1"
        )
    return to_levels(array)


_PNG = Format(lambda rgb, alpha, text: encode_png(rgb, alpha, text=text), has_alpha=True)
_JPEG = Format(lambda rgb, _alpha, _text: encode_jpeg(rgb))

WRITTEN_FORMATS: Mapping[str, Format] = {".png": _PNG, ".jpg": _JPEG, ".jpeg": _JPEG}
"""The formats by the suffixes of their files."""
