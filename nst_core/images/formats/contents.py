"""What goes into a picture file, in any format."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nst_core.images.file_choices import QUALITY
from nst_core.images.levels import to_deep_levels, to_levels
from nst_core.images.metadata.photograph import Metadata

Pixels = NDArray[np.float32] | NDArray[np.uint8]
Levels = NDArray[np.uint8] | NDArray[np.uint16]
Text = Mapping[str, str]


@dataclass(frozen=True)
class Contents:
    """What goes into a file.

    Attributes:
        rgb: (height, width, 3); uint8, or floating point that is clipped to [0, 1].
        alpha: (height, width) in [0, 1], stored unchanged; `rgb` is not divided by it. None if
            everything is opaque. A format that cannot be transparent ignores it.
        text: keyword (1 to 79 Latin-1 characters) -> any text, for `write.read_text`.
        depth: bits of a level, 8 or 16; a format with only 8 ignores it. Levels are rounded from
            floating point, so that 16 bits of it are not those of 8-bit levels.
        quality: of a lossy format, from 1 to 100.
        metadata: the photograph's, as far as the file may contain it.
        profile: the ICC profile of the pixels; empty if they are sRGB.
    """

    rgb: Pixels
    alpha: NDArray[np.floating] | NDArray[np.uint8] | None = None
    text: Text = field(default_factory=dict)
    depth: int = 8
    quality: int = QUALITY
    metadata: Metadata = field(default_factory=Metadata)
    profile: bytes = b""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.rgb.shape[1], self.rgb.shape[0]

    @cached_property
    def plain_text(self) -> Text:
        """The text in a form that UTF-8 can encode: paths may contain lone surrogates."""
        return {
            keyword: value.encode("utf-8", "backslashreplace").decode()
            for keyword, value in self.text.items()
        }

    def levels(self, *, with_alpha: bool = True) -> NDArray[np.uint8]:
        """Return 8-bit levels, (height, width, 3), or 4 with alpha.

        Raises:
            ValueError: pixels have another type of numbers, or contain NaN.
        """
        color = _as_levels(self.rgb)
        if self.alpha is None or not with_alpha:
            return color
        return np.dstack([color, _as_levels(self.alpha)])

    def deep_levels(self) -> NDArray[np.uint16]:
        """Return 16-bit levels; otherwise the same as `levels`."""
        color = _as_deep_levels(self.rgb)
        return color if self.alpha is None else np.dstack([color, _as_deep_levels(self.alpha)])


def _as_levels(array: NDArray[np.floating] | NDArray[np.uint8]) -> NDArray[np.uint8]:
    return _checked(array) if array.dtype == np.uint8 else to_levels(_checked(array))


def _as_deep_levels(array: NDArray[np.floating] | NDArray[np.uint8]) -> NDArray[np.uint16]:
    if array.dtype == np.uint8:
        return np.multiply(array, 257, dtype=np.uint16)
    return to_deep_levels(_checked(array))


def _checked(array: NDArray[np.floating] | NDArray[np.uint8]) -> NDArray[np.uint8]:
    is_float = np.issubdtype(array.dtype, np.floating)
    if array.dtype != np.uint8 and (not is_float or np.isnan(array).any()):
        raise ValueError(
            f"found pixels of {array.dtype}{' with NaN' if is_float else ''}, "
            "expected uint8 from 0 to 255 or floating point from 0 to 1"
        )
    return np.asarray(array)
