"""Where optical flow can be relied on: where nothing was hidden, and off the edges of motion.

The formulas are those of Sundaram, Brox & Keutzer 2010, "Dense Point Trajectories by
GPU-accelerated Large Displacement Optical Flow", as Ruder, Dosovitskiy & Brox 2016, "Artistic style
transfer for videos", section 4, use them. Their constants are in squared pixels.
"""

import numpy as np
from numpy.typing import NDArray

from nst_core.motion.flow import Flow, is_known
from nst_core.motion.warping import places_of, warped

Mask = NDArray[np.bool_]


def reliable(to_before: Flow, from_before: Flow) -> Mask:
    """Return where the frame before shows what a frame shows, as boolean (height, width).

    A pixel is not reliable if its flow is unknown or leads out of the picture, if it was hidden in
    the frame before, or if it is on a boundary of motion.

    Args:
        to_before: the flow from the frame to the frame before it, (height, width, 2).
        from_before: the flow from the frame before to the frame, of the same shape.
    """
    there = is_known(to_before) & inside(to_before)
    return there & consistent(to_before, from_before) & ~motion_boundaries(to_before)


def inside(flow: Flow) -> Mask:
    """Return where a flow leads to a place in the picture, as boolean (height, width)."""
    height, width = flow.shape[:2]
    row, column = places_of(flow)
    leads: Mask = (row >= 0) & (row <= height - 1) & (column >= 0) & (column <= width - 1)
    return leads


def consistent(backward: Flow, forward: Flow) -> Mask:
    """Return where two opposite flows cancel each other out, as boolean (height, width).

    With the backward flow b, and the forward flow f at the place where b leads, this is
    |f + b|^2 <= 0.01 (|f|^2 + |b|^2) + 0.5. Elsewhere, a pixel was hidden and is visible now.
    """
    there = warped(np.nan_to_num(forward), backward)
    back = np.nan_to_num(backward)
    difference = _square(there + back)
    allowed: Mask = difference <= 0.01 * (_square(there) + _square(back)) + 0.5
    return allowed


def motion_boundaries(flow: Flow) -> Mask:
    """Return where a flow (u, v) changes abruptly, as boolean (height, width).

    There, |grad u|^2 + |grad v|^2 > 0.01 |(u, v)|^2 + 0.002.
    """
    back = np.nan_to_num(flow)
    steepness = sum(_square(np.gradient(back, axis=axis)) for axis in (0, 1))
    steep: Mask = steepness > 0.01 * _square(back) + 0.002
    return steep


def _square(vectors: Flow) -> NDArray[np.float32]:
    squares: NDArray[np.float32] = np.sum(vectors**2, axis=-1)
    return squares
