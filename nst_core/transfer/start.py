"""The picture that an optimization starts from."""

from typing import NamedTuple

import numpy as np

from nst_core.images.pixels import PictureLike, as_pixels
from nst_core.images.resize import resize
from nst_core.networks.encoder import Encoder
from nst_core.transfer.frames import Followed
from nst_core.transfer.optimization import Pixels
from nst_core.transfer.settings import Settings


class Pictures(NamedTuple):
    """The pictures of a stylization: sRGB in [0, 1], of any size.

    Attributes:
        content: the picture that is stylized.
        style: needed if the optimization starts from it, or if its histograms are matched.
        init: what the optimization starts from, whatever the settings say; None if they say it.
    """

    content: Pixels
    style: Pixels | None = None
    init: Pixels | None = None

    @classmethod
    def of(
        cls, content: PictureLike, style: PictureLike | None, init: PictureLike | None
    ) -> "Pictures":
        """Return pictures from any form that `images.pixels.as_pixels` takes.

        Raises:
            ValueError: one of them is not a picture, or has values out of range.
        """
        return cls(
            as_pixels(content, "content"),
            None if style is None else as_pixels(style, "style"),
            None if init is None else as_pixels(init, "init"),
        )


def start_of_frame(pictures: Pictures, frame: Followed | None) -> Pictures:
    """Return the pictures of a stylization that starts from the frame before it, if there is one.

    Raises:
        ValueError: there is another picture to start from, too.
    """
    if frame is None:
        return pictures
    if pictures.init is not None:
        raise ValueError("found both init and a frame before, expected one picture to start from")
    return pictures._replace(init=frame.picture)


def starting_picture(
    encoder: Encoder, pictures: Pictures, settings: Settings, shape: tuple[int, int], seed: int
) -> Pixels:
    """Return the picture that a stylization starts from.

    Args:
        encoder: the feature network, whose neutral color a gray start has.
        pictures: those of the stylization, the content with the colors that it is optimized with.
        settings: how to stylize.
        shape: height and width of the result, and of the picture that is returned.
        seed: seed of the noise.

    Raises:
        ValueError: the start is the style, and there is none.
    """
    start = _without_blend(encoder, pictures, settings, shape, seed)
    if not settings.start_blend:
        return start
    share = np.float32(settings.start_blend)
    blend: Pixels = (1 - share) * start + share * _noise(shape, seed)
    return blend


def _without_blend(
    encoder: Encoder, pictures: Pictures, settings: Settings, shape: tuple[int, int], seed: int
) -> Pixels:
    if pictures.init is not None:
        return _cover(pictures.init, *shape)
    if settings.start == "content":
        return resize(pictures.content, *shape)
    if settings.start == "style":
        if pictures.style is None:
            raise ValueError("start is 'style', but no style picture was passed")
        return _cover(pictures.style, *shape)
    if settings.start == "noise":
        return _noise(shape, seed)
    gray = encoder.topology.preprocessing.neutral_color
    draw = np.random.default_rng(seed)
    noise = draw.normal(gray, settings.start_noise / 255, (*shape, 3))
    return noise.astype(np.float32)


def _noise(shape: tuple[int, int], seed: int) -> Pixels:
    return np.random.default_rng(seed).uniform(0, 1, (*shape, 3)).astype(np.float32)


def _cover(picture: Pixels, height: int, width: int) -> Pixels:
    """Return the middle of a picture, scaled so that it fills the shape without being stretched."""
    scale = max(height / picture.shape[0], width / picture.shape[1])
    tall = max(height, round(picture.shape[0] * scale))
    wide = max(width, round(picture.shape[1] * scale))
    top, left = (tall - height) // 2, (wide - width) // 2
    return resize(picture, tall, wide)[top : top + height, left : left + width]
