"""HEIC pictures, which phones take; Pillow reads them if the library pillow-heif is installed."""

from importlib.util import find_spec
from typing import cast

from PIL import ImageFile

from nst_core.extras import command_for

SUFFIXES = (".heic", ".heics", ".heif", ".heifs", ".hif")
"""The suffixes of HEIC pictures."""

LIBRARY = "pillow_heif"

NEEDED = command_for("heic")
"""The command that installs the library."""

_CODED = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"))
_CONTAINERS = frozenset((b"mif1", b"msf1"))
"""Brands that HEIC and AVIF have in common."""


def is_heic(start: bytes) -> bool:
    """Return whether a file is a HEIC picture, from its first 64 bytes."""
    if start[4:8] != b"ftyp":
        return False
    end = min(int.from_bytes(start[:4], "big"), len(start))
    brands = {start[8:12], *(start[at : at + 4] for at in range(16, end - 3, 4))}
    return start[8:12] in _CODED or (start[8:12] in _CONTAINERS and bool(brands & _CODED))


def is_installed() -> bool:
    """Return whether HEIC pictures can be read."""
    return find_spec(LIBRARY) is not None


def reader() -> type[ImageFile.ImageFile]:
    """Return Pillow's class for HEIC pictures; it applies their orientation by itself.

    It is used without being registered, which would change Pillow for the whole process.

    Raises:
        ImportError: the library is not installed.
    """
    import pillow_heif

    return cast(type[ImageFile.ImageFile], pillow_heif.HeifImageFile)
