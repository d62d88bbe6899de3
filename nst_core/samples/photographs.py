"""Photographs that come with scikit-image; they have no restrictions and need no download."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

PHOTOGRAPHS: Mapping[str, str] = MappingProxyType(
    {
        "astronaut": "astronaut",
        "cat": "chelsea",
        "coffee": "coffee",
        "rocket": "rocket",
        "galaxies": "hubble_deep_field",
        "tissue": "immunohistochemistry",
    }
)
"""Subject -> name in scikit-image, whose documentation says that all are free to use."""


def photograph(name: str) -> NDArray[np.uint8]:
    """Return one of `PHOTOGRAPHS`: sRGB, uint8, (height, width, 3)."""
    import skimage.data

    picture: NDArray[np.uint8] = getattr(skimage.data, PHOTOGRAPHS[name])()
    return picture
