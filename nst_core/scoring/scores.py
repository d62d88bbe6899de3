"""The scores of one result; see docs/scores.md."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nst_core.images.pixels import PictureLike, as_pixels
from nst_core.images.resize import fit, resize
from nst_core.scoring.patches import bands, distance, possible_bands, spreads
from nst_core.scoring.structure import edges_kept, self_similarity_kept

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
    made = as_pixels(result, "result")
    side = max(made.shape[:2])
    scale = min(1.0, SIDE / side)
    judged = _scaled(made, made.shape[:2], scale)
    original = _scaled(as_pixels(content, "content"), made.shape[:2], scale)
    painted = as_pixels(style, "style")
    as_used = fit(painted.shape[0], painted.shape[1], max(1, round(side * style_scale)))
    return Scores(
        style=style_score(judged, original, _scaled(painted, as_used, scale)),
        content=(self_similarity_kept(judged, original) + edges_kept(judged, original)) / 2,
    )


def style_score(
    result: NDArray[np.float32], content: NDArray[np.float32], style: NDArray[np.float32]
) -> float | None:
    """Return how far the result's patches are on the way from the content's to the style's.

    Args:
        result, content, style: at the sizes at which they are compared, (height, width, 3).

    Returns:
        As `Scores.style`; also None if a picture, or half of the style, has no room for a patch.
    """
    halves = _halves(style)
    compared = (result, content, *(half for pair in halves for half in pair))
    count = min(possible_bands(each.shape) for each in compared)
    if not count:
        return None
    of_style = bands(style, count)
    units = spreads(of_style)

    def from_style(pixels: NDArray[np.float32]) -> float:
        return distance(bands(pixels, count), of_style, units)

    own = np.mean([distance(bands(one, count), bands(two, count), units) for one, two in halves])
    whole_way = from_style(content) - own
    if whole_way < SMALLEST_STYLE_DIFFERENCE:
        return None
    return float((own + whole_way - from_style(result)) / whole_way)


def _halves(
    style: NDArray[np.float32],
) -> tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]:
    """Return the left and right half of a picture, and its upper and lower one."""
    height, width = style.shape[0] // 2, style.shape[1] // 2
    return (style[:, :width], style[:, width:]), (style[:height], style[height:])


def _scaled(
    pixels: NDArray[np.float32], shape: tuple[int, ...], scale: float
) -> NDArray[np.float32]:
    """Return a picture at a share of a height and width."""
    height, width = (max(1, round(side * scale)) for side in shape)
    return pixels if pixels.shape[:2] == (height, width) else resize(pixels, height, width)
