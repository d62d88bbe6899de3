"""Warping of a picture by optical flow."""

import numpy as np
from numpy.typing import NDArray

from nst_core.motion.flow import Flow

Values = NDArray[np.float32]


def warped(values: Values, flow: Flow) -> Values:
    """Return a picture whose pixel at each place p is that of another picture at p + flow(p).

    Values between pixels are interpolated bilinearly. Beyond the edges, the nearest pixel counts.
    With the flow from a frame to the frame before it, this moves the frame before to where things
    are now.

    Args:
        values: float32 (height, width, channels).
        flow: (height, width, 2) of the same height and width; where it is unknown, nothing moves.

    Returns:
        float32 (height, width, channels).
    """
    # Whoever warps nothing need not wait for this import.
    from scipy.ndimage import map_coordinates

    places = places_of(flow)
    planes = [
        map_coordinates(plane, places, order=1, mode="nearest", output=np.float32)
        for plane in np.moveaxis(values, -1, 0)
    ]
    return np.stack(planes, axis=-1)


def places_of(flow: Flow) -> NDArray[np.float64]:
    """Return the row and the column that each pixel comes from, (2, height, width), in pixels."""
    rows, columns = np.indices(flow.shape[:2])
    right, down = np.moveaxis(np.nan_to_num(flow.astype(np.float64)), -1, 0)
    return np.stack([rows + down, columns + right])
