"""JPEG files."""

import io
from typing import Any

from PIL import Image

from nst_core.images.color_profiles import srgb_profile
from nst_core.images.formats.comments import comment_of
from nst_core.images.formats.contents import Contents, Pixels
from nst_core.images.metadata.exif_data import exif_block, fields_for

_MOST_EXIF = 65_500
"""The most EXIF data that a JPEG file can hold, in bytes."""


def encode_jpeg(rgb: Pixels, *, quality: int = 85) -> bytes:
    """Encode a JPEG file, for pictures that are only for viewing.

    Args:
        rgb: as in `Contents`.
        quality: from 1 to 95, as in Pillow.
    """
    data = io.BytesIO()
    Image.fromarray(Contents(rgb).levels()).save(data, "JPEG", quality=quality, progressive=True)
    return data.getvalue()


def encode_jpeg_result(contents: Contents) -> bytes:
    """Encode a JPEG file with its text and metadata, and with colors as sharp as lightness.

    Raises:
        ValueError: pixels have another type of numbers, or contain NaN; the text is too long.
    """
    metadata = contents.metadata
    more: dict[str, Any] = {}
    if metadata.dpi:
        more["dpi"] = tuple(map(round, metadata.dpi))
    if metadata.xmp:
        more["xmp"] = metadata.xmp
    if contents.text or metadata.exif:
        more["exif"] = b"Exif\0\0" + _exif(contents)
    data = io.BytesIO()
    Image.fromarray(contents.levels(with_alpha=False)).save(
        *(data, "JPEG"),
        quality=contents.quality,
        subsampling=0,
        progressive=True,
        icc_profile=contents.profile or srgb_profile(),
        **more,
    )
    return data.getvalue()


def _exif(contents: Contents) -> bytes:
    """Return EXIF data that fits, without the photograph's longest fields if it must be."""
    exif, comment = contents.metadata.with_resolution, comment_of(contents.plain_text)
    for most in (_MOST_EXIF, 4000, 1000, 0):
        fields = fields_for(
            exif.shorter(most), contents.size, is_srgb=not contents.profile, comment=comment
        )
        block = exif_block(*fields)
        if len(block) <= _MOST_EXIF:
            return block
    raise ValueError(
        f"found a text of {len(comment)} bytes, expected at most {_MOST_EXIF} in a JPEG file"
    )
