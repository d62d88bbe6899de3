"""Sizes of pictures that keep their aspect, and resampling of pixels to a size."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from nst_core.images.levels import to_levels


def fit(height: int, width: int, size: int, *, enlarge: bool = False) -> tuple[int, int]:
    """Return height and width of the same aspect with `size` as the longest side, never 0.

    A smaller picture keeps its size unless `enlarge` is set.
    """
    longest = max(height, width)
    if longest <= size and not enlarge:
        return height, width
    return max(1, round(height * size / longest)), max(1, round(width * size / longest))


def enlarged(
    array: NDArray[np.float32] | NDArray[np.uint8], height: int, width: int, *, depth: int = 8
) -> NDArray[np.float32] | NDArray[np.uint8]:
    """Resample a finished picture, with sharp edges, to a size that may be many times larger.

    Args:
        array: (h, w) or (h, w, channels); uint8, or floating point in [0, 1].
        height, width: size of the result, in pixels.
        depth: 8 or 16, the bits of a level in the file.

    Returns:
        Of the new size: uint8 if the depth is 8, to save memory, or float32 in [0, 1].
    """
    if array.ndim == 3:
        kind = np.uint8 if depth == 8 else np.float32
        planes = np.empty((height, width, array.shape[-1]), kind)
        for band in range(array.shape[-1]):
            planes[..., band] = enlarged(array[..., band], height, width, depth=depth)
        return planes
    values = np.divide(array, 255, dtype=np.float32) if array.dtype == np.uint8 else array
    resized = Image.fromarray(np.ascontiguousarray(values)).resize(
        (width, height), Image.Resampling.LANCZOS
    )
    clipped = np.asarray(resized).clip(0, 1)
    return to_levels(clipped) if depth == 8 else clipped


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
