"""JPEG files whose end is missing: a check of whether pixels are missing as well.

A decoder silently fills missing parts with gray. So a file that was cut off is decoded several
times, with different bits after its last one. If these bits change no pixel, no pixel is missing.
"""

import hashlib
import io
import re
from collections.abc import Iterator

from PIL import Image, ImageChops
from PIL.JpegImagePlugin import JpegImageFile

_END = b"\xff\xd9"
_OTHER_BITS = tuple(
    hashlib.sha512(bytes([number])).digest().replace(b"\xff", b"\x7f") for number in range(5)
)
"""Arbitrary bits without markers, the same in every run."""

_FRAMES = (0xC0, 0xC1, 0xC2)
"""The markers of baseline, extended and progressive frames."""

_SCAN = re.compile(rb"\xff\xda\x00.(.)", re.DOTALL)
_COEFFICIENTS = 64


def completed(data: bytes) -> Image.Image | None:
    """Decode a JPEG file that lacks nothing but its end marker.

    Args:
        data: the file; it may end with the first half of the marker.

    Returns:
        The picture, or None if pixels may be missing, too.
    """
    cut = data.removesuffix(b"\xff")
    if not _has_all_scans(cut):
        return None
    first = _decoded(cut + _END)
    for bits in _OTHER_BITS:
        if ImageChops.difference(first, _decoded(cut + bits + _END)).getbbox() is not None:
            return None
    return first


def _decoded(data: bytes) -> Image.Image:
    image = JpegImageFile(io.BytesIO(data), "")
    image.load()
    return image


def _has_all_scans(data: bytes) -> bool:
    """Return whether the scans contain every bit of every coefficient of all components.

    Each scan of a progressive file refines the picture, so no decoder would notice that the last
    one is missing.
    """
    frame = _frame(data)
    if frame is None:
        return False
    start, components = frame
    missing = {component: set(range(_COEFFICIENTS)) for component in components}
    for scan in _SCAN.finditer(data, start):
        names = data[scan.end() : scan.end() + 2 * scan[1][0] : 2]
        rest = data[scan.end() + 2 * scan[1][0] :][:3]
        # The lower half is the lowest bit in the scan; baseline scans contain all bits at once.
        if len(rest) == 3 and rest[2] & 0x0F == 0:
            for name in names:
                missing.get(name, set()).difference_update(range(rest[0], rest[1] + 1))
    return not any(missing.values())


def _frame(data: bytes) -> tuple[int, bytes] | None:
    """Return where the frame's header ends, and the identifiers of its components."""
    for marker, start, stop in _segments(data):
        if marker in _FRAMES and stop - start >= 8:
            return stop, data[start + 8 : stop : 3][: data[start + 7]]
    return None


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of each segment; those of a thumbnail are inside another one."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        if data[at + 1] == 0xFF:
            at += 1
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        yield data[at + 1], at + 2, at + 2 + length
        at += 2 + length
