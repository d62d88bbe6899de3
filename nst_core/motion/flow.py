"""Optical flow: where each point of a picture is in another one."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from nst_core.images.resize import resize

Flow = NDArray[np.float32]
"""Displacements in pixels, (height, width, 2): first to the right, then down.

A displacement that is not known is NaN.
"""

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""The weights of red, green and blue in the brightness that flow is computed from (BT.601)."""


def optical_flow(picture: NDArray[np.float32], other: NDArray[np.float32]) -> Flow:
    """Return where each pixel of a picture is in another picture, relative to its own place.

    It is the flow of TV-L1 (Zach et al. 2007, "A Duality Based Approach for Realtime TV-L1 Optical
    Flow"), as scikit-image computes it from the brightness.

    Args:
        picture, other: sRGB in [0, 1], (height, width, 3), of the same shape.
    """
    from skimage import registration

    compute: Callable[..., Sequence[NDArray[np.float32]]] = registration.optical_flow_tvl1
    down, right = compute(picture @ LUMA, other @ LUMA, dtype=np.float32)
    return np.stack([right, down], axis=-1)


def is_known(flow: Flow) -> NDArray[np.bool_]:
    """Return where the displacements of a flow are known, as boolean (height, width)."""
    known: NDArray[np.bool_] = np.all(np.isfinite(flow), axis=-1)
    return known


def resized_flow(flow: Flow, height: int, width: int) -> Flow:
    """Return a flow between the same two pictures at another size.

    Displacements are scaled as the sides are. What depends on an unknown displacement is unknown.

    Args:
        flow: of any size.
        height, width: those of the result, in pixels.
    """
    if flow.shape[:2] == (height, width):
        return flow
    known = is_known(flow)
    filled = np.where(known[..., np.newaxis], flow, np.float32(0))
    scale = np.array([width / flow.shape[1], height / flow.shape[0]], np.float32)
    scaled = resize(filled, height, width) * scale
    if not known.all():
        scaled[resize(known, height, width) < 1] = np.nan
    return scaled
