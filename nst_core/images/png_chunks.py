"""What a PNG file contains besides its pixels, read from its chunks without decoding pixels."""

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO

import numpy as np

from nst_core.images.color_profiles import SRGB_CHROMATICITIES, SRGB_GAMMA, rgb_profile
from nst_core.images.decoder_notices import note

_MOST_EXIF = 1 << 20
_EXIF_TEXT = b"Raw profile type exif\0"
"""The keyword of text in which ImageMagick stored EXIF data before there was a chunk for it."""

_NEEDED = {b"IHDR": 13, b"tRNS": 6, b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"cICP": 4}
_NEEDED |= {b"eXIf": _MOST_EXIF, b"tEXt": len(_EXIF_TEXT), b"zTXt": len(_EXIF_TEXT)}
"""The chunks that are read, and how many of their first bytes are read."""

_CICP_SRGB = bytes([1, 13, 0, 1])
_CLOSE = 0.05
"""The share by which a gamma may differ from sRGB's and still count as sRGB, as in libpng."""

_CHROMATICITY_STEP = 0.005


@dataclass(frozen=True)
class PngFacts:
    """What the chunks of a file contain.

    Attributes:
        depth: bits of a sample, 1 to 16.
        chunks: the content of the chunks that are read, by name.
        is_whole: whether the file ends with its end chunk.
    """

    depth: int
    chunks: Mapping[bytes, bytes]
    is_whole: bool

    @property
    def exif(self) -> bytes:
        """The EXIF data, wherever it is in the file; empty if there is none."""
        return self.chunks.get(b"eXIf") or _exif_in_text(self.chunks.get(_EXIF_TEXT, b""))

    def color_key(self) -> tuple[int, ...]:
        """Return the levels of the transparent color, one for gray or three, in the file's depth.

        Bits beyond the depth are ignored. The result is empty if there is no such color.
        """
        data = self.chunks.get(b"tRNS", b"")
        levels = struct.unpack(f">{len(data) // 2}H", data[: len(data) // 2 * 2])
        return tuple(level & (2**self.depth - 1) for level in levels)

    def color_profile(self) -> bytes | None:
        """Return an ICC profile equivalent to `gAMA` and `cHRM`, or None if these describe sRGB.

        The order of precedence is that of the PNG specification: `cICP`, an embedded profile
        (which the caller looks for), `sRGB`, then `gAMA` and `cHRM`.
        """
        if b"cICP" in self.chunks and self.chunks[b"cICP"] != _CICP_SRGB:
            note("its cICP chunk, which describes colors other than sRGB, is ignored")
        if b"cICP" in self.chunks or b"sRGB" in self.chunks or b"gAMA" not in self.chunks:
            return None
        gamma = int.from_bytes(self.chunks[b"gAMA"], "big") / 100_000
        if not 0.1 <= gamma <= 10:
            note(f"its gamma of {gamma:g} makes no sense and is ignored")
            return None
        colors = _chromaticities(self.chunks.get(b"cHRM", b""))
        is_srgb_gamma = abs(gamma / SRGB_GAMMA - 1) < _CLOSE
        if np.allclose(colors, SRGB_CHROMATICITIES, rtol=0, atol=_CHROMATICITY_STEP):
            return None if is_srgb_gamma else rgb_profile(gamma, SRGB_CHROMATICITIES)
        try:
            return rgb_profile(gamma, colors)
        except ValueError as error:
            note(f"its cHRM chunk makes no sense and is ignored ({error})")
            return None if is_srgb_gamma else rgb_profile(gamma, SRGB_CHROMATICITIES)


def _chromaticities(data: bytes) -> tuple[float, ...]:
    if len(data) < 32:
        return SRGB_CHROMATICITIES
    return tuple(value / 100_000 for value in struct.unpack(">8I", data))


def read_png_facts(file: IO[bytes]) -> PngFacts:
    """Read the chunks of a file, and restore its position.

    Whatever is cut off or damaged is left out, because decoding the pixels will report it.
    """
    before = file.tell()
    try:
        return _read(file)
    finally:
        file.seek(before)


def _read(file: IO[bytes]) -> PngFacts:
    chunks: dict[bytes, bytes] = {}
    is_whole = False
    end = file.seek(0, 2)
    at = 8
    while at + 8 <= end and not is_whole:
        file.seek(at)
        length, kind = struct.unpack(">I4s", file.read(8))
        content = file.read(min(length, _NEEDED.get(kind, 0)))
        if kind in (b"tEXt", b"zTXt") and content == _EXIF_TEXT:
            kind, content = _EXIF_TEXT, file.read(min(length - len(content), _MOST_EXIF))
        if content:
            chunks.setdefault(kind, content)
        is_whole = kind == b"IEND"
        at += 12 + length
    depth = chunks.get(b"IHDR", bytes(13)).ljust(13, b"\0")[8]
    return PngFacts(depth, chunks, is_whole)


def _exif_in_text(text: bytes) -> bytes:
    """Decode EXIF data: a line with its name, a line with its length, then hexadecimal digits.

    Args:
        text: what follows the keyword; a compressed text begins with a 0 for its method.
    """
    try:
        if text.startswith(b"\0"):
            text = zlib.decompressobj().decompress(text[1:], 2 * _MOST_EXIF)
        return bytes.fromhex("".join(text.decode("ascii").split("\n")[3:]))
    except (ValueError, zlib.error):
        note("its EXIF data is damaged and ignored (it is not hexadecimal)")
        return b""
