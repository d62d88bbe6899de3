"""Whether masks fit their pictures, each other and the settings.

This module loads no TensorFlow.
"""

from collections.abc import Collection, Sequence

from nst_core.images.pixels import PictureLike, as_pixels, pixels_and_alpha
from nst_core.transfer.masks.mask_colors import Color, nearest
from nst_core.transfer.masks.masks import MaskError, Regions, given_mask, shown
from nst_core.transfer.settings import Settings
from nst_core.transfer.style_losses.costs import COSTS

CLOSE_ASPECT = 1.5
"""How many of its own pixels a mask may be too long for its picture, because sizes are rounded."""

NO_MASK = "or no mask of the style (a content_mask goes with any styles)"
ONE_PICTURE = (
    "the mask of a style belongs to one picture, and the row has several of them as its style; "
    f"expected one, {NO_MASK}"
)
"""Why several styles, or several pictures of one style, have no mask."""


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


def wrong_colors(content: Sequence[Color] | None, style: Collection[Color]) -> dict[str, str]:
    """Return why the colors of two masks do not match, by the mask; empty if they do.

    Args:
        content: the colors of the content's regions; None if it has no mask.
        style: those of the style's regions; empty if all regions take the whole style.
    """
    has = ", ".join(map(shown, style))
    if style and content is None:
        return {
            "style_mask": f"found the regions {has}, and no content_mask; expected a content_mask "
            "with these colors, or a gray style_mask"
        }
    lacking = [color for color in content or () if style and nearest(color, style) is None]
    if lacking:
        return {
            "content_mask": f"found a region {shown(lacking[0])}, which style_mask lacks; expected "
            f"only black and colors that it has: {has}"
        }
    return {}


def check_colors(content: Sequence[Color] | None, style: Collection[Color]) -> None:
    """Check that the style has a region for each of the content's; see `wrong_colors`.

    Raises:
        MaskError: it does not.
    """
    for name, why in wrong_colors(content, style).items():
        raise MaskError(f"{name}: {why}")


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


def why_unmasked(settings: Settings, *, is_picture: bool) -> str:
    """Return why no mask of the style can be used; empty if one can.

    Args:
        settings: how to stylize.
        is_picture: whether the style is a single picture.
    """
    if not is_picture:
        return ONE_PICTURE
    if settings.style_rotations != 1:
        return (
            "the mask of a style is not turned, and style_rotations is "
            f"{settings.style_rotations}; expected 1, {NO_MASK}"
        )
    return ""


def style_regions(
    mask: PictureLike | None, pictures: Sequence[PictureLike], settings: Settings, *, to_blend: bool
) -> Regions | None:
    """Return the regions of a style's mask; None if all of the style counts.

    Args:
        mask: in any form that `Regions.of` takes; without one, it is the style's transparency if
            the settings say so.
        pictures: those of the style.
        settings: how to stylize.
        to_blend: whether the style is blended with others.

    Raises:
        MaskError: the mask does not fit the style or the settings.
    """
    if why := why_unmasked(settings, is_picture=len(pictures) == 1 and not to_blend):
        is_clear = settings.alpha_mask and any(
            pixels_and_alpha(picture, "style")[1] is not None for picture in pictures
        )
        if mask is not None or is_clear:
            raise MaskError(f"style_mask: {why}")
        return None
    style = pictures[0]
    given = given_mask(mask, style, settings)
    if given is None:
        return None
    regions = Regions.of(given, "style_mask")
    check_aspect(regions.weights.shape[:2], as_pixels(style, "style").shape[:2], "style_mask")
    if regions.is_whole:
        return None
    check_settings(settings)
    return regions


def check_settings(settings: Settings) -> None:
    """Check settings that are to be used with a mask.

    Raises:
        MaskError: one of them knows no masks.
    """
    for name, why in incompatible_settings(settings).items():
        raise MaskError(f"{name}: with a mask, {why}")
