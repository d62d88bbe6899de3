"""Styles of more than one picture: one style that several pictures show, and several styles.

This module loads no TensorFlow.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from nst_core.images.pixels import PictureLike


@dataclass(frozen=True)
class Samples:
    """One style that several pictures show; each of them weighs the same, whatever its size is.

    Attributes:
        pictures: at least one, in any form that `as_pixels` takes. They are read several times, one
            after the other, so a sequence that loads each when it is asked for takes the memory of
            one picture.
    """

    pictures: Sequence[PictureLike]

    def __post_init__(self) -> None:
        """Refuse a style without pictures."""
        if not len(self.pictures):
            raise ValueError("style: found no pictures, expected at least one")


@dataclass(frozen=True)
class Blend:
    """Several styles, which `style_blend` weighs, and `style_mix` puts together.

    Attributes:
        styles: at least one; each is a picture, or `Samples`.
    """

    styles: Sequence[PictureLike | Samples]

    def __post_init__(self) -> None:
        """Refuse a blend without styles."""
        if not len(self.styles):
            raise ValueError("style: found a blend of no styles, expected at least one")


def pictures_of(style: PictureLike | Samples) -> Sequence[PictureLike]:
    """Return the pictures of one style."""
    return style.pictures if isinstance(style, Samples) else [style]
