"""Reading of common picture files as they are meant to look.

Nothing here changes Pillow's process-wide settings, so every function may run in several threads.
"""

import hashlib
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nst_core.images.color_profiles import to_srgb
from nst_core.images.decoding import plain, sides
from nst_core.images.levels import from_levels
from nst_core.images.metadata.photograph import Metadata, read_metadata
from nst_core.images.picture_files import DEFAULT_MAX_PIXELS, opened
from nst_core.images.resize import fit, resize
from nst_core.storage.places import Place

_logger = logging.getLogger(__name__)

_Path = str | os.PathLike[str] | Place


@dataclass(frozen=True)
class Picture:
    """Pixels ready for the network.

    Attributes:
        rgb: float32 (height, width, 3), sRGB in [0, 1], composited on white where transparent.
        alpha: float32 (height, width), 0 is transparent and 1 opaque; None if all is opaque.
        sha256: digest of the file's content at its own size, as in `PictureFacts`.
        warnings: what is odd about the file: clauses such as "its ICC profile is ignored".
        metadata: what the file says besides its pixels.
    """

    rgb: NDArray[np.float32]
    alpha: NDArray[np.float32] | None
    sha256: str
    warnings: tuple[str, ...] = ()
    metadata: Metadata = field(default_factory=Metadata)


@dataclass(frozen=True)
class PictureFacts:
    """What is known about a picture once it has been decoded.

    Attributes:
        width, height: in pixels, upright (after EXIF orientation).
        format: Pillow's name, such as "JPEG".
        sha256: digest of upright pixels and ICC profile, as 64 hexadecimal digits. It does not
            change with names, compression or other metadata.
        warnings: as in `Picture`.
        hidden: share of the pixels that are fully transparent, from 0 to 1.
        opacity: the mean of alpha, from 0 to 1.
        is_flat: whether it has just one color, within 2 of 255 levels.
    """

    width: int
    height: int
    format: str
    sha256: str
    warnings: tuple[str, ...] = ()
    hidden: float = 0.0
    opacity: float = 1.0
    is_flat: bool = False


def read_header(path: _Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> tuple[int, int, str]:
    """Return width, height (upright, in pixels) and format, without decoding any pixel.

    Raises:
        PictureError: the file is not a readable picture, or has more than `max_pixels`.
    """
    with opened(path, max_pixels) as picture:
        return *sides(picture.image), str(picture.image.format)


def examine(
    path: _Path, *, max_pixels: int = DEFAULT_MAX_PIXELS, warn: bool = True
) -> PictureFacts:
    """Decode the entire picture, which finds damage that its header does not show.

    Args:
        path: path of a file in one of `FORMATS`.
        max_pixels: larger pictures are refused before they are decoded.
        warn: log a warning if a readable picture is odd in some way.

    Raises:
        PictureError: the picture has a problem that would keep `load` from reading it.
    """
    with opened(path, max_pixels) as picture:
        whole = plain(picture.image, picture.shown)
        if whole.mode != "F":
            # This reports a broken profile now, not in the middle of the run.
            to_srgb(whole.crop((0, 0, 1, 1)))
        facts = PictureFacts(
            whole.width,
            whole.height,
            str(picture.image.format),
            _digest(whole),
            warnings=tuple(picture.notes),
            hidden=_hidden(whole),
            opacity=_opacity(whole),
            is_flat=_is_flat(whole),
        )
    _warn(picture.shown, facts.warnings if warn else ())
    return facts


def load(
    path: _Path,
    *,
    size: int | None = None,
    enlarge: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    warn: bool = True,
) -> Picture:
    """Load a picture as it is meant to look: upright, in sRGB, its first frame if it has several.

    Args:
        path: path of a file in one of `FORMATS`.
        size: longest side of the result in pixels; None keeps the picture's own.
        enlarge: whether a picture with a smaller longest side is enlarged to `size`.
        max_pixels: larger pictures are refused before they are decoded.
        warn: as in `examine`.

    Raises:
        PictureError: the file is missing, damaged, too large or not a picture.
    """
    with opened(path, max_pixels) as picture:
        metadata = read_metadata(picture.image)
        whole = plain(picture.image, picture.shown)
        rgb, alpha = pixels_of(whole, size, enlarge=enlarge)
        found = Picture(rgb, alpha, _digest(whole), tuple(picture.notes), metadata)
    _warn(picture.shown, found.warnings if warn else ())
    return found


def _hidden(whole: Image.Image) -> float:
    if "A" not in whole.mode:
        return 0.0
    return whole.getchannel("A").histogram()[0] / (whole.width * whole.height)


def _opacity(whole: Image.Image) -> float:
    if "A" not in whole.mode:
        return 1.0
    counts = np.array(whole.getchannel("A").histogram())
    return float(counts @ np.arange(256)) / (255 * whole.width * whole.height)


def _is_flat(whole: Image.Image) -> bool:
    one_level = 1 / 255 if whole.mode == "F" else 1
    lowest, highest = np.reshape(whole.getextrema(), (-1, 2)).T
    is_hidden = "A" in whole.mode and highest[-1] == 0
    return bool(is_hidden or (highest - lowest <= 2 * one_level).all())


def _warn(shown: str, warnings: Sequence[str]) -> None:
    if warnings:
        _logger.warning("%s: the picture was read, but %s.", shown, "; ".join(warnings))


def _digest(image: Image.Image) -> str:
    profile = image.info.get("icc_profile") or b""
    shape = f"{image.mode} {image.width} {image.height} {len(profile)} "
    digest = hashlib.sha256(shape.encode() + profile)
    for top in range(0, image.height, 256):  # in strips, to save memory
        bottom = min(top + 256, image.height)
        digest.update(image.crop((0, top, image.width, bottom)).tobytes())
    return digest.hexdigest()


def pixels_of(
    whole: Image.Image, size: int | None = None, *, enlarge: bool = False
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Return the `rgb` and `alpha` that a `Picture` of this decoded picture has.

    Args:
        whole: the result of `nst_core.images.decoding.plain`.
        size, enlarge: as in `load`.
    """
    height, width = whole.height, whole.width
    if size is not None:
        height, width = fit(height, width, size, enlarge=enlarge)
    alpha = from_levels(np.asarray(whole.getchannel("A"))) if "A" in whole.mode else None
    # Composite before resizing, since averages of straight color would mix in hidden pixels.
    bands = [resize(on_white(band, alpha), height, width) for band in _srgb_bands(whole)]
    rgb = np.stack(bands if len(bands) == 3 else bands * 3, axis=-1)
    return rgb, None if alpha is None else resize(alpha, height, width)


def _srgb_bands(image: Image.Image) -> Iterator[NDArray[np.float32]]:
    """Yield red, green and blue, or one band for all, as float32 (height, width) in [0, 1]."""
    if image.mode == "F":
        yield np.asarray(image)
        return
    srgb = to_srgb(image)
    for band in srgb.getbands():
        yield from_levels(np.asarray(srgb.getchannel(band)))


def on_white(band: NDArray[np.float32], alpha: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """Composite a band of straight color in [0, 1] on white, with its alpha in [0, 1], if any."""
    return band if alpha is None else 1 + alpha * (band - 1)
