"""Decoding of open picture files to upright pictures of a few modes, as they are meant to look."""

import os

import numpy as np
from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from nst_core.images.decoder_notices import note
from nst_core.images.exif import orientation_in
from nst_core.images.jpeg_ends import completed
from nst_core.images.levels import to_levels
from nst_core.images.picture_files import ADVICE, PictureError
from nst_core.images.png_chunks import PngFacts, read_png_facts
from nst_core.images.tiff_layouts import OrientedTiff, top_level

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> operation that makes a picture upright (Pillow turns counterclockwise)."""


def sides(image: ImageFile.ImageFile) -> tuple[int, int]:
    """Return width and height of the upright picture, without decoding it."""
    width, height = image.size
    return (height, width) if _orientation(image, _png_facts(image)) >= 5 else (width, height)


def plain(image: Image.Image, path: str) -> Image.Image:
    """Decode, turn upright, and reduce Pillow's modes to F (in [0, 1]), L, LA, RGB, RGBA and CMYK.

    Modes with A are used only for pictures that are transparent somewhere. If the pixels need an
    ICC profile, it is in the picture's `info`.
    """
    png = _png_facts(image)
    orientation = _orientation(image, png)
    if isinstance(image, PngImageFile) and png is not None:
        decoded = _decode_png(image, png, path)
    elif isinstance(image, GifImageFile):
        decoded = _decode_gif(image)
    elif isinstance(image, JpegImageFile):
        decoded = _in_plain_mode(_decode_jpeg(image))
    elif isinstance(image, TiffImageFile):
        image.load()
        decoded = _in_plain_mode(image, path, top_level(image))
    else:
        image.load()
        decoded = _in_plain_mode(_opaque_where_alpha_is_unused(image), path)
    return decoded.transpose(_TURNS[orientation]) if orientation in _TURNS else decoded


def turned(image: ImageFile.ImageFile) -> Image.Image:
    """Decode a picture as its reader does, and turn it upright."""
    orientation = _orientation(image, _png_facts(image))
    image.load()
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


def _png_facts(image: Image.Image) -> PngFacts | None:
    if not isinstance(image, PngImageFile) or image.fp is None:
        return None
    return read_png_facts(image.fp)


def _orientation(image: Image.Image, png: PngFacts | None) -> int:
    """Return the EXIF orientation from 1 (upright) to 8, or 1 if it is missing or broken.

    The orientation in XMP is ignored, as it is by viewers.
    """
    if isinstance(image, OrientedTiff):
        return image.orientation if image.orientation in _TURNS else 1
    exif = png.exif if png is not None else image.info.get("exif")
    try:
        orientation = orientation_in(exif) if exif else 1
    except ValueError as error:
        note(f"its EXIF data is damaged and ignored ({error})")
        return 1
    return orientation if orientation in _TURNS else 1


def _decode_jpeg(image: JpegImageFile) -> Image.Image:
    file = image.fp
    try:
        image.load()
    except OSError:
        if file is None:
            raise
        file.seek(0)
        whole = completed(file.read())
        if whole is None:
            raise
        note("its last bytes are missing, but all of its pixels are present: it may be cut off")
        return whole
    return image


def _decode_gif(image: GifImageFile) -> Image.Image:
    """Decode the first frame; whatever it does not cover is transparent."""
    extents = image.tile[0].extents if image.tile else None
    image.load()
    decoded = _in_plain_mode(image)
    # If the frame has a transparent color, the canvas around the frame already has that color.
    if extents in (None, (0, 0, *image.size)) or "transparency" in image.info:
        return decoded
    mask = Image.new("L", image.size, 0)
    mask.paste(255, extents)
    decoded = decoded.convert("RGBA" if decoded.mode == "RGB" else "LA")
    decoded.putalpha(mask)
    return decoded


def _opaque_where_alpha_is_unused(image: Image.Image) -> Image.Image:
    """Drop a BMP file's alpha if it is 0 everywhere, as programs without alpha support write it."""
    is_bitmap = isinstance(image, BmpImageFile) and image.mode == "RGBA"
    unused = is_bitmap and image.getchannel("A").getextrema() == (0, 0)
    return image.convert("RGB") if unused else image


