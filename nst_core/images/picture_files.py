"""Opening of picture files, which reads their headers; errors name the file and the reason.

Nothing here changes Pillow's process-wide settings, so every function may run in several threads.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import BinaryIO

from PIL import Image, ImageFile
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from nst_core.errors import UserError
from nst_core.images import camera_raw, heic
from nst_core.images.decoder_notices import gathered
from nst_core.images.tiff_layouts import OrientedTiff
from nst_core.storage.files import open_file
from nst_core.storage.first_bytes import first_bytes
from nst_core.storage.local import special_kind
from nst_core.storage.places import Place, PlaceError, name_of, place, redacted

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
"""The supported formats, by Pillow's names; Pillow's other readers are rare and less tested."""

LONGEST_SIDE = 1_000_000
"""In pixels. Decoders count a row's bits in 31 bits; some report an overflow as lack of memory."""

ADVICE = "save it again as an 8-bit JPEG or PNG, or leave it out"


class PictureError(UserError, ValueError):
    """A picture cannot be used; the message is for the user and names the file."""


@dataclass(frozen=True)
class OpenPicture:
    """A picture whose header has been read.

    Attributes:
        image: its pixels can be decoded as long as the file is open.
        shown: the file's name in messages.
        notes: what is odd about the file, as far as is known: clauses such as "its ICC profile is
            ignored".
    """

    image: ImageFile.ImageFile
    shown: str
    notes: Sequence[str]


@contextlib.contextmanager
def opened(path: str | os.PathLike[str] | Place, max_pixels: int) -> Iterator[OpenPicture]:
    """Open a picture and read its header.

    Raises:
        PictureError: anything fails, even inside the context.
    """
    shown = redacted(path)
    try:
        with gathered() as notes, _binary(place(path)) as file:
            image = _identify(file, shown, PurePath(name_of(place(path))).suffix)
            _check_size(image, shown, max_pixels)
            if isinstance(image, OrientedTiff) and (fault := image.fault()):
                raise PictureError(
                    f"{shown}: the TIFF file {fault}, which is not supported; {ADVICE}."
                )
            yield OpenPicture(image, shown, notes)
    except PictureError:
        raise
    except PlaceError as error:
        raise PictureError(str(error)) from error
    except OSError as error:
        raise (_unreadable if error.errno else _undecodable)(shown, error) from error
    except Exception as error:  # decoders raise nearly anything when bytes are damaged
        raise _undecodable(shown, error) from error


def _binary(path: Place) -> BinaryIO:
    # Opening a pipe would wait for a writer, and reading a device may never end.
    if kind := special_kind(path):
        raise PictureError(f"{path}: found {kind}, expected a file. Save it as a file first.")
    return open_file(path)


def _identify(file: BinaryIO, path: str, suffix: str) -> ImageFile.ImageFile:
    """Open a file like `Image.open`, but without its process-wide pixel limit and warnings."""
    start = file.read(64)
    if not start:
        raise PictureError(f"{path}: the file is empty, expected a picture. Copy it here again.")
    file.seek(0)
    if camera_raw.is_camera_raw(start, suffix):
        raise PictureError(
            f"{path}: this is a camera raw file, whose colors are not developed yet. To use it, "
            f"{camera_raw.ADVICE}."
        )
    if heic.is_heic(start):
        return _open_heic(file, path)
    for name in FORMATS:
        factory, accepts = Image.OPEN[name]
        if accepts and accepts(start[:16]) is True:
            return OrientedTiff(file, "") if name == "TIFF" else factory(file, "")
    raise PictureError(
        f"{path}: the file begins with {first_bytes(start)}, which is not a supported picture "
        f"format ({', '.join(FORMATS)}, HEIC). Convert it to JPEG or PNG, or leave it out."
    )


def _open_heic(file: BinaryIO, path: str) -> ImageFile.ImageFile:
    if not heic.is_installed():
        raise PictureError(
            f"{path}: HEIC pictures need a library that is not installed. Install it with "
            f"{heic.NEEDED}, or save the picture as a JPEG."
        )
    return heic.reader()(file, "")


def _check_size(image: Image.Image, path: str, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise PictureError(
            f"{path}: the picture has {width} x {height} = {width * height:,} pixels, more than "
            f"the {max_pixels:,} allowed. Scale it down, or raise the limit if you trust the file."
        )
    if max(width, height) > LONGEST_SIDE:
        raise PictureError(
            f"{path}: the picture has {width} x {height} pixels, and no side may have more than "
            f"{LONGEST_SIDE:,}. Cut it into parts, or leave it out."
        )


def _unreadable(path: str, error: OSError) -> PictureError:
    if isinstance(error, IsADirectoryError):
        return PictureError(f"{path}: this is a folder; expected a picture. Name one in it.")
    return PictureError(
        f"{path}: expected a picture file that can be read, but the system reports "
        f"'{error.strerror}'. Check the path and its permissions."
    )


def _undecodable(path: str, error: Exception) -> PictureError:
    reason = str(error) or type(error).__name__
    if isinstance(error, MemoryError):
        reason = "its decoder reports that memory has run out"
    if reason == "not identified by this driver":
        reason = "its header describes no pixels at all"
    return PictureError(
        f"{path}: the picture cannot be decoded ({reason}). It may be damaged, cut off or of a "
        f"rare kind: copy it here again, {ADVICE}."
    )


DEFAULT_MAX_PIXELS = 200_000_000
"""Enough for the largest cameras (200 megapixels: 16320 x 12240); loading takes about 4 GB."""
