"""Masks: the regions of a picture in which styles apply, as weights of its pixels.

A gray mask has one region: white counts in full, black not at all, and gray in proportion. In a
color-coded mask, each color is a region (`mask_colors`), and black is none.

This module loads no TensorFlow.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nst_core.errors import UserError
from nst_core.images.pixels import PictureLike, pixels_and_alpha
from nst_core.images.resize import fit, resize
from nst_core.transfer.settings import Settings
from nst_core.transfer.style_losses.costs import COSTS

Weights = NDArray[np.float32]
"""Weights in [0, 1], (height, width, regions), whose sums over regions are at most 1."""

Color = tuple[int, int, int]
"""Red, green and blue, from 0 to 255."""

WHITE: Color = (255, 255, 255)
"""The color of the region of a gray mask."""

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

CLOSE_ASPECT = 1.5
"""How many of its own pixels a mask may be too long for its picture, because sizes are rounded."""


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
            MaskError: it has no region, or one that is too small.
            ValueError: it is not a picture, or its values are out of range.
        """
        pixels = _on_black(mask, name)
        chroma = pixels.max(axis=-1) - pixels.min(axis=-1)
        if chroma.max() > LARGEST_CHROMA:
            raise MaskError(f"{name}: found colors; expected a gray mask")
        level = (pixels.mean(axis=-1) - NEARLY) / (1 - 2 * NEARLY)
        regions = cls((WHITE,), np.clip(level, 0, 1)[..., np.newaxis].astype(np.float32))
        return regions.checked(name)

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
            MaskError: there is none, or one is too small.
        """
        if not self.colors or max(self.shares) == 0:
            raise MaskError(f"{name}: it is black; expected white or a color where a style applies")
        for color, share in zip(self.colors, self.shares, strict=True):
            if share < SMALLEST_SHARE:
                raise MaskError(
                    f"{name}: found a region {shown(color)} that covers {share:.2%} of it; "
                    f"expected at least {SMALLEST_SHARE:.1%}"
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
    """Return a color for people, such as `#ff0000`."""
    return "#" + "".join(f"{level:02x}" for level in color)


def given_mask(
    mask: PictureLike | None, picture: PictureLike, settings: Settings
) -> PictureLike | None:
    """Return the mask of a picture: the one that is given, or its transparency where asked for."""
    if mask is not None or not settings.alpha_mask:
        return mask
    return pixels_and_alpha(picture)[1]


def fits(mask: tuple[int, int], picture: tuple[int, int]) -> bool:
    """Return whether a mask has the aspect of a picture; both are (height, width) in pixels."""
    (height, width), (tall, wide) = sorted((mask, picture))
    too_wide, too_tall = abs(width - height * wide / tall), abs(height - width * tall / wide)
    return min(too_wide, too_tall) <= CLOSE_ASPECT


def check_aspect(mask: tuple[int, int], picture: tuple[int, int], name: str) -> None:
    """Check the aspect of a mask.

    Args:
        mask, picture: height and width, in pixels.
        name: of the mask in messages.

    Raises:
        MaskError: the mask has another aspect than the picture.
    """
    if not fits(mask, picture):
        (height, width), (tall, wide) = mask, picture
        raise MaskError(
            f"{name}: found a mask of {width} x {height} pixels, expected the aspect of its "
            f"picture, which has {wide} x {tall}"
        )


def incompatible_settings(settings: Settings) -> dict[str, str]:
    """Return the settings that cannot be used with a mask, with what is expected instead."""
    wrong = {}
    unguided = [name for name in settings.style_loss_weights if not COSTS[name].has_weights]
    if unguided:
        known = ", ".join(name for name, cost in COSTS.items() if cost.has_weights)
        wrong["style_measure"] = f"{unguided[0]} knows no masks; expected any of {known}"
    if settings.match_colors and settings.color_match == "histogram":
        wrong["color_match"] = "histogram knows no masks; expected symmetric, pca or cholesky"
    return wrong


def style_regions(mask: PictureLike, style: NDArray[np.float32], settings: Settings) -> Regions:
    """Return the regions of a style's mask.

    Args:
        mask: in any form that `Regions.of` takes.
        style: the style picture, (height, width, 3).
        settings: how to stylize.

    Raises:
        MaskError: the mask does not fit the style or the settings.
    """
    regions = Regions.of(mask, "style_mask")
    check_aspect(regions.weights.shape[:2], style.shape[:2], "style_mask")
    if not regions.is_whole:
        check_settings(settings)
    return regions


def check_settings(settings: Settings) -> None:
    """Check settings that are to be used with a mask.

    Raises:
        MaskError: one of them knows no masks.
    """
    for name, why in incompatible_settings(settings).items():
        raise MaskError(f"{name}: with a mask, {why}")


def _on_black(mask: PictureLike, name: str) -> NDArray[np.float32]:
    """Return the pixels of a mask, on black where it is transparent, at most `MASK_SIDE` long."""
    pixels, alpha = pixels_and_alpha(mask, name)
    if alpha is not None:
        pixels = np.clip(pixels - (1 - alpha)[..., np.newaxis], 0, 1)
    return resize(pixels, *fit(pixels.shape[0], pixels.shape[1], MASK_SIDE))
