"""The masks of a row, read from their files or taken from the transparency of its pictures."""

from nst_core.images.pixels import PictureLike, pixels_and_alpha
from nst_core.images.read import Picture
from nst_core.transfer.masks.masks import MASK_SIDE, given_mask
from tasks.intake.examine import load_picture
from tasks.job import Job, JobMask


def content_mask(job: Job, content: Picture) -> PictureLike | None:
    """Return the mask of a job's content; None if it has none.

    Raises:
        PictureError: the mask cannot be read, or has changed since it was examined.
    """
    return given_mask(_in_file(job.content.mask, job.max_pixels), content, job.settings)


def style_mask(job: Job) -> PictureLike | None:
    """Return the mask of a job's style in a file; None if it has none.

    Raises:
        PictureError: as in `content_mask`.
    """
    return _in_file(job.style_mask, job.max_pixels)


def mask_before(mask: JobMask, content: Picture, max_pixels: int) -> PictureLike | None:
    """Return the mask of the frame before a frame, whose content is given; None if it had none.

    Raises:
        PictureError: as in `content_mask`.
    """
    if not mask.regions:
        return None
    in_file = _in_file(mask, max_pixels)
    return pixels_and_alpha(content)[1] if in_file is None else in_file


def _in_file(mask: JobMask, max_pixels: int) -> Picture | None:
    if mask.place is None:
        return None
    return load_picture(
        mask.place, mask.sha256, size=MASK_SIDE, enlarge=False, max_pixels=max_pixels
    )
