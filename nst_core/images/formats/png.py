"""PNG files of 8 and 16 bits: their encoding, and the text in them."""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from nst_core.images.formats.contents import Contents
from nst_core.images.metadata.exif_data import exif_block, fields_for

_XMP = "XML:com.adobe.xmp"
_PAETH = 4
"""The number of the filter that predicts a level from three neighbors."""


def encode_png(contents: Contents) -> bytes:
    """Encode a PNG file, tagged as sRGB or with the profile of its pixels.

    Raises:
        ValueError: pixels have another type of numbers, or contain NaN.
    """
    if contents.depth == 16:
        levels = contents.deep_levels()
        # Pillow writes no color of 16 bits, so that its file is given other pixels.
        mode = "RGB" if levels.shape[-1] == 3 else "RGBA"
        return _with_pixels(_saved(Image.new(mode, contents.size), contents), levels)
    return _saved(Image.fromarray(contents.levels()), contents)


def _saved(image: Image.Image, contents: Contents) -> bytes:
    metadata, info = contents.metadata, PngInfo()
    if not contents.profile:
        info.add(b"sRGB", b"\0")  # 0: perceptual intent
    for keyword, value in contents.plain_text.items():
        info.add_itxt(keyword, value)
    more: dict[str, object] = {}
    if metadata.exif:
        fields = fields_for(metadata.exif, contents.size, is_srgb=not contents.profile)
        more["exif"] = exif_block(*fields)
    if metadata.xmp:
        info.add_itxt(_XMP, metadata.xmp.decode())
    if metadata.dpi:
        more["dpi"] = metadata.dpi
    if contents.profile:
        more["icc_profile"] = contents.profile
    data = io.BytesIO()
    image.save(data, "PNG", pnginfo=info, **more)
    return data.getvalue()


def png_text(image: Image.Image) -> dict[str, str]:
    """Return the text before the pixels, which is where `encode_png` puts it."""
    return {
        str(key): str(value)
        for key, value in image.info.items()
        if isinstance(value, str) and key != _XMP
    }


def _with_pixels(png: bytes, levels: NDArray[np.uint16]) -> bytes:
    """Return a PNG file of 8 bits with other pixels, which have 16 bits."""
    parts = [png[:8]]
    for kind, data in _chunks(png):
        if kind == b"IHDR":
            parts.append(_chunk(kind, data[:8] + b"\x10" + data[9:]))
        elif kind == b"IEND":
            parts += [_chunk(b"IDAT", zlib.compress(_filtered(levels), 6)), _chunk(kind, b"")]
        elif kind != b"IDAT":
            parts.append(_chunk(kind, data))
    return b"".join(parts)


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at < len(png):
        length, kind = struct.unpack_from(">I4s", png, at)
        yield kind, png[at + 8 : at + 8 + length]
        at += 12 + length


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _filtered(levels: NDArray[np.uint16]) -> bytes:
    """Return the lines of a picture as PNG stores them: minus what neighbors predict."""
    height, width, channels = levels.shape
    step = 2 * channels
    lines = levels.astype(">u2").reshape(height, -1).view(np.uint8)
    filtered = np.empty((height, 1 + width * step), np.uint8)
    filtered[:, 0] = _PAETH
    above = np.zeros(lines.shape[1], np.uint8)
    for number, line in enumerate(lines):  # line by line, to save memory
        filtered[number, 1:] = line - _predicted(line, above, step)
        above = line
    return filtered.tobytes()


def _predicted(line: NDArray[np.uint8], above: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    """Return what Paeth's filter predicts from the left, above, and above on the left."""
    left, corner = np.zeros_like(line), np.zeros_like(line)
    left[step:], corner[step:] = line[:-step], above[:-step]
    a, b, c = (each.astype(np.int16) for each in (left, above, corner))
    to_left, to_above, to_corner = abs(b - c), abs(a - c), abs(a + b - 2 * c)
    use_left = (to_left <= to_above) & (to_left <= to_corner)
    return np.where(use_left, left, np.where(to_above <= to_corner, above, corner))
