"""Masks: the regions of a picture in which styles apply, as weights of its pixels.

A gray mask has one region: white counts in full, black not at all, and gray in proportion. In a
color-coded mask, each color is a region (`mask_colors`), and black is none.

This module loads no TensorFlow.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nst_core.errors import UserError
from nst_core.images.pixels import PictureLike, pixels_and_alpha
from nst_core.images.resize import fit, resize
from nst_core.transfer.masks.mask_colors import (
    MOST_REGIONS,
    NOISE,
    Color,
    as_text,
    color_regions,
    nearest,
)
from nst_core.transfer.settings import Settings

Weights = NDArray[np.float32]
"""Weights in [0, 1], (height, width, regions), whose sums over regions are at most 1."""

WHITE: Color = (255, 255, 255)
"""The color of the region of a gray mask."""

NAMES: Mapping[Color, str] = {
    WHITE: "white",
    (255, 0, 0): "red",
    (0, 255, 0): "green",
    (0, 0, 255): "blue",
    (255, 255, 0): "yellow",
    (255, 0, 255): "magenta",
    (0, 255, 255): "cyan",
    (128, 128, 128): "gray",
}

MASK_SIDE = 2048
"""Larger masks are first reduced to this longest side, so that what is checked before a batch runs
is what the batch uses."""

SMALLEST_SHARE = 0.002
"""The smallest share of a picture that a region may cover. With the default settings, it is about
half a position of the deepest layer at the smallest octave; of less, statistics say nothing."""

NEARLY = 4 / 255
"""How far from 0 and 1 a level of a gray mask counts as black or white, because of JPEG."""

LARGEST_CHROMA = 48 / 255
"""The largest difference between the channels of a gray pixel, because of JPEG."""


class MaskError(UserError, ValueError):
    """A mask that cannot be used; the message says what was found and expected."""


@dataclass(frozen=True)
class Regions:
    """The regions of a mask.

    Attributes:
        colors: the color of each region.
        weights: how much each pixel belongs to each region.
    """

    colors: tuple[Color, ...]
    weights: Weights

    @classmethod
    def of(cls, mask: PictureLike, name: str = "mask") -> "Regions":
        """Find the regions of a mask.

        Args:
            mask: in any form that `images.pixels.as_pixels` takes; transparent pixels are black.
            name: the mask's name in messages.

        Raises:
            MaskError: it has no region, too many, or one that is too small.
            ValueError: it is not a picture, or its values are out of range.
        """
        pixels = _on_black(mask, name)
        chroma = pixels.max(axis=-1) - pixels.min(axis=-1)
        if (chroma > LARGEST_CHROMA).mean() >= NOISE:
            return cls(*color_regions(pixels)).checked(name)
        level = (pixels.mean(axis=-1) - NEARLY) / (1 - 2 * NEARLY)
        weights = np.clip(level, 0, 1)[..., np.newaxis].astype(np.float32)
        return cls((WHITE,), weights).checked(name)

    @property
    def shares(self) -> tuple[float, ...]:
        """The share of the picture that each region covers, from 0 to 1."""
        return tuple(map(float, self.weights.mean(axis=(0, 1), dtype=np.float64)))

    @property
    def is_whole(self) -> bool:
        """Whether there is one region, which is the whole picture."""
        return len(self.colors) == 1 and bool(self.weights.min() == 1)

    def checked(self, name: str) -> "Regions":
        """Return these regions.

        Raises:
            MaskError: there is none, there are too many, or one is too small.
        """
        if len(self.colors) > MOST_REGIONS:
            raise MaskError(
                f"{name}: found more than {MOST_REGIONS} colors; expected a gray mask, or at most "
                f"{MOST_REGIONS} colors that do not fade into each other (mask_feather softens "
                "borders)"
            )
        if not self.colors or max(self.shares) == 0:
            raise MaskError(
                f"{name}: found no region; expected white, or flat areas of color, where a style "
                "applies (black is none)"
            )
        for color, share in zip(self.colors, self.shares, strict=True):
            if share < SMALLEST_SHARE:
                raise MaskError(
                    f"{name}: found a region {shown(color)} that covers {share:.2%} of it; "
                    f"expected at least {SMALLEST_SHARE:.1%}: enlarge it, or paint it black"
                )
        return self

    def scaled(self, height: int, width: int) -> "Regions":
        """Return the regions at another size: area averages where it is smaller, else bicubic."""
        return Regions(self.colors, scaled(self.weights, height, width))

    def feathered(self, feather: float) -> "Regions":
        """Return the regions with soft borders.

        Args:
            feather: how far a border fades to each side, as a share of the longest side. It is two
                standard deviations of a Gaussian blur.
        """
        if not feather:
            return self
        from scipy.ndimage import gaussian_filter

        sigma = feather * max(self.weights.shape[:2]) / 2
        blurred = gaussian_filter(self.weights, (sigma, sigma, 0), mode="nearest")
        return Regions(self.colors, np.clip(blurred, 0, 1).astype(np.float32))


def coverage_of(weights: Weights) -> NDArray[np.float32]:
    """Return how much of each pixel belongs to any region, (height, width, 1) in [0, 1]."""
    coverage: NDArray[np.float32] = weights.sum(axis=-1, keepdims=True).clip(0, 1)
    return coverage


def scaled(weights: Weights, height: int, width: int) -> Weights:
    """Return weights at another size.

    Where it is smaller, each weight is the mean over the area that it stands for.

    Args:
        weights: as in `Regions`.
        height, width: in pixels, or in positions of a layer.
    """
    if weights.shape[:2] == (height, width):
        return weights
    if height > weights.shape[0] or width > weights.shape[1]:
        larger = resize(weights, height, width)
        normal: Weights = larger / np.maximum(larger.sum(axis=-1, keepdims=True), 1)
        return normal
    from skimage.transform import resize_local_mean

    # Single precision would be too little for the borders of the areas.
    precise, size = weights.astype(np.float64), (height, width)
    means = resize_local_mean(precise, size, channel_axis=-1)  # type: ignore[no-untyped-call]
    return np.asarray(means, np.float32)


def shown(color: Color) -> str:
    """Return a color for people, such as `#fe0000 (red)`."""
    near = nearest(color, NAMES)
    return as_text(color) + (f" ({NAMES[near]})" if near else "")


def given_mask(
    mask: PictureLike | None, picture: PictureLike, settings: Settings
) -> PictureLike | None:
    """Return the mask of a picture: the one that is given, or its transparency where asked for."""
    if mask is not None or not settings.alpha_mask:
        return mask
    return pixels_and_alpha(picture)[1]


def _on_black(mask: PictureLike, name: str) -> NDArray[np.float32]:
    """Return the pixels of a mask, on black where it is transparent, at most `MASK_SIDE` long."""
    pixels, alpha = pixels_and_alpha(mask, name)
    if alpha is not None:
        pixels = np.clip(pixels - (1 - alpha)[..., np.newaxis], 0, 1)
    return resize(pixels, *fit(pixels.shape[0], pixels.shape[1], MASK_SIDE))
