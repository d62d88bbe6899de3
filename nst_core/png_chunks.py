"""What a PNG file says besides its pixels, read from its chunks without decoding any of them."""

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO

import numpy as np

from nst_core.color_profiles import SRGB_CHROMATICITIES, SRGB_GAMMA, rgb_profile
from nst_core.decoder_notices import note

_MOST_EXIF = 1 << 20
_EXIF_TEXT = b"Raw profile type exif\0"
"""The keyword of text in which ImageMagick kept EXIF data before there was a chunk for it."""

_NEEDED = {b"IHDR": 13, b"tRNS": 6, b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"cICP": 4}
_NEEDED |= {b"eXIf": _MOST_EXIF, b"tEXt": len(_EXIF_TEXT), b"zTXt": len(_EXIF_TEXT)}
"""The chunks that are looked at, and how much of them is read at first."""

_CICP_SRGB = bytes([1, 13, 0, 1])
_CLOSE = 0.05
"""The share by which a gamma may differ from that of sRGB and mean the same, as in libpng."""

_CHROMATICITY_STEP = 0.005


@dataclass(frozen=True)
class PngFacts:
    """What the chunks of a file say.

    Attributes:
        depth: bits of a sample, 1 to 16.
        chunks: the content of those chunks that are looked at, by name.
        is_whole: whether the file ends with its end chunk.
    """

    depth: int
    chunks: Mapping[bytes, bytes]
    is_whole: bool

    @property
    def exif(self) -> bytes:
        """The EXIF data, wherever in the file it is; empty where there is none."""
        return self.chunks.get(b"eXIf") or _exif_in_text(self.chunks.get(_EXIF_TEXT, b""))

    def color_key(self) -> tuple[int, ...]:
        """The levels of the transparent color, one for gray or three, in the file's own depth.

        Only as many low bits count as a sample has. Empty where there is no such color.
        """
        data = self.chunks.get(b"tRNS", b"")
        levels = struct.unpack(f">{len(data) // 2}H", data[: len(data) // 2 * 2])
        return tuple(level & (2**self.depth - 1) for level in levels)

    def color_profile(self) -> bytes | None:
        """An ICC profile that stands for `gAMA` and `cHRM`; None where they ask for sRGB.

        The order of precedence is that of the PNG specification: `cICP`, an embedded profile
        (which the caller looks for), `sRGB`, then these two.
        """
        if b"cICP" in self.chunks and self.chunks[b"cICP"] != _CICP_SRGB:
            note("its colors are given by a cICP chunk other than sRGB, which is not read")
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
    """Go through the chunks of a file, which is left where it was.

    What is cut off or damaged is left out, as whoever decodes the pixels tells of it.
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
    """EXIF data in hexadecimal digits after a line of its name and one of its length.

    Args:
        text: what follows the keyword; a compressed one begins with a 0 for its method.
    """
    try:
        if text.startswith(b"\0"):
            text = zlib.decompressobj().decompress(text[1:], 2 * _MOST_EXIF)
        return bytes.fromhex("".join(text.decode("ascii").split("\n")[3:]))
    except (ValueError, zlib.error):
        note("its EXIF data is damaged and ignored (it is not hexadecimal)")
        return b""
