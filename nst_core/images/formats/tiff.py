"""TIFF files of 8 and 16 bits, compressed without loss."""

import struct
import zlib

import numpy as np

from nst_core.images.color_profiles import srgb_profile
from nst_core.images.formats.comments import comment_of
from nst_core.images.formats.contents import Contents, Levels
from nst_core.images.metadata.exif_data import fields_for
from nst_core.images.metadata.fields import HEADER, UNDEFINED, Field, directories

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 0x0100, 0x0101, 0x0102, 0x0103, 0x0106
_OFFSETS, _SAMPLES, _ROWS, _COUNTS = 0x0111, 0x0115, 0x0116, 0x0117
_PLANAR, _PREDICTOR, _EXTRA_SAMPLES = 0x011C, 0x013D, 0x0152
_XMP, _ICC_PROFILE = 0x02BC, 0x8773

_DEFLATE, _RGB, _CHUNKY, _DIFFERENCES, _STRAIGHT_ALPHA = 8, 2, 1, 2, 2
_BYTE = 1
_STRIP_BYTES = 1 << 18
"""About how much of the picture is compressed at once."""


def encode_tiff(contents: Contents) -> bytes:
    """Encode a TIFF file with its text and metadata.

    Raises:
        ValueError: pixels have another type of numbers, or contain NaN.
    """
    levels: Levels = contents.deep_levels() if contents.depth == 16 else contents.levels()
    rows = max(1, _STRIP_BYTES // levels[0].nbytes)
    strips = [_strip(levels[top : top + rows]) for top in range(0, len(levels), rows)]
    offsets, start = [], 8
    for strip in strips:
        offsets.append(start)
        start += len(strip) + len(strip) % 2
    main, others = fields_for(
        contents.metadata.with_resolution,
        contents.size,
        is_srgb=not contents.profile,
        comment=comment_of(contents.plain_text),
    )
    own = [
        *_layout(levels),
        Field.of_longs(_OFFSETS, *offsets),
        Field.of_longs(_ROWS, rows),
        Field.of_longs(_COUNTS, *map(len, strips)),
        Field(_ICC_PROFILE, UNDEFINED, contents.profile or srgb_profile()),
    ]
    if contents.metadata.xmp:
        own.append(Field(_XMP, _BYTE, contents.metadata.xmp))
    fields = {**main, **{one.tag: one for one in own}}
    inner = {tag: each.values() for tag, each in others.items()}
    pixels = b"".join(strip + bytes(len(strip) % 2) for strip in strips)
    return HEADER + struct.pack("<I", start) + pixels + directories(fields.values(), inner, start)


def _layout(levels: Levels) -> list[Field]:
    """Return the fields that say how the pixels are stored."""
    height, width, channels = levels.shape
    bits = 8 * levels.itemsize
    alpha = [Field.of_shorts(_EXTRA_SAMPLES, _STRAIGHT_ALPHA)] if channels == 4 else []
    return [
        Field.of_longs(_WIDTH, width),
        Field.of_longs(_HEIGHT, height),
        Field.of_shorts(_BITS, *[bits] * channels),
        Field.of_shorts(_COMPRESSION, _DEFLATE),
        Field.of_shorts(_PHOTOMETRIC, _RGB),
        Field.of_shorts(_SAMPLES, channels),
        Field.of_shorts(_PLANAR, _CHUNKY),
        Field.of_shorts(_PREDICTOR, _DIFFERENCES),
        *alpha,
    ]


def _strip(levels: Levels) -> bytes:
    """Return compressed lines, in which each level is stored minus the one on the left."""
    differences = levels.astype(f"<u{levels.itemsize}")
    differences[:, 1:] = np.diff(levels, axis=1)
    return zlib.compress(differences.tobytes(), 6)
