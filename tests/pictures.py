"""Picture files for tests: small, smooth, and each unlike the others."""

import csv
from pathlib import Path

import numpy as np

from nst_core.files import write_whole
from nst_core.pictures import encode_png, resize


def write_picture(path: Path, seed: int, height: int = 36, width: int = 48) -> Path:
    """Soft blotches of color that depend on the seed."""
    blotches = np.random.default_rng(seed).uniform(0, 1, (6, 6, 3)).astype(np.float32)
    write_whole(path, encode_png(resize(blotches, height, width)))
    return path


def write_csv(path: Path, *rows: tuple[object, ...]) -> Path:
    """A manifest; the first row is the header."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path
