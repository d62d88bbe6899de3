"""Bytes <-> pixels: read common pictures as they are meant to look, write PNG and JPEG.

Nothing here changes Pillow's process-wide settings, so every function may run in several threads.
"""

import contextlib
import hashlib
import io
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import ExifTags, Image, ImageCms, ImageFile
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile, PngInfo
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from nst_core.files import read_whole, special_kind
from nst_core.places import Place, PlaceError, place, told
from nst_core.settings import DEFAULT_MAX_PIXELS

FORMATS = tuple(
    str(reader.format)
    for reader in (
        JpegImageFile,
        PngImageFile,
        WebPImageFile,
        TiffImageFile,
        GifImageFile,
        BmpImageFile,
        AvifImageFile,
        Jpeg2KImageFile,
    )
)
"""What is read, by Pillow's names: few, as its other readers are rarely used and less tested."""

_logger = logging.getLogger(__name__)

_Path = str | os.PathLike[str] | Place

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> what makes the picture upright (Pillow turns counterclockwise)."""

_ADVICE = "save it again as an 8-bit JPEG or PNG, or leave it out"


class PictureError(ValueError):
    """A picture that cannot be used; the message is for the user and names the file."""


@dataclass(frozen=True)
class Picture:
    """Pixels ready for the network.

    Attributes:
        rgb: float32 (height, width, 3), sRGB in [0, 1], composited on white where transparent.
        alpha: float32 (height, width), 0 is transparent and 1 opaque; None if all is opaque.
        sha256: of the file's content at its own size, as in `PictureFacts`.
    """

    rgb: NDArray[np.float32]
    alpha: NDArray[np.float32] | None
    sha256: str


@dataclass(frozen=True)
class PictureFacts:
    """What is known of a picture once it was decoded.

    Attributes:
        width, height: in pixels, upright (after EXIF orientation).
        format: Pillow's name, such as "JPEG".
        sha256: digest of upright pixels and ICC profile, as 64 hexadecimal digits. It does not
            change with names, compression or other metadata.
    """

    width: int
    height: int
    format: str
    sha256: str


def read_header(path: _Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> tuple[int, int, str]:
    """Width, height (upright, in pixels) and format, from the file's first bytes only.

    Raises:
        PictureError: not a picture that can be read, or one of more than `max_pixels`.
    """
    with _opened(path, max_pixels) as image:
        # Pillow swaps the sides of TIFF pictures itself.
        turned = image.format != "TIFF" and _orientation(image, told(path)) >= 5
        width, height = reversed(image.size) if turned else image.size
        return width, height, str(image.format)


def examine(path: _Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> PictureFacts:
    """Decode the whole picture, which finds damage that its header does not show.

    Raises:
        PictureError: whatever would keep `load` from reading it.
    """
    with _opened(path, max_pixels) as image:
        plain = _plain(image, told(path))
        return PictureFacts(plain.width, plain.height, str(image.format), _digest(plain))


def load(
    path: _Path,
    *,
    size: int | None = None,
    enlarge: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> Picture:
    """The picture as it is meant to look: upright, in sRGB, its first frame if it has several.

    Args:
        path: of a file in one of `FORMATS`.
        size: longest side of the result in pixels; None keeps the picture's own.
        enlarge: whether a picture with a smaller longest side is enlarged to `size`.
        max_pixels: larger pictures are refused before they are decoded.

    Raises:
        PictureError: the file is missing, damaged, too large or not a picture.
    """
    with _opened(path, max_pixels) as image:
        plain = _plain(image, told(path))
    height, width = plain.height, plain.width
    if size is not None:
        height, width = fit(height, width, size, enlarge=enlarge)
    alpha = _levels(plain.getchannel("A")) if "A" in plain.mode else None
    # Composited before it is resized: averages of straight color would bleed hidden pixels.
    bands = [
        resize(_on_white(band, alpha), height, width) for band in _srgb_bands(plain, told(path))
    ]
    return Picture(
        rgb=np.stack(bands if len(bands) == 3 else bands * 3, axis=-1),
        alpha=None if alpha is None else resize(alpha, height, width),
        sha256=_digest(plain),
    )


def fit(height: int, width: int, size: int, *, enlarge: bool = False) -> tuple[int, int]:
    """Height and width of the same aspect with `size` as the longest side, never 0.

    A picture that is smaller keeps its shape unless `enlarge`.
    """
    longest = max(height, width)
    if longest <= size and not enlarge:
        return height, width
    return max(1, round(height * size / longest)), max(1, round(width * size / longest))


def resize(array: ArrayLike, height: int, width: int) -> NDArray[np.float32]:
    """Resample bicubically, averaging over what falls into one pixel when shrinking.

    Args:
        array: (h, w) or (h, w, channels), of any range.
        height, width: of the result, in pixels.

    Returns:
        float32 (height, width) or (height, width, channels); no channel leaves its range in
        `array`, as the overshoot beside edges is clipped.
    """
    values = np.asarray(array, np.float32)
    if values.ndim == 3:
        planes = [resize(plane, height, width) for plane in np.moveaxis(values, -1, 0)]
        return np.stack(planes, axis=-1)
    plane = Image.fromarray(np.ascontiguousarray(values))
    resized = np.asarray(plane.resize((width, height), Image.Resampling.BICUBIC))
    return resized.clip(values.min(), values.max())


def encode_png(
    rgb: NDArray[np.float32],
    alpha: NDArray[np.float32] | None = None,
    *,
    text: Mapping[str, str] | None = None,
) -> bytes:
    """An 8-bit PNG file, rounded to the nearest level and tagged as sRGB.

    Args:
        rgb: (height, width, 3), sRGB; clipped to [0, 1].
        alpha: (height, width) in [0, 1], stored as it is: `rgb` is not divided by it.
        text: keyword (1 to 79 Latin-1 characters) -> any text, for `read_png_text`.
    """
    planes = rgb if alpha is None else np.dstack([rgb, alpha])
    levels = np.rint(np.clip(planes, 0, 1) * 255).astype(np.uint8)
    info = PngInfo()
    info.add(b"sRGB", b"\0")  # 0: perceptual intent
    for keyword, value in (text or {}).items():
        # Paths may hold lone surrogates, which UTF-8 cannot.
        info.add_itxt(keyword, value.encode("utf-8", "backslashreplace").decode())
    data = io.BytesIO()
    Image.fromarray(levels).save(data, "PNG", pnginfo=info)
    return data.getvalue()


def encode_jpeg(rgb: NDArray[np.float32], *, quality: int = 85) -> bytes:
    """A JPEG file, for pictures that are only looked at.

    Args:
        rgb: (height, width, 3), sRGB; clipped to [0, 1].
        quality: from 1 to 95, as Pillow has it.
    """
    levels = np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8)
    data = io.BytesIO()
    Image.fromarray(levels).save(data, "JPEG", quality=quality, progressive=True)
    return data.getvalue()


def read_png_text(path: _Path) -> dict[str, str]:
    """The text before a PNG file's pixels, where `encode_png` puts it; pixels are not decoded.

    Raises:
        PictureError: the file is missing, damaged or not a PNG.
    """
    # The text of a picture of any size is cheap to read.
    with _opened(path, max_pixels=2**62) as image:
        if not isinstance(image, PngImageFile):
            raise PictureError(f"{told(path)}: this is a {image.format} file, expected a PNG.")
        return {str(key): str(value) for key, value in image.info.items() if isinstance(value, str)}


@contextlib.contextmanager
def _opened(path: _Path, max_pixels: int) -> Iterator[ImageFile.ImageFile]:
    """The picture with its header read; whatever fails inside becomes a `PictureError`."""
    shown = told(path)
    try:
        with _binary(place(path)) as file:
            image = _identify(file, shown)
            _check_size(image, shown, max_pixels)
            _check_layout(image, shown)
            yield image
    except (PictureError, MemoryError):
        raise
    except PlaceError as error:
        raise PictureError(str(error)) from error
    except OSError as error:
        raise (_unreadable if error.errno else _undecodable)(shown, error) from error
    except Exception as error:  # decoders raise nearly anything when bytes are damaged
        raise _undecodable(shown, error) from error


def _binary(path: Place) -> BinaryIO:
    if not isinstance(path, Path):
        return io.BytesIO(read_whole(path))
    # Opening a pipe would wait for whoever writes to it, and a device may never end.
    if kind := special_kind(path):
        raise PictureError(f"{path}: this is {kind}, expected a file. Save it as a file first.")
    return path.open("rb")


def _identify(file: BinaryIO, path: str) -> ImageFile.ImageFile:
    """Like `Image.open`, whose pixel limit is one for the whole process and warns besides."""
    start = file.read(16)
    if not start:
        raise PictureError(f"{path}: the file is empty, expected a picture. Copy it here again.")
    for name in FORMATS:
        factory, accepts = Image.OPEN[name]
        if accepts and accepts(start) is True:
            file.seek(0)
            return factory(file, "")
    raise PictureError(
        f"{path}: the file begins with {start!r}, which is no picture that can be read "
        f"({', '.join(FORMATS)}). Convert it to JPEG or PNG (HEIC and camera raw files, too), "
        "or leave it out."
    )


def _check_size(image: Image.Image, path: str, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise PictureError(
            f"{path}: the picture has {width} x {height} = {width * height:,} pixels, more than "
            f"the {max_pixels:,} allowed. Scale it down, or raise the limit if you trust the file."
        )


def _check_layout(image: Image.Image, path: str) -> None:
    """Refuse the TIFF pictures that Pillow (13.0) would read as something else, without a word."""
    if not isinstance(image, TiffImageFile):
        return
    tags, base = image.tag_v2, ExifTags.Base
    deep = max(tags.get(base.BitsPerSample, (1,))) > 8
    split = tags.get(base.PlanarConfiguration) == 2 and image.mode[0] not in "IF"
    found = ""
    if tags.get(base.NewSubfileType, 0) & 1:
        found = "holds a preview first, as camera raw files do"
    elif deep and tags.get(base.PhotometricInterpretation) == 0:
        found = "has more than 8 bits with white as 0"
    elif deep and split and tags.get(base.Compression) == 1:
        found = "has more than 8 bits in separate planes"
    if found:
        raise PictureError(f"{path}: the TIFF file {found}, which is not supported; {_ADVICE}.")


def _unreadable(path: str, error: OSError) -> PictureError:
    return PictureError(
        f"{path}: expected a picture file that can be read, but the system says "
        f"'{error.strerror}'. Check the path and its permissions."
    )


def _undecodable(path: str, error: Exception) -> PictureError:
    reason = str(error) or type(error).__name__
    if reason == "not identified by this driver":
        reason = "its header promises no pixels at all"
    return PictureError(
        f"{path}: the picture cannot be decoded ({reason}). It may be damaged, cut short or of a "
        f"rare kind: copy it here again, {_ADVICE}."
    )


def _orientation(image: Image.Image, path: str) -> int:
    """EXIF orientation, 1 (upright) to 8; 1 also where it is missing or broken."""
    try:
        # Not image.getexif(): PNG's own decodes all pixels to look for late EXIF data.
        orientation = Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)
    except Exception as error:  # broken metadata makes the parser raise nearly anything  # noqa: BLE001
        _logger.warning("%s: its EXIF orientation is ignored (%s).", path, error)
        return 1
    return orientation if orientation in _TURNS else 1


def _plain(image: ImageFile.ImageFile, path: str) -> Image.Image:
    """Decode, turn upright, and reduce Pillow's modes to F (in [0, 1]), L, LA, RGB, RGBA and CMYK.

    Modes with A are kept only for pictures that are transparent somewhere.
    """
    if isinstance(image, TiffImageFile):
        # Given its canvas, the reader does not ask Pillow's process-wide pixel limit once more.
        stored = image.tag_v2[ExifTags.Base.ImageWidth], image.tag_v2[ExifTags.Base.ImageLength]
        image.im = Image.new(image.mode, stored).im
    image.load()
    upright = _in_plain_mode(image, path)
    orientation = _orientation(image, path)
    return upright.transpose(_TURNS[orientation]) if orientation in _TURNS else upright


def _in_plain_mode(image: Image.Image, path: str) -> Image.Image:
    if image.mode[0] in "IF":
        return _deep_gray(image, path)
    gray = image.mode in ("1", "L", "LA", "La")
    if image.has_transparency_data:
        layered = image.convert("LA" if gray else "RGBA")
        if layered.getchannel("A").getextrema()[0] != 255:
            return layered
        image = layered
    mode = "L" if gray else "CMYK" if image.mode == "CMYK" else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _deep_gray(image: Image.Image, path: str) -> Image.Image:
    """Gray of more than 8 bits as mode F in [0, 1], or as L where an ICC profile needs 8 bits.

    Raises:
        PictureError: levels are not within 0 to 65535 (whole numbers) or 0 to 1 (others).
    """
    top = 1 if image.mode == "F" else 65535
    levels = np.asarray(image).astype(np.float32)
    if not (levels.min() >= 0 and levels.max() <= top):  # so that NaN is refused
        raise PictureError(
            f"{path}: levels of gray range from {levels.min():g} to {levels.max():g}, "
            f"expected 0 to {top}; {_ADVICE}."
        )
    levels /= top
    profile = image.info.get("icc_profile")
    gray = Image.fromarray(np.rint(levels * 255).astype(np.uint8) if profile else levels)
    gray.info["icc_profile"] = profile
    return gray


def _digest(image: Image.Image) -> str:
    profile = image.info.get("icc_profile") or b""
    shape = f"{image.mode} {image.width} {image.height} {len(profile)} "
    digest = hashlib.sha256(shape.encode() + profile)
    for top in range(0, image.height, 256):  # in strips, as tobytes() takes twice what it returns
        bottom = min(top + 256, image.height)
        digest.update(image.crop((0, top, image.width, bottom)).tobytes())
    return digest.hexdigest()


def _srgb_bands(image: Image.Image, path: str) -> Iterator[NDArray[np.float32]]:
    """Red, green and blue, or one band for all, as float32 (height, width) in [0, 1]."""
    if image.mode == "F":
        yield np.asarray(image)
        return
    srgb = _to_srgb(image, path)
    for band in srgb.getbands():
        yield _levels(srgb.getchannel(band))


def _to_srgb(image: Image.Image, path: str) -> Image.Image:
    """Mode L or RGB, through the picture's ICC profile if it has one that works."""
    color = image.convert(image.mode.removesuffix("A")) if "A" in image.mode else image
    profile = image.info.get("icc_profile")
    if profile:
        try:
            return _through_profile(color, ImageCms.ImageCmsProfile(io.BytesIO(profile)))
        except (ImageCms.PyCMSError, OSError, ValueError) as error:
            _logger.warning("%s: its ICC profile is ignored (%s).", path, error)
    return color if color.mode == "L" else color.convert("RGB")


def _through_profile(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    """Mode RGB, in sRGB.

    Raises:
        ImageCms.PyCMSError: the profile is for other pixels or lacks what a conversion needs.
    """
    if image.mode == "L" and profile.profile.xcolor_space == "RGB ":
        image = image.convert("RGB")
    srgb = ImageCms.createProfile("sRGB")
    transform = ImageCms.buildTransform(
        profile,
        srgb,
        image.mode,
        "RGB",
        ImageCms.Intent.PERCEPTUAL,
        ImageCms.Flags.HIGHRESPRECALC,  # without it, dark grays are up to 2 levels off
    )
    return transform.apply(image)


def _levels(band: Image.Image) -> NDArray[np.float32]:
    """0 to 255 -> float32 in [0, 1]."""
    levels = np.asarray(band).astype(np.float32)
    levels /= 255
    return levels


def _on_white(band: NDArray[np.float32], alpha: NDArray[np.float32] | None) -> NDArray[np.float32]:
    return band if alpha is None else 1 + alpha * (band - 1)
