"""Saving of pictures, in the format that the suffix of the file name selects."""

import os
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nst_core.errors import UserError
from nst_core.images.file_choices import DEPTHS, QUALITY
from nst_core.images.levels import to_levels
from nst_core.images.metadata.photograph import Metadata
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

    @property
    def finest(self) -> Pixels:
        """The pixels with all the precision that is known: what files of 16 bits are made from."""
        return self.pixels

    def save(
        self,
        path: str | os.PathLike[str] | Place,
        *,
        alpha: NDArray[np.float32] | None = None,
        depth: int = 8,
        quality: int = QUALITY,
        metadata: Metadata | None = None,
    ) -> None:
        """Save the pixels in the format of the suffix; readers see the old file or the new one.

        Args:
            path: a path, or a URL such as `s3://bucket/result.png`, that ends in a
                suffix of `write.WRITTEN_FORMATS` (such as `.png`, `.jpg` or `.tif`), in upper or
                lower case. Missing folders are created.
            alpha: (height, width) in [0, 1] for the transparency of the file, such as the
                content's `alpha` if it was loaded at this size; None if every pixel is opaque.
            depth: bits of each color; 16 is possible for PNG and TIFF files.
            quality: of a JPEG or WebP file, from 1 to 100.
            metadata: what the file says besides its pixels, such as
                `content.metadata.reduced("private")`.

        Raises:
            SaveError: the suffix is not one of these, the alpha has another shape than the picture,
                or the format cannot have an alpha or this depth.
            PlaceError: the path or URL cannot be used.
            OSError: the file cannot be written; an old file is unchanged.
        """
        target = place(path)
        pixels = self.finest if depth > DEPTHS[0] else self.pixels
        contents = Contents(
            pixels, alpha, depth=depth, quality=quality, metadata=metadata or Metadata()
        )
        write_atomic(target, _encoded(target, contents))


def _encoded(target: Place, contents: Contents) -> bytes:
    formats = formats_by_suffix()
    *others, last = formats
    suffix = PurePosixPath(name_of(target)).suffix.lower()
    if suffix not in formats:
        raise SaveError(
            f"{redacted(target)}: found {f'the suffix {suffix!r}' if suffix else 'no suffix'}, "
            f"expected a name that ends in {', '.join(others)} or {last}"
        )
    written, alpha, shape = formats[suffix], contents.alpha, contents.rgb.shape[:2]
    if alpha is not None and not written.has_alpha:
        raise SaveError(
            f"{redacted(target)}: found an alpha for a {suffix} file, which cannot be transparent; "
            "save a .png, or leave alpha out"
        )
    if alpha is not None and alpha.shape != shape:
        raise SaveError(
            f"{redacted(target)}: found an alpha of shape {alpha.shape}, expected "
            f"{shape}, the picture's height and width; load the content at the size in the settings"
        )
    if contents.depth not in written.depths:
        possible = " or ".join(map(str, written.depths))
        raise SaveError(
            f"{redacted(target)}: found a depth of {contents.depth} bits, expected {possible} "
            f"for a {suffix} file"
        )
    return written.encode(contents)
