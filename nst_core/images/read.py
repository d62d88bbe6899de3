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

from nst_core.images.color_profiles import kept_profile, to_space, to_srgb
from nst_core.images.decoding import plain, sides
from nst_core.images.deep_levels import deep_levels, digest_of_levels
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
        deep_sha256: as in `PictureFacts`, if it was asked for.
        space: the ICC profile of `rgb`; empty if it is sRGB.
    """

    rgb: NDArray[np.float32]
    alpha: NDArray[np.float32] | None
    sha256: str
    warnings: tuple[str, ...] = ()
    metadata: Metadata = field(default_factory=Metadata)
    deep_sha256: str = ""
    space: bytes = b""


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
        profile_sha256: digest of its ICC profile, if its colors can be kept; empty if it is sRGB.
        deep_sha256: digest of its levels, if these are colors of 16 bits and it was asked for.
    """

    width: int
    height: int
    format: str
    sha256: str
    warnings: tuple[str, ...] = ()
    hidden: float = 0.0
    opacity: float = 1.0
    is_flat: bool = False
    profile_sha256: str = ""
    deep_sha256: str = ""


def read_header(path: _Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> tuple[int, int, str]:
    """Return width, height (upright, in pixels) and format, without decoding any pixel.

    Raises:
        PictureError: the file is not a readable picture, or has more than `max_pixels`.
    """
    with opened(path, max_pixels) as picture:
        return *sides(picture.image), str(picture.image.format)


def examine(
    path: _Path,
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    warn: bool = True,
    deep: bool = False,
) -> PictureFacts:
    """Decode the entire picture, which finds damage that its header does not show.

    Args:
        path: path of a file in one of `FORMATS`.
        max_pixels: larger pictures are refused before they are decoded.
        warn: log a warning if a readable picture is odd in some way.
        deep: look at all 16 bits of colors, too.

    Raises:
        PictureError: the picture has a problem that would keep `load` from reading it.
    """
    with opened(path, max_pixels) as picture:
        profile = kept_profile(picture.image.info.get("icc_profile"), picture.image.mode)
        levels = deep_levels(picture.image) if deep else None
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
            profile_sha256=hashlib.sha256(profile).hexdigest() if profile else "",
            deep_sha256=digest_of_levels(levels),
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
    space: bytes = b"",
    deep: bool = False,
) -> Picture:
    """Load a picture as it is meant to look: upright, in sRGB, its first frame if it has several.

    Args:
        path: path of a file in one of `FORMATS`.
        size: longest side of the result in pixels; None keeps the picture's own.
        enlarge: whether a picture with a smaller longest side is enlarged to `size`.
        max_pixels: larger pictures are refused before they are decoded.
        warn: as in `examine`.
        space: the ICC profile of the pixels to return, as `read_profile` returns it; empty for
            sRGB.
        deep: read colors of 16 bits with full precision, unless they must be converted to `space`,
            which is done with 8 bits.

    Raises:
        PictureError: the file is missing, damaged, too large or not a picture.
    """
    with opened(path, max_pixels) as picture:
        metadata = read_metadata(picture.image)
        kept = kept_profile(picture.image.info.get("icc_profile"), picture.image.mode)
        levels = deep_levels(picture.image) if deep else None
        whole = plain(picture.image, picture.shown)
        if levels is None or kept != space:
            rgb, alpha = pixels_of(whole, size, enlarge=enlarge, space=space)
        else:
            rgb, alpha = _of_levels(levels, size, enlarge=enlarge)
        notes, deep_sha256 = tuple(picture.notes), digest_of_levels(levels)
        found = Picture(rgb, alpha, _digest(whole), notes, metadata, deep_sha256, space)
    _warn(picture.shown, found.warnings if warn else ())
    return found


def read_profile(path: _Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> bytes:
    """Return the ICC profile of a picture, if its colors can be kept; empty if it is sRGB.

    Raises:
        PictureError: as in `read_header`.
    """
    with opened(path, max_pixels) as picture:
        return kept_profile(picture.image.info.get("icc_profile"), picture.image.mode)


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
    whole: Image.Image, size: int | None = None, *, enlarge: bool = False, space: bytes = b""
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Return the `rgb` and `alpha` that a `Picture` of this decoded picture has.

    Args:
        whole: the result of `nst_core.images.decoding.plain`.
        size, enlarge, space: as in `load`.
    """
    alpha = from_levels(np.asarray(whole.getchannel("A"))) if "A" in whole.mode else None
    shape = (whole.height, whole.width)
    return _resized(_bands(whole, space), alpha, shape, size, enlarge=enlarge)


def _of_levels(
    levels: NDArray[np.uint16], size: int | None, *, enlarge: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Return the same of levels of 16 bits, (height, width, 3 or 4)."""
    bands = (np.divide(levels[..., band], 65535, dtype=np.float32) for band in range(3))
    alpha = None
    if levels.shape[-1] == 4 and levels[..., 3].min() < 65535:
        alpha = np.divide(levels[..., 3], 65535, dtype=np.float32)
    return _resized(bands, alpha, levels.shape[:2], size, enlarge=enlarge)


def _resized(
    bands: Iterator[NDArray[np.float32]],
    alpha: NDArray[np.float32] | None,
    shape: tuple[int, ...],
    size: int | None,
    *,
    enlarge: bool,
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    height, width = shape
    if size is not None:
        height, width = fit(height, width, size, enlarge=enlarge)
    # Composite before resizing, since averages of straight color would mix in hidden pixels.
    sized = [resize(on_white(band, alpha), height, width) for band in bands]
    rgb = np.stack(sized if len(sized) == 3 else sized * 3, axis=-1)
    return rgb, None if alpha is None else resize(alpha, height, width)


def _bands(image: Image.Image, space: bytes) -> Iterator[NDArray[np.float32]]:
    """Yield red, green and blue, or one band for all, as float32 (height, width) in [0, 1]."""
    if image.mode == "F":
        yield np.asarray(image)
        return
    converted = to_space(image, space)
    for band in converted.getbands():
        yield from_levels(np.asarray(converted.getchannel(band)))


def on_white(band: NDArray[np.float32], alpha: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """Composite a band of straight color in [0, 1] on white, with its alpha in [0, 1], if any."""
    return band if alpha is None else 1 + alpha * (band - 1)
