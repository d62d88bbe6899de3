"""The frame before a frame, from where it is stored."""

import io
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nst_core.errors import UserError
from nst_core.images.deep_levels import deep_levels
from nst_core.motion.flo_files import FlowError, read_flow
from nst_core.storage.places import redacted
from nst_core.transfer.pictures.frames import FrameBefore
from tasks.intake.examine import load_picture
from tasks.job import Job, PreviousFrame
from tasks.store.file_reference import FileReference, RecordError
from tasks.store.lookup import FilesBySize, look_for
from tasks.store.output_folder import OutputFolder
from tasks.store.records import PictureRecord, read_record
from tasks.work.masks import mask_before


class FrameError(UserError):
    """The result of the frame before a frame cannot be used; the message says what to do."""


class Before(NamedTuple):
    """The frame before a frame.

    Attributes:
        frame: what a stylization needs of it; None if there is none.
        sha256: digest of its result's file; empty if there is none.
    """

    frame: FrameBefore | None = None
    sha256: str = ""


def frame_before(job: Job, output: OutputFolder, size: int) -> Before:
    """Return the frame before a job's, with its result as its record names it.

    Args:
        job: the job.
        output: the batch's output folder.
        size: the longest side at which its content is read, in pixels.

    Raises:
        FrameError: its result is not there anymore.
        FlowError, PictureError: the file of the flow or the content changed while the batch ran.
        StorageError: a storage refuses a request or does not answer.
    """
    if job.previous is None:
        return Before()
    result = _result_of(job.previous, output)
    content = load_picture(
        *(job.previous.content.place, job.previous.content.sha256),
        size=size,
        enlarge=job.settings.enlarge,
        max_pixels=job.max_pixels,
    )
    flow = None
    if job.flow is not None:
        flow, sha256 = read_flow(job.flow, max_pixels=job.max_pixels)
        if sha256 != job.flow_sha256:
            raise FlowError(
                f"{redacted(job.flow)}: the flow changed while the batch ran. Run the batch again."
            )
    pixels = _pixels_of(result.read())
    mask = mask_before(job.previous.content.mask, content, job.max_pixels)
    return Before(FrameBefore(content.rgb, pixels, flow, mask), result.sha256)


def _pixels_of(result: bytes) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Return the levels of a result, with all their bits.

    Its transparency is that of its content, and no part of what was optimized.
    """
    image = Image.open(io.BytesIO(result))
    levels = deep_levels(image)
    return np.asarray(image.convert("RGB")) if levels is None else levels[..., :3]


def _result_of(previous: PreviousFrame, output: OutputFolder) -> FileReference:
    """Return where a frame's result is; its contents are those of its record."""
    try:
        record = read_record(output.records / previous.key, previous.key, PictureRecord)
        return look_for(record, [previous.output], FilesBySize(output)).picture
    except (RecordError, FileNotFoundError) as error:
        raise FrameError(
            f"line {previous.line}, the frame before: found no result that is unchanged; expected "
            f"{redacted(output.picture(previous.output))}, which this frame starts from ({error}). "
            "Run the batch again, which makes that frame first."
        ) from error
