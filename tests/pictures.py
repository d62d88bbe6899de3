"""Picture files for tests: small, smooth, and all different."""

import csv
import struct
import zlib
from pathlib import Path

import numpy as np

from nst_core.images.resize import resize
from nst_core.images.write import encode_png
from nst_core.storage.files import write_atomic


def write_picture(path: Path, seed: int, height: int = 36, width: int = 48) -> Path:
    """Write a picture of soft blotches of color that depend on the seed."""
    blotches = np.random.default_rng(seed).uniform(0, 1, (6, 6, 3)).astype(np.float32)
    write_atomic(path, encode_png(resize(blotches, height, width)))
    return path


def write_csv(path: Path, *rows: tuple[object, ...]) -> Path:
    """Write a manifest, whose first row is the header."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def huge_png() -> bytes:
    """Return a PNG of 69 bytes whose header declares 100,000,000 x 2 pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", 100_000_000, 2, 8, 2, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data
