"""The pictures of a row in its space of colors: sRGB, or that of its content's profile."""

import hashlib

from nst_core.images.picture_files import PictureError
from nst_core.images.read import Picture, read_profile
from nst_core.storage.places import Place, redacted
from tasks.intake.examine import load_picture
from tasks.job import Job


def space_of(job: Job) -> bytes:
    """Return the ICC profile of a row's pixels, from its content's file; empty for sRGB.

    Raises:
        PictureError: the content cannot be read, or its profile changed while the batch ran.
    """
    content = job.content
    if not content.profile_sha256:
        return b""
    profile = read_profile(content.place, max_pixels=job.max_pixels)
    if hashlib.sha256(profile).hexdigest() != content.profile_sha256:
        raise PictureError(
            f"{redacted(content.place)}: its color profile changed while the batch ran. Run the "
            "batch again."
        )
    return profile


def load_content(job: Job, size: int) -> Picture:
    """Return the content of a row with this longest side, and with all bits that count.

    Raises:
        PictureError: it cannot be read, or changed while the batch ran.
    """
    content = job.content
    return load_of_row(job, content.place, content.sha256, size, content.deep_sha256)


def load_of_row(job: Job, path: Place, sha256: str, size: int, deep_sha256: str = "") -> Picture:
    """Return any picture of a row in its space.

    Raises:
        PictureError: as in `load_content`.
    """
    return load_picture(
        *(path, sha256),
        size=size,
        enlarge=job.settings.enlarge,
        max_pixels=job.max_pixels,
        space=space_of(job),
        deep_sha256=deep_sha256,
    )
