"""Procedural style pictures, free to use; there is no download, and a seed gives one picture.

Every painter takes a size and a seed and returns a square picture, (size, size, 3) uint8 sRGB.
Sizes below 96 show few details. A seed gives the same composition at every size.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from nst_core.samples.paintings.cutouts import cutouts
from nst_core.samples.paintings.disks import disks
from nst_core.samples.paintings.fields import Picture
from nst_core.samples.paintings.hatching import hatching
from nst_core.samples.paintings.mosaic import mosaic
from nst_core.samples.paintings.pointillism import pointillism
from nst_core.samples.paintings.stained_glass import stained_glass
from nst_core.samples.paintings.swirls import swirls
from nst_core.samples.paintings.woodcut import woodcut

PAINTINGS: Mapping[str, Callable[[int, int], Picture]] = MappingProxyType(
    {
        "cutouts": cutouts,
        "disks": disks,
        "hatching": hatching,
        "mosaic": mosaic,
        "pointillism": pointillism,
        "stained_glass": stained_glass,
        "swirls": swirls,
        "woodcut": woodcut,
    }
)
"""Painters by name; each is called with (size, seed)."""

__all__ = [
    "PAINTINGS",
    "cutouts",
    "disks",
    "hatching",
    "mosaic",
    "pointillism",
    "stained_glass",
    "swirls",
    "woodcut",
]
