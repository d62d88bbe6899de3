"""Sizes of pictures that keep their aspect, and resampling of pixels to a size."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image


def fit(height: int, width: int, size: int, *, enlarge: bool = False) -> tuple[int, int]:
    """Return height and width of the same aspect with `size` as the longest side, never 0.

    A smaller picture keeps its size unless `enlarge` is set.
    """
    longest = max(height, width)
    if longest <= size and not enlarge:
        return height, width
    return max(1, round(height * size / longest)), max(1, round(width * size / longest))


def resize(array: ArrayLike, height: int, width: int) -> NDArray[np.float32]:
    """Resample bicubically; when shrinking, average over everything that falls into one pixel.

    Args:
        array: (h, w) or (h, w, channels), of any range.
        height, width: size of the result, in pixels.

    Returns:
        float32 (height, width) or (height, width, channels); each channel stays in its
        range in `array`, because the overshoot beside edges is clipped.
    """
    values = np.asarray(array, np.float32)
    if values.ndim == 3:
        planes = [resize(plane, height, width) for plane in np.moveaxis(values, -1, 0)]
        return np.stack(planes, axis=-1)
    plane = Image.fromarray(np.ascontiguousarray(values))
    resized = np.asarray(plane.resize((width, height), Image.Resampling.BICUBIC))
    return resized.clip(values.min(), values.max())
