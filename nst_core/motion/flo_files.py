"""Files of optical flow in Middlebury's format, `.flo` (Baker et al. 2011).

A file has the four bytes `PIEH`, then width and height as 32-bit integers, then for each pixel, row
by row, its displacement to the right and down as 32-bit floats; all of it is little-endian. Values
above 1e9 mean that a displacement is unknown (vision.middlebury.edu/flow/data).
"""

import hashlib
import struct
from typing import NamedTuple

import numpy as np

from nst_core.errors import UserError
from nst_core.motion.flow import Flow
from nst_core.storage.files import read_start, stat
from nst_core.storage.places import Place, redacted

MAGIC = b"PIEH"
HEADER = struct.Struct("<4sii")
BYTES_OF_PIXEL = 8
UNKNOWN = 1e9
UNKNOWN_AS_WRITTEN = np.float32(1.666666752e9)
ADVICE = "Write the flow again as a Middlebury .flo file, or leave the cell empty"


class FlowError(UserError, ValueError):
    """A file of optical flow cannot be used; the message is for the user and names the file."""


class FlowFile(NamedTuple):
    """A flow with the SHA-256 of its file."""

    flow: Flow
    sha256: str


def encode_flow(flow: Flow) -> bytes:
    """Return a flow as the contents of a `.flo` file.

    Args:
        flow: float32 (height, width, 2), NaN where it is unknown.
    """
    height, width = flow.shape[:2]
    values = np.where(np.isfinite(flow), flow, UNKNOWN_AS_WRITTEN).astype("<f4")
    return HEADER.pack(MAGIC, width, height) + values.tobytes()


def read_flow(path: Place, *, max_pixels: int) -> FlowFile:
    """Read a `.flo` file.

    Args:
        path: where it is.
        max_pixels: a flow of more pixels is refused before it is read.

    Returns:
        The flow with NaN where it is unknown, float32 (height, width, 2), and the file's digest.

    Raises:
        FlowError: the file is missing, damaged or of another kind, or says nothing of any pixel.
    """
    shown = redacted(path)
    try:
        width, height = _size(shown, read_start(path, HEADER.size), max_pixels)
        expected = HEADER.size + BYTES_OF_PIXEL * width * height
        data = read_start(path, expected + 1)
        if len(data) != expected:
            found = len(data) if len(data) < expected else stat(path).size
            raise FlowError(
                f"{shown}: found {found:,} bytes, expected {expected:,} for {width} x {height} "
                f"pixels: the file is cut off or damaged. {ADVICE}."
            )
    except OSError as error:
        raise FlowError(
            f"{shown}: expected a .flo file that can be read, but the system reports "
            f"'{error.strerror or error}'. Check the path and its permissions."
        ) from error
    values = np.frombuffer(data, "<f4", offset=HEADER.size).astype(np.float32)
    flow = values.reshape(height, width, 2)
    known = (np.abs(flow) <= UNKNOWN).all(axis=-1)
    if not known.any():
        raise FlowError(f"{shown}: found no known displacement at any pixel. {ADVICE}.")
    flow[~known] = np.nan
    return FlowFile(flow, hashlib.sha256(data).hexdigest())


def _size(shown: str, header: bytes, max_pixels: int) -> tuple[int, int]:
    """Return width and height from a file's first bytes."""
    if len(header) < HEADER.size or not header.startswith(MAGIC):
        found = repr(header[:4]) if header else "an empty file"
        raise FlowError(
            f"{shown}: found {found}, expected a file of optical flow, which begins with "
            f"{MAGIC!r}. {ADVICE}."
        )
    _, width, height = HEADER.unpack(header)
    if width < 1 or height < 1:
        raise FlowError(f"{shown}: found {width} x {height} pixels, expected at least 1 x 1.")
    if width * height > max_pixels:
        raise FlowError(
            f"{shown}: the flow has {width} x {height} = {width * height:,} pixels, more than the "
            f"{max_pixels:,} allowed. Scale it down, or raise the limit if you trust the file."
        )
    return width, height
