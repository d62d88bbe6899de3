"""What a frame of a moving picture takes over from the frame before it.

Ruder, Dosovitskiy & Brox 2016, "Artistic style transfer for videos", section 4: the result of the
frame before, warped by the optical flow of the contents, is what a frame starts from and what its
temporal loss compares it with, except where the flow cannot be relied on. This module loads no
TensorFlow.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nst_core.images.pixels import PictureLike, Pixels, as_pixels
from nst_core.images.resize import resize
from nst_core.motion.flow import Flow, optical_flow, resized_flow
from nst_core.motion.reliability import reliable
from nst_core.motion.warping import warped
from nst_core.transfer.masks.masks import Regions, coverage_of, given_mask
from nst_core.transfer.pictures.before_and_after import unfinished_picture
from nst_core.transfer.settings import Settings


class FrameBefore(NamedTuple):
    """The frame before a frame.

    Attributes:
        content, result: of that frame, of any size and in any form that `as_pixels` takes.
        flow: where each pixel of the frame is in the frame before, relative to its own place:
            float32 (height, width, 2), to the right and down, in pixels of any size of both; NaN
            where that is unknown. If it is None, it is computed from the contents.
        mask: of its content, if it had one: what was not stylized has no temporal loss. With
            `alpha_mask`, the transparency of the content is its mask if there is no other.
    """

    content: PictureLike
    result: PictureLike
    flow: Flow | None = None
    mask: PictureLike | None = None


class Followed(NamedTuple):
    """What a frame starts from, and what its temporal loss compares it with.

    Attributes:
        picture: float32 (height, width, 3): the result of the frame before, moved to where things
            are now, and the content where the mask is 0.
        mask: float32 (height, width): 1 where the frame before shows the same, else 0; with masks,
            times how much of each pixel is stylized in both frames.
    """

    picture: Pixels
    mask: NDArray[np.float32]

    def at(self, height: int, width: int) -> "Followed":
        """Return the same at another size, in pixels."""
        return Followed(*(resize(values, height, width) for values in self))

    def within(self, coverage: NDArray[np.float32]) -> "Followed":
        """Return the same if each pixel is stylized only so much, in (height, width, 1)."""
        return self._replace(mask=self.mask * coverage[..., 0])


def follow(
    before: FrameBefore,
    content: Pixels,
    prepared: Pixels,
    settings: Settings,
    shape: tuple[int, int],
) -> Followed:
    """Return what a frame takes over from the frame before it.

    Args:
        before: the frame before.
        content: the frame's content as it was passed, sRGB in [0, 1], of any size.
        prepared: the same with the colors that it is optimized with.
        settings: how to stylize.
        shape: height and width of the frame's result, and of what is returned.

    Raises:
        ValueError: a picture or the mask of the frame before is none, or its flow is no flow.
    """
    now = resize(content, *shape)
    earlier = resize(as_pixels(before.content, "content of the frame before"), *shape)
    if before.flow is None:
        flow = optical_flow(now, earlier)
    else:
        flow = resized_flow(_checked(before.flow), *shape)
    result = resize(as_pixels(before.result, "result of the frame before"), *shape)
    moved = unfinished_picture(warped(result, flow), now, settings)
    mask = reliable(flow, optical_flow(earlier, now)).astype(np.float32)
    given = given_mask(before.mask, before.content, settings)
    if given is not None:
        mask *= warped(_coverage(given, settings, shape), flow)[..., 0]
    is_same = mask[..., np.newaxis] > 0
    return Followed(np.where(is_same, moved, resize(prepared, *shape)), mask)


def _coverage(mask: PictureLike, settings: Settings, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return how much of each pixel a mask lets be stylized, float32 (height, width, 1)."""
    regions = Regions.of(mask, "mask of the frame before").scaled(*shape)
    return coverage_of(regions.feathered(settings.mask_feather).weights)


def _checked(flow: Flow) -> Flow:
    if flow.ndim != 3 or flow.shape[-1] != 2:
        raise ValueError(f"flow: found an array of shape {flow.shape}, expected (height, width, 2)")
    return flow
