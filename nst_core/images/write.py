"""The formats in which pictures are written: how each is encoded, and how its text is read back.

`WRITTEN_FORMATS` is the list of all formats. Nothing here changes Pillow's process-wide settings,
so every function may run in several threads.
"""

import io
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from nst_core.images.levels import to_levels
from nst_core.images.picture_files import PictureError, opened
from nst_core.storage.places import Place, redacted

Pixels = NDArray[np.float32] | NDArray[np.uint8]
Text = Mapping[str, str]


@dataclass(frozen=True)
class Format:
    """A format in which pictures are written.

    Attributes:
        name: Pillow's name; one of `picture_files.FORMATS`, because results are also read.
        suffixes: those of its files, in lower case, each with its dot.
        encode: takes pixels, alpha (None if the picture is opaque) and text (None if there is none)
            as `encode_png` does, and returns the file's bytes.
        has_alpha: whether its files can be transparent; if not, `encode` ignores alpha.
        read_text: takes an opened file, whose pixels are not decoded yet, and returns the text that
            `encode` put into it, or {} if there is none. It is None if the format cannot contain
            text; results are then never in this format, because each says how it was made.
    """

    name: str
    suffixes: tuple[str, ...]
    encode: Callable[[Pixels, NDArray[np.float32] | None, Text | None], bytes]
    has_alpha: bool = False
    read_text: Callable[[Image.Image], dict[str, str]] | None = None


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
        text: keyword (1 to 79 Latin-1 characters) -> any text, for `read_text`.

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


def _png_text(image: Image.Image) -> dict[str, str]:
    """Return the text before the pixels, which is where `encode_png` puts it."""
    return {str(key): str(value) for key, value in image.info.items() if isinstance(value, str)}


WRITTEN_FORMATS: tuple[Format, ...] = (
    Format(
        name="PNG",
        suffixes=(".png",),
        encode=lambda rgb, alpha, text: encode_png(rgb, alpha, text=text),
        has_alpha=True,
        read_text=_png_text,
    ),
    Format(
        name="JPEG",
        suffixes=(".jpg", ".jpeg"),
        encode=lambda rgb, _alpha, _text: encode_jpeg(rgb),
    ),
)
"""All formats. A new one needs only an entry here, because all code asks the functions below."""


def formats_by_suffix() -> dict[str, Format]:
    """Return all formats by the suffixes of their files, in the order of the list."""
    return {suffix: each for each in WRITTEN_FORMATS for suffix in each.suffixes}


def result_formats() -> dict[str, Format]:
    """Return the formats of results by suffix: those whose text can be read back."""
    return {suffix: each for suffix, each in formats_by_suffix().items() if each.read_text}


def read_text(path: str | os.PathLike[str] | Place) -> dict[str, str]:
    """Return the text of a file in a format of results, whatever its suffix is; decode no pixel.

    Raises:
        PictureError: the file is missing, damaged or in another format.
    """
    # No limit is needed, because text is cheap to read from a picture of any size.
    with opened(path, max_pixels=2**62) as picture:
        readers = {each.name: each.read_text for each in result_formats().values()}
        read = readers.get(str(picture.image.format))
        if read is None:
            raise PictureError(
                f"{redacted(path)}: found a {picture.image.format} file, "
                f"expected a {' or '.join(readers)}."
            )
        return read(picture.image)
