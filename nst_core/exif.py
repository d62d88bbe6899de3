"""The orientation in EXIF data, and nothing else of it."""

import struct

_HEADER = b"Exif\0\0"
_ORIENTATION = 0x0112
_INTEGERS = {1: "B", 3: "H", 4: "I"}
"""The field types that an orientation is stored in, and how `struct` calls them."""


def orientation_in(exif: bytes) -> int:
    """The orientation that EXIF data holds, usually 1 to 8; 1 where there is none.

    Args:
        exif: a TIFF header and what follows it, with or without `Exif` before it.

    Raises:
        ValueError: this is no EXIF data, or it is cut short.
    """
    while exif.startswith(_HEADER):
        exif = exif.removeprefix(_HEADER)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        raise ValueError(f"it begins with {exif[:4]!r}")
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, _ = struct.unpack_from(f"{order}HHI", exif, entry)
            if tag == _ORIENTATION and kind in _INTEGERS:
                (value,) = struct.unpack_from(f"{order}{_INTEGERS[kind]}", exif, entry + 8)
                return int(value)
    except struct.error as error:
        raise ValueError("it is cut short") from error
    return 1
