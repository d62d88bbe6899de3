"""What is done to the content before it is optimized, and to the result afterwards.

This module loads no TensorFlow.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nst_core.images.pixels import Pixels
from nst_core.images.resize import fit, resize
from nst_core.transfer.colors.chroma import with_chroma_of
from nst_core.transfer.colors.colors import (
    ColorStatistics,
    blended_distribution,
    match_colors,
    match_histograms,
)
from nst_core.transfer.losses.terms import term_weights, weight_name, weights_at_strength
from nst_core.transfer.octaves import style_sides
from nst_core.transfer.settings import Settings
from nst_core.transfer.styles.style_shares import color_shares


def needs_style(settings: Settings) -> bool:
    """Return whether a stylization needs the style's pixels, and not only its targets."""
    return settings.start == "style" or _matches_histograms(settings)


def at_strength(settings: Settings) -> Settings:
    """Return the settings with which a row is optimized: the weights against the content, scaled.

    At full strength, these are the settings themselves.
    """
    if settings.strength == 1:
        return settings
    scaled = weights_at_strength(term_weights(settings), settings.strength)
    weights = {weight_name(term): weight for term, weight in scaled.items()}
    return settings.model_copy(update=weights)


def prepared_content(
    content: Pixels,
    styles: Sequence[Sequence[Pixels]],
    colors: ColorStatistics,
    settings: Settings,
) -> Pixels:
    """Return the content with the colors that it is optimized with.

    Args:
        content: sRGB in [0, 1], of any size.
        styles: the pictures of each style, likewise; they are needed to match histograms.
        colors: statistics of the style's colors.
        settings: how to stylize.

    Raises:
        ValueError: histograms are to be matched, and there is no style.
    """
    if not settings.match_colors:
        return content
    return _blend(content, _matched(content, styles, colors, settings), settings.strength)


def _matched(
    content: Pixels,
    styles: Sequence[Sequence[Pixels]],
    colors: ColorStatistics,
    settings: Settings,
) -> Pixels:
    """Return the content with all of the style's colors."""
    if not _matches_histograms(settings):
        return match_colors(content, colors, method=settings.color_match)
    if not styles:
        raise ValueError("color_match is 'histogram', but no style picture was passed")
    side = min(settings.size, max(style_sides(settings)))
    sized = [
        [resize(each, *fit(each.shape[0], each.shape[1], side)) for each in style]
        for style in styles
    ]
    if len(sized) == len(sized[0]) == 1:
        return match_histograms(content, sized[0][0])
    shares = color_shares(settings, len(sized))
    return match_histograms(content, blended_distribution(sized, shares))


def finished_picture(
    pixels: Pixels, content: Pixels, settings: Settings, coverage: NDArray[np.float32] | None = None
) -> Pixels:
    """Return the result, from the best picture of the optimization.

    Below full strength, it is blended with the content: at strength s, its share is s (2 - s), so
    that at 0 only the content is left. With a mask, the rest is the content as it was.

    Args:
        pixels: that picture, float32 (height, width, 3); values outside [0, 1] are clipped if
            anything is done to it.
        content: the content as it was passed, sRGB in [0, 1], of any size.
        settings: how to stylize.
        coverage: how much of each pixel is stylized, float32 (height, width, 1); None without mask.
    """
    if coverage is None and settings.color != "content" and settings.strength == 1:
        return pixels
    original = resize(content, *pixels.shape[:2])
    share = settings.strength * (2 - settings.strength)
    blended = _blend(original, np.clip(pixels, 0, 1), share)
    finished = with_chroma_of(blended, original) if settings.color == "content" else blended
    return finished if coverage is None else within(original, finished, coverage)


def within(outside: Pixels, inside: Pixels, coverage: NDArray[np.float32]) -> Pixels:
    """Return a picture that is another one where it is stylized.

    Args:
        outside, inside: sRGB in [0, 1], float32 (height, width, 3).
        coverage: how much of each pixel is stylized, float32 (height, width, 1) in [0, 1].
    """
    return outside + coverage * (inside - outside)


def unfinished_picture(pixels: Pixels, content: Pixels, settings: Settings) -> Pixels:
    """Return the picture of which `finished_picture` would make these pixels, as far as possible.

    Below full strength, this is what the blend with the content was made of, clipped to [0, 1]. The
    colors that `color = content` has replaced are not known anymore.

    Args:
        pixels: a result, sRGB in [0, 1], float32 (height, width, 3).
        content: the content of the same shape.
        settings: how to stylize.
    """
    share = settings.strength * (2 - settings.strength)
    if share in (0, 1):
        return pixels
    return np.clip(content + (pixels - content) / np.float32(share), 0, 1)


def _blend(start: Pixels, end: Pixels, share: float) -> Pixels:
    """Return a picture between two others, which is exactly one of them at a share of 0 or 1."""
    if share in (0, 1):
        return end if share else start
    return start + np.float32(share) * (end - start)


def _matches_histograms(settings: Settings) -> bool:
    return settings.match_colors and settings.color_match == "histogram"
