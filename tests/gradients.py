"""Gradients of the program against central differences of an independent computation."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

Array = NDArray[np.float64]

STEP = 1e-5


def check_slopes(
    value: Callable[[Array], float], at: Array, gradient: Array, *, rel: float, seed: int = 0
) -> None:
    """Check a gradient of float32 arithmetic along a few directions, by a function in float64.

    Args:
        value: the function.
        at: the point.
        gradient: that of the function at the point, in its shape.
        rel: by how much slopes may differ, as a share of each.
        seed: of the directions.
    """
    assert gradient.shape == at.shape
    along = gradient / np.linalg.norm(gradient)
    draw = np.random.default_rng(seed)
    for _ in range(4):
        direction = draw.normal(size=at.shape)
        # The gradient's share makes the slope larger than the error of rounding.
        direction = direction / np.linalg.norm(direction) + along
        ahead, behind = (value(at + step * direction) for step in (STEP, -STEP))
        slope = (ahead - behind) / (2 * STEP)
        assert (gradient * direction).sum() == pytest.approx(slope, rel=rel)
