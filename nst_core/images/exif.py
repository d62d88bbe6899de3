"""The orientation in EXIF data, and nothing else."""

import struct

from nst_core.storage.first_bytes import first_bytes

_HEADER = b"Exif\0\0"
_ORIENTATION = 0x0112
_INTEGERS = {1: "B", 3: "H", 4: "I"}
"""The field types in which an orientation is stored, and their codes in `struct`."""


def orientation_in(exif: bytes) -> int:
    """Return the orientation in EXIF data, usually 1 to 8, or 1 if there is none.

    Args:
        exif: a TIFF header and the data after it, with or without `Exif` in front.

    Raises:
        ValueError: this is not EXIF data, or it is cut off.
    """
    while exif.startswith(_HEADER):
        exif = exif.removeprefix(_HEADER)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        raise ValueError(f"it begins with {first_bytes(exif[:4])}")
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
