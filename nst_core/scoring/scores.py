"""The scores of one result; see docs/scores.md."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nst_core.images.levels import from_levels
from nst_core.images.pixels import PictureLike, as_pixels
from nst_core.images.resize import fit, resize
from nst_core.scoring.patches import possible_bands
from nst_core.scoring.structure import edges_kept, self_similarity_kept
from nst_core.scoring.style import StyleStatistics

SIDE = 256
"""The longest side of the version of a result that is judged, in pixels: scores of results of all
sizes are comparable, and quickly computed."""

SMALLEST_STYLE_DIFFERENCE = 0.02
"""The least by which the content must be further from the style than its halves are from each
other; below it, there is no style to be taken on."""


@dataclass(frozen=True)
class Scores:
    """What was judged of a result.

    Attributes:
        style: 1 if the result is as similar to the style as the style's own halves are to each
            other, 0 if it is no more similar to it than the content, below 0 if it is less; None if
            the content is as similar to the style as its halves.
        content: from 1, if parts and edges of the content are all kept, down to about 0, if nothing
            of them is left.
    """

    style: float | None
    content: float


def score(
    result: PictureLike, content: PictureLike, style: PictureLike, *, style_scale: float = 1.0
) -> Scores:
    """Judge a result by what is in no loss: its patches, its parts, and its edges.

    No network is used, and nothing is random, so the scores of two results are comparable whatever
    losses, encoders and sizes they were made with, and the same on every machine.

    Args:
        result: a finished picture.
        content, style: what it was made from, in any form that `images.pixels.as_pixels` takes.
        style_scale: the setting: how large the style was in relation to the result.

    Raises:
        ValueError: one of them is not a picture.
    """
    made, painted = as_pixels(result, "result"), as_pixels(style, "style")
    shape = compared_shape(made.shape)
    judged = at_shape(made, shape)
    original = at_shape(as_pixels(content, "content"), shape)
    as_used = compared_style_shape(painted.shape, max(made.shape[:2]), style_scale)
    statistics = StyleStatistics.of(at_shape(painted, as_used), possible_bands(shape))
    return Scores(
        style=style_score(judged, original, statistics),
        content=content_score(judged, original),
    )


def compared_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return height and width at which a result of a height and width is compared, in pixels."""
    return _scaled(shape, max(shape[:2]))


def compared_style_shape(
    shape: tuple[int, ...], side: int, style_scale: float = 1.0
) -> tuple[int, int]:
    """Return height and width at which a style is compared with a result, in pixels.

    Args:
        shape: height and width of the style's picture.
        side: the longest side of the result, as it was optimized.
        style_scale: the setting.
    """
    as_used = fit(shape[0], shape[1], max(1, round(side * style_scale)))
    return _scaled(as_used, side)


def _scaled(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    """Return a height and width, reduced as a result with this longest side is."""
    height, width = (max(1, round(each * min(1.0, SIDE / side))) for each in shape[:2])
    return height, width


def at_shape(
    pixels: NDArray[np.float32] | NDArray[np.uint8], shape: tuple[int, int]
) -> NDArray[np.float32]:
    """Return a picture at a height and width, one channel at a time, to save memory.

    Args:
        pixels: (height, width, 3); uint8, or float32 in [0, 1].
        shape: height and width of the result, in pixels.
    """
    planes = (
        from_levels(plane) if plane.dtype == np.uint8 else plane
        for plane in np.moveaxis(pixels, -1, 0)
    )
    return np.stack(
        [plane if plane.shape == shape else resize(plane, *shape) for plane in planes], axis=-1
    )


def style_score(
    result: NDArray[np.float32], content: NDArray[np.float32], style: StyleStatistics
) -> float | None:
    """Return how far the result's patches are on the way from the content's to the style's.

    Args:
        result, content: at the size at which they are compared, (height, width, 3).
        style: the statistics of the style, with no more bands than these pictures have.

    Returns:
        As `Scores.style`; also None if a picture, or half of the style, has no room for a patch.
    """
    if not style.count:
        return None
    whole_way = style.distance_of(content) - style.own
    if whole_way < SMALLEST_STYLE_DIFFERENCE:
        return None
    return float((style.own + whole_way - style.distance_of(result)) / whole_way)


def content_score(result: NDArray[np.float32], content: NDArray[np.float32]) -> float:
    """Return how much of the content a result has kept, as `Scores.content`.

    Args:
        result, content: at the size at which they are compared, (height, width, 3).
    """
    return (self_similarity_kept(result, content) + edges_kept(result, content)) / 2
