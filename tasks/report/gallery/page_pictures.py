"""The page's JPEG files: thumbnails, and contents at the size of their results.

Each is named after what it shows, so that rows and runs share it and none is made twice.
"""

import logging
import re
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nst_core.images.decoding import MAX_DECODING_THREADS
from nst_core.images.picture_files import PictureError
from nst_core.images.read import load
from nst_core.images.resize import fit, resize
from nst_core.images.write import encode_jpeg
from nst_core.storage.files import list_files, remove, write_atomic
from nst_core.storage.places import Place, redacted
from tasks.store.output_folder import THUMBNAIL_SIDE, OutputFolder
from tasks.store.records import PictureRecord

logger = logging.getLogger("nst_batch.page_pictures")


SPARE_SECONDS = 5.0
"""For how long a run that was stopped makes pictures for the rows that have none yet."""


@dataclass(frozen=True)
class PagePicture:
    """A file of the page, and the picture that it shows.

    Attributes:
        name: the name of the file in the folder of the page's pictures.
        source: where the picture is.
        sha256: of the picture as it was examined; empty if any picture will do.
        max_pixels, size, enlarge: see `nst_core.images.read.load`.
        may_be_missing: make the file only if there is time for it; see `complete_page_pictures`.
    """

    name: str
    source: Place
    sha256: str
    max_pixels: int
    size: int = THUMBNAIL_SIDE
    enlarge: bool = False
    may_be_missing: bool = False


OURS = re.compile(r"thumbnails/[0-9a-f]{32}\.jpg|contents/[0-9a-f]{32}_\d+x\d+\.jpg")
"""The names of files that may be removed; a user's own pictures may be in a folder of this name."""


def thumbnail_name(sha256: str) -> str:
    """Return the file name of a small picture.

    Args:
        sha256: of the picture's decoded content, or of a result's file.
    """
    return f"thumbnails/{sha256[:32]}.jpg"


def content_name(sha256: str, shape: tuple[int, int]) -> str:
    """Return the file name of a content at the size of its result.

    Args:
        sha256: of the picture's decoded content.
        shape: height and width in pixels.
    """
    height, width = shape
    return f"contents/{sha256[:32]}_{width}x{height}.jpg"


def shown_result_name(record: PictureRecord) -> str:
    """Return the file name of a result at its own size, if browsers do not show its format."""
    return content_name(record.file.sha256, (record.height, record.width))


def keep_thumbnail(output: OutputFolder, sha256: str, rgb: NDArray[np.float32]) -> None:
    """Write a picture's thumbnail; if it cannot be written, log a warning.

    Args:
        output: the batch's output folder.
        sha256: see `thumbnail_name`.
        rgb: sRGB in [0, 1], (height, width, 3), at any size.
    """
    tall, wide = rgb.shape[:2]
    height, width = fit(tall, wide, THUMBNAIL_SIDE)
    _write_or_warn(output, thumbnail_name(sha256), resize(rgb, height, width))


def keep_content(output: OutputFolder, sha256: str, rgb: NDArray[np.float32]) -> None:
    """Write a content at the size of `rgb`; otherwise the same as `keep_thumbnail`.

    A result that browsers do not show is written likewise, with the digest of its file.
    """
    height, width = rgb.shape[:2]
    _write_or_warn(output, content_name(sha256, (height, width)), rgb)


def _write_or_warn(output: OutputFolder, name: str, rgb: NDArray[np.float32]) -> None:
    try:
        _write(output, name, rgb)
    except OSError as error:
        logger.warning(
            "a picture of the page cannot be written: %s: %s", error.filename, error.strerror
        )


def _write(output: OutputFolder, name: str, rgb: NDArray[np.float32]) -> None:
    write_atomic(output.page_pictures / name, encode_jpeg(rgb))


def complete_page_pictures(wanted: Iterable[PagePicture], output: OutputFolder) -> set[str]:
    """Make the files that do not exist yet, and remove those that are no longer wanted.

    Args:
        wanted: in the order in which they matter. Those that may be missing are made for
            `SPARE_SECONDS`, thumbnails before others.
        output: the batch's output folder.

    Returns:
        The names of the wanted files that exist; a picture that cannot be read has none, and causes
        a warning.

    Raises:
        OSError: the folder cannot be read.
    """
    # Of two pictures with the same name, the one that must exist takes precedence.
    pictures = {
        picture.name: picture
        for picture in sorted(wanted, key=lambda picture: not picture.may_be_missing)
    }
    there = list_files(output.page_pictures)
    for name in filter(OURS.fullmatch, there - pictures.keys()):
        remove(output.page_pictures / name)
    missing = sorted(
        (picture for name, picture in pictures.items() if name not in there),
        key=lambda picture: (picture.may_be_missing, picture.size != THUMBNAIL_SIDE),
    )
    end = time.monotonic() + SPARE_SECONDS

    def make(picture: PagePicture) -> bool:
        is_too_late = picture.may_be_missing and time.monotonic() >= end
        return not is_too_late and _is_made(picture, output)

    with ThreadPoolExecutor(MAX_DECODING_THREADS) as pool:
        made = pool.map(make, missing)
        return (there & pictures.keys()) | {
            picture.name for picture, is_made in zip(missing, made, strict=True) if is_made
        }


def _is_made(picture: PagePicture, output: OutputFolder) -> bool:
    try:
        loaded = load(
            picture.source,
            size=picture.size,
            enlarge=picture.enlarge,
            max_pixels=picture.max_pixels,
            warn=False,
        )
        if picture.sha256 not in ("", loaded.sha256):
            raise PictureError(
                f"{redacted(picture.source)}: the picture changed while the batch ran."
            )
        _write(output, picture.name, loaded.rgb)
    except (PictureError, OSError) as error:
        logger.warning("not shown in the gallery: %s", error)
        return False
    return True
