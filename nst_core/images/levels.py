"""Conversion between the levels in files and the values from 0 to 1 in computations."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def to_levels(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the nearest levels, from 0 to 255, in an array of the same shape.

    Args:
        values: floating-point pixels or alpha in [0, 1]; values outside become 0 or 255.
    """
    levels: NDArray[np.uint8] = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
    return levels


def to_deep_levels(values: NDArray[Any]) -> NDArray[np.uint16]:
    """Return the nearest 16-bit levels, from 0 to 65535; otherwise the same as `to_levels`."""
    scaled = np.multiply(np.clip(values, 0, 1), 65535, dtype=np.float64)
    levels: NDArray[np.uint16] = np.rint(scaled, out=scaled).astype(np.uint16)
    return levels


def from_levels(levels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Convert levels from 0 to 255 to float32 in [0, 1], in an array of the same shape."""
    values = levels.astype(np.float32)
    values /= 255
    return values
