"""The formats in which pictures are written: how each is encoded, and how its text is read back.

`WRITTEN_FORMATS` is the list of all formats. Nothing here changes Pillow's process-wide settings,
so every function may run in several threads.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nst_core.images.formats.comments import comment_text
from nst_core.images.formats.contents import Contents as Contents
from nst_core.images.formats.contents import Pixels as Pixels
from nst_core.images.formats.contents import Text as Text
from nst_core.images.formats.jpeg import encode_jpeg as encode_jpeg
from nst_core.images.formats.jpeg import encode_jpeg_result
from nst_core.images.formats.png import encode_png as encode_png_file
from nst_core.images.formats.png import png_text
from nst_core.images.formats.tiff import encode_tiff
from nst_core.images.formats.webp import encode_webp
from nst_core.images.picture_files import PictureError, opened
from nst_core.storage.places import Place, redacted


@dataclass(frozen=True)
class Format:
    """A format in which pictures are written.

    Attributes:
        name: Pillow's name; one of `picture_files.FORMATS`, because results are also read.
        suffixes: those of its files, in lower case, each with its dot; the first is the usual one.
        encode: returns a file's bytes.
        read_text: takes an opened file, whose pixels are not decoded yet, and returns the text that
            `encode` put into it, or {} if there is none.
        has_alpha: whether its files can be transparent; if not, `encode` ignores alpha.
        depths: how many bits its levels can have.
        has_quality: whether it is lossy, by the quality.
        longest_side: the longest side that its files can have, in pixels.
        most_text: the longest text that its files can contain, in bytes; None for any.
        in_browsers: whether browsers show its files.
    """

    name: str
    suffixes: tuple[str, ...]
    encode: Callable[[Contents], bytes]
    read_text: Callable[[Image.Image], dict[str, str]]
    has_alpha: bool = False
    depths: tuple[int, ...] = (8,)
    has_quality: bool = False
    longest_side: int = 1_000_000
    most_text: int | None = None
    in_browsers: bool = True


WRITTEN_FORMATS: tuple[Format, ...] = (
    Format(
        name="PNG",
        suffixes=(".png",),
        encode=encode_png_file,
        read_text=png_text,
        has_alpha=True,
        depths=(8, 16),
    ),
    Format(
        name="JPEG",
        suffixes=(".jpg", ".jpeg"),
        encode=encode_jpeg_result,
        read_text=comment_text,
        has_quality=True,
        longest_side=65_500,
        most_text=60_000,
    ),
    Format(
        name="WEBP",
        suffixes=(".webp",),
        encode=encode_webp,
        read_text=comment_text,
        has_alpha=True,
        has_quality=True,
        longest_side=16_383,
    ),
    Format(
        name="TIFF",
        suffixes=(".tif", ".tiff"),
        encode=encode_tiff,
        read_text=comment_text,
        has_alpha=True,
        depths=(8, 16),
        in_browsers=False,
    ),
)
"""All formats. A new one needs only an entry here, because all code asks the functions below."""


def encode_png(
    rgb: Pixels,
    alpha: NDArray[np.floating] | NDArray[np.uint8] | None = None,
    *,
    text: Text | None = None,
) -> bytes:
    """Encode an 8-bit PNG file, rounded to the nearest level and tagged as sRGB.

    Args:
        rgb, alpha, text: as in `Contents`.

    Raises:
        ValueError: `rgb` has another type of numbers, or contains NaN.
    """
    return encode_png_file(Contents(rgb, alpha, text or {}))


def formats_by_suffix() -> dict[str, Format]:
    """Return all formats by the suffixes of their files, in the order of the list."""
    return {suffix: each for each in WRITTEN_FORMATS for suffix in each.suffixes}


def format_named(name: str) -> Format:
    """Return the format of this name, in upper or lower case."""
    return next(each for each in WRITTEN_FORMATS if each.name == name.upper())


def read_text(path: str | os.PathLike[str] | Place) -> dict[str, str]:
    """Return the text of a file in one of the formats, whatever its suffix is; decode no pixel.

    Raises:
        PictureError: the file is missing, damaged or in another format.
    """
    # No limit is needed, because text is cheap to read from a picture of any size.
    with opened(path, max_pixels=2**62) as picture:
        readers = {each.name: each.read_text for each in WRITTEN_FORMATS}
        read = readers.get(str(picture.image.format))
        if read is None:
            *others, last = readers
            raise PictureError(
                f"{redacted(path)}: found a {picture.image.format} file, "
                f"expected a {', '.join(others)} or {last}."
            )
        return read(picture.image)
