"""WebP files."""

import io
from typing import Any

from PIL import Image

from nst_core.images.color_profiles import srgb_profile
from nst_core.images.formats.comments import comment_of
from nst_core.images.formats.contents import Contents
from nst_core.images.metadata.exif_data import exif_block, fields_for

_LOSSLESS = 100
"""The quality of files that keep every level."""


def encode_webp(contents: Contents) -> bytes:
    """Encode a WebP file with its text and metadata; it is lossless at the quality 100.

    Raises:
        ValueError: pixels have another type of numbers, or contain NaN.
    """
    metadata = contents.metadata
    more: dict[str, Any] = {}
    if metadata.xmp:
        more["xmp"] = metadata.xmp
    if contents.text or metadata:
        fields = fields_for(
            metadata.with_resolution,
            contents.size,
            is_srgb=not contents.profile,
            comment=comment_of(contents.plain_text),
        )
        more["exif"] = exif_block(*fields)
    data = io.BytesIO()
    Image.fromarray(contents.levels()).save(
        *(data, "WEBP"),
        lossless=contents.quality == _LOSSLESS,
        quality=contents.quality,
        exact=True,
        icc_profile=contents.profile or srgb_profile(),
        **more,
    )
    return data.getvalue()