def _decode_png(image: PngImageFile, facts: PngFacts, path: str) -> Image.Image:
    if not facts.is_whole:
        note("its last bytes are missing, but all of its pixels are present: it may be cut off")
    key = facts.color_key()
    low_bytes = None
    if key and facts.depth == 16 and image.mode == "RGB":
        low_bytes = _low_bytes(image)
    image.load()
    if not image.info.get("icc_profile"):
        image.info["icc_profile"] = facts.color_profile()
    if key and image.mode in ("1", "L", "I;16", "RGB"):
        return _with_color_key(image, low_bytes, key, facts.depth)
    return _in_plain_mode(image, path)


def _low_bytes(image: PngImageFile) -> Image.Image:
    """Return the low bytes of 16-bit levels; by itself, Pillow decodes only the high bytes."""
    assert image.fp is not None
    before = image.fp.tell()
    image.fp.seek(0)
    other = PngImageFile(image.fp, "")
    (tile,) = other.tile
    other.tile = [tile._replace(args="RGB;16L")]
    other.load()
    image.fp.seek(before)
    return other


def _with_color_key(
    image: Image.Image, low_bytes: Image.Image | None, key: tuple[int, ...], depth: int
) -> Image.Image:
    """Convert to mode L or RGB, or to LA or RGBA if some pixel has the transparent color."""
    pixels = np.asarray(image).astype(np.uint16)
    if low_bytes is not None:
        stored = pixels << 8 | np.asarray(low_bytes)
    elif depth < 8:
        # Pillow scales lower depths to 8 bits; pixels of mode "1" are booleans.
        stored = pixels if image.mode == "1" else pixels * (2**depth - 1) // 255
    else:
        stored = pixels
    wanted = key[: 3 if stored.ndim == 3 else 1]
    hidden = np.equal(stored.reshape(*stored.shape[:2], -1), wanted).all(axis=-1)
    image.info.pop("transparency", None)
    profile = image.info.get("icc_profile")
    if image.mode == "I;16":
        if not hidden.any():
            return _in_plain_mode(image)
        image = Image.fromarray(np.rint(pixels / 257).astype(np.uint8))
    image = image.convert("RGB" if image.mode == "RGB" else "L")
    if hidden.any():
        image = image.convert(f"{image.mode}A")
        image.putalpha(Image.fromarray(np.where(hidden, 0, 255).astype(np.uint8)))
    image.info["icc_profile"] = profile
    return image


def _in_plain_mode(image: Image.Image, path: str = "", top: int = 65535) -> Image.Image:
    """Convert to a mode of `plain`; `top` is the level of white if there are more than 8 bits."""
    if image.mode[0] in "IF":
        return _deep_gray(image, path, top)
    if image.mode == "LAB":
        image = image.convert("RGB")
        # Pillow converted it to sRGB, and added a profile that contains the time of the conversion.
        image.info.pop("icc_profile", None)
    gray = image.mode in ("1", "L", "LA", "La")
    if image.has_transparency_data:
        layered = image.convert("LA" if gray else "RGBA")
        if layered.getchannel("A").getextrema()[0] != 255:
            return layered
        image = layered
    mode = "L" if gray else "CMYK" if image.mode == "CMYK" else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _deep_gray(image: Image.Image, path: str, top: int) -> Image.Image:
    """Return gray of more than 8 bits as mode F in [0, 1], or L if an ICC profile needs 8 bits.

    Raises:
        PictureError: some levels are outside 0 to `top`.
    """
    levels = np.asarray(image).astype(np.float32)
    if not (levels.min() >= 0 and levels.max() <= top):  # written so that NaN is refused
        raise PictureError(
            f"{path}: its gray levels range from {levels.min():g} to {levels.max():g}, "
            f"expected 0 to {top}; {ADVICE}."
        )
    levels /= top
    profile = image.info.get("icc_profile")
    gray = Image.fromarray(to_levels(levels) if profile else levels)
    gray.info["icc_profile"] = profile
    return gray


MAX_DECODING_THREADS = min(4, os.cpu_count() or 1)
"""The most threads that decode pictures; more would need many gigabytes for very large pictures."""
