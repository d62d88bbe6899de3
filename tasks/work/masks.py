"""The masks of a row, read from their files or taken from the transparency of its pictures."""

from nst_core.images.pixels import PictureLike, pixels_and_alpha
from nst_core.images.read import Picture
from nst_core.storage.places import Place
from nst_core.transfer.masks.masks import MASK_SIDE, given_mask
from tasks.intake.examine import load_picture
from tasks.job import Job, PreviousFrame


def content_mask(job: Job, content: Picture) -> PictureLike | None:
    """Return the mask of a job's content; None if it has none.

    Raises:
        PictureError: the mask cannot be read, or has changed since it was examined.
    """
    return given_mask(_load(job, job.content_mask, job.content_mask_sha256), content, job.settings)


def style_mask(job: Job) -> PictureLike | None:
    """Return the mask of a job's style in a file; None if it has none.

    Raises:
        PictureError: as in `content_mask`.
    """
    return _load(job, job.style_mask, job.style_mask_sha256)


def mask_before(before: PreviousFrame, content: Picture, max_pixels: int) -> PictureLike | None:
    """Return the mask of the frame before a frame, whose content is given; None if it had none.

    Raises:
        PictureError: as in `content_mask`.
    """
    if not before.regions:
        return None
    if before.content_mask is None:
        return pixels_and_alpha(content)[1]
    return _picture(before.content_mask, before.content_mask_sha256, max_pixels)


def _load(job: Job, place: Place | None, sha256: str) -> Picture | None:
    return None if place is None else _picture(place, sha256, job.max_pixels)


def _picture(place: Place, sha256: str, max_pixels: int) -> Picture:
    return load_picture(place, sha256, size=MASK_SIDE, enlarge=False, max_pixels=max_pixels)
