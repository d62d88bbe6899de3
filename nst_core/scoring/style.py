"""What a style score needs of a style: small, and independent of any content or result."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from nst_core.scoring.patches import (
    DIRECTIONS,
    QUANTILES,
    Distributions,
    bands,
    distance,
    distributions,
    possible_bands,
    spreads,
)

VERSION = 1
"""The version of the scores: those of different versions cannot be compared. A change of any number
in this package must raise it."""


@dataclass(frozen=True, eq=False)
class StyleStatistics:
    """The statistics of a style at the size at which it is compared.

    Attributes:
        units: the standard deviations of each band and channel, in levels from 0 to 1.
        patches: the distributions of the style's patches, in these units; empty if a picture has no
            room for patches.
        own: the mean distance between the style's halves, in the same units.
    """

    units: tuple[NDArray[np.float64], ...]
    patches: Distributions
    own: float

    @property
    def count(self) -> int:
        """In how many bands pictures are compared."""
        return len(self.patches)

    @classmethod
    def of(cls, style: NDArray[np.float32], most: int) -> "StyleStatistics":
        """Compute the statistics of a style.

        Args:
            style: at the size at which it is compared, (height, width, 3).
            most: the most bands in which the pictures that are compared with it have patches.
        """
        halves = _halves(style)
        count = min(most, *(possible_bands(half.shape) for pair in halves for half in pair))
        if not count:
            return cls((), (), 0.0)
        of_style = bands(style, count)
        units = tuple(spreads(of_style))

        def of(pixels: NDArray[np.float32]) -> Distributions:
            return distributions(bands(pixels, count), units)

        own = float(np.mean([distance(of(one), of(other)) for one, other in halves]))
        return cls(units, distributions(of_style, units), own)

    def distance_of(self, pixels: NDArray[np.float32]) -> float:
        """Return the distance of a picture, (height, width, 3), from the style.

        There must be at least one band.
        """
        return distance(distributions(bands(pixels, self.count), self.units), self.patches)

    def to_bytes(self) -> bytes:
        """Return a safetensors file of float32, with a digest of its arrays."""
        arrays = {
            "quantiles": np.reshape(self.patches, (self.count, DIRECTIONS, QUANTILES)),
            "units": np.reshape(self.units, (self.count, 3)),
            "own": np.asarray([self.own]),
        }
        arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
        return safetensors.numpy.save({**arrays, "sha256": _digest(arrays)})

    @classmethod
    def from_bytes(cls, data: bytes) -> "StyleStatistics":
        """Read what `to_bytes` wrote. Scores with it differ in the seventh digit, if at all.

        Raises:
            ValueError: the data are damaged, or something else.
        """
        try:
            arrays = safetensors.numpy.load(data)
            sha256 = arrays.pop("sha256")
            quantiles, units, own = (arrays[name] for name in ("quantiles", "units", "own"))
        except Exception as error:  # the library raises exceptions of its own, and others
            raise ValueError(f"found no statistics of a style: {error}") from error
        if not np.array_equal(sha256, _digest(arrays)):
            raise ValueError("found other arrays than those that were written")
        patches = tuple(quantiles.astype(np.float64))
        return cls(tuple(units.astype(np.float64)), patches, float(own[0]))


def statistics_key(sha256: str, shape: tuple[int, int], most: int) -> str:
    """Return the key of a style's statistics: a SHA-256 of all that they depend on.

    Args:
        sha256: digest of the style's picture.
        shape: height and width at which it is compared, in pixels.
        most: as in `StyleStatistics.of`.
    """
    return hashlib.sha256(f"scores {VERSION} {sha256} {shape} {most}".encode()).hexdigest()


def _digest(arrays: Mapping[str, NDArray[np.float32]]) -> NDArray[np.uint8]:
    """Return a SHA-256 of arrays with their names and shapes, as an array of bytes."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].shape} ".encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return np.frombuffer(digest.digest(), np.uint8)


def _halves(
    style: NDArray[np.float32],
) -> tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]:
    """Return the left and right half of a picture, and its upper and lower one."""
    height, width = style.shape[0] // 2, style.shape[1] // 2
    return (style[:, :width], style[:, width:]), (style[:height], style[height:])
