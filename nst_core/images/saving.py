"""Saving of pictures, in the format that the suffix of the file name selects."""

import os
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nst_core.errors import UserError
from nst_core.images.levels import to_levels
from nst_core.images.write import Contents, Pixels, formats_by_suffix
from nst_core.storage.files import write_atomic
from nst_core.storage.places import Place, name_of, place, redacted


class SaveError(UserError, ValueError):
    """A picture cannot be saved in this way; the message says what to do."""


class WithPicture:
    """What all objects with pixels have in common: `image` and `save`.

    Attributes:
        pixels: sRGB, (height, width, 3): uint8, or floating point in [0, 1].
    """

    pixels: Pixels

    @property
    def image(self) -> Image.Image:
        """A new Pillow image of the pixels, in the mode RGB."""
        return Image.fromarray(
            np.asarray(self.pixels, np.uint8)
            if self.pixels.dtype == np.uint8
            else to_levels(self.pixels)
        )

    def save(
        self, path: str | os.PathLike[str] | Place, *, alpha: NDArray[np.float32] | None = None
    ) -> None:
        """Save the pixels in the format of the suffix; readers see the old file or the new one.

        Args:
            path: a path, or a URL such as `s3://bucket/result.png`, that ends in a
                suffix of `write.WRITTEN_FORMATS` (such as `.png`, `.jpg` or `.jpeg`), in upper or
                lower case. Missing folders are created. JPEG and WebP files have the quality 90;
                for another quality, save `image` with Pillow.
            alpha: (height, width) in [0, 1] for the transparency of the file, such as the
                content's `alpha` if it was loaded at this size; None if every pixel is opaque.

        Raises:
            SaveError: the suffix is not one of these, the alpha has another shape than the picture,
                or an alpha is passed for a file that cannot be transparent, such as a JPEG.
            PlaceError: the path or URL cannot be used.
            OSError: the file cannot be written; an old file is unchanged.
        """
        target = place(path)
        write_atomic(target, _encoded(target, self.pixels, alpha))


def _encoded(target: Place, pixels: Pixels, alpha: NDArray[np.float32] | None) -> bytes:
    formats = formats_by_suffix()
    *others, last = formats
    suffix = PurePosixPath(name_of(target)).suffix.lower()
    if suffix not in formats:
        raise SaveError(
            f"{redacted(target)}: found {f'the suffix {suffix!r}' if suffix else 'no suffix'}, "
            f"expected a name that ends in {', '.join(others)} or {last}"
        )
    if alpha is not None and not formats[suffix].has_alpha:
        raise SaveError(
            f"{redacted(target)}: found an alpha for a {suffix} file, which cannot be transparent; "
            "save a .png, or leave alpha out"
        )
    if alpha is not None and alpha.shape != pixels.shape[:2]:
        raise SaveError(
            f"{redacted(target)}: found an alpha of shape {alpha.shape}, expected "
            f"{pixels.shape[:2]}, the picture's height and width; load the content at the size "
            "in the settings"
        )
    return formats[suffix].encode(Contents(pixels, alpha))
