"""The picture that an optimization starts from."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nst_core.images.pixels import PictureLike, Pixels, as_pixels
from nst_core.images.resize import resize
from nst_core.networks.encoder import Encoder
from nst_core.transfer.pictures.before_and_after import prepared_content, within
from nst_core.transfer.pictures.frames import Followed, FrameBefore, follow
from nst_core.transfer.settings import Settings
from nst_core.transfer.styles.guidance import Guidance
from nst_core.transfer.styles.style_shares import start_shares
from nst_core.transfer.styles.styles import Blend, Samples, pictures_of
from nst_core.transfer.styles.targets import StyleTargets


class Pictures(NamedTuple):
    """The pictures of a stylization: sRGB in [0, 1], of any size.

    Attributes:
        content: the picture that is stylized.
        styles: the pictures of each style; needed if the optimization starts from them, or if their
            histograms are matched. Empty if there is none.
        init: what the optimization starts from, whatever the settings say; None if they say it.
        before: the frame before, from whose result the optimization then starts; None if the
            content follows no frame.
    """

    content: Pixels
    styles: Sequence[Sequence[Pixels]] = ()
    init: Pixels | None = None
    before: FrameBefore | None = None

    @classmethod
    def of(
        cls,
        content: PictureLike,
        style: PictureLike | Samples | Blend | None,
        init: PictureLike | None,
        before: FrameBefore | None = None,
    ) -> "Pictures":
        """Return pictures from any form that `images.pixels.as_pixels` takes.

        Raises:
            ValueError: one of them is not a picture, or has values out of range; there are two to
                start from.
        """
        if init is not None and before is not None:
            raise ValueError(
                "found both init and a frame before, expected one picture to start from"
            )
        styles = style.styles if isinstance(style, Blend) else [] if style is None else [style]
        return cls(
            as_pixels(content, "content"),
            [[as_pixels(each, "style") for each in pictures_of(one)] for one in styles],
            None if init is None else as_pixels(init, "init"),
            before,
        )


class Beginning(NamedTuple):
    """What an optimization begins with.

    Attributes:
        content: the content as it is optimized.
        start: the picture that the optimization starts from, of the result's size.
        frame: what is taken over from the frame before; None if there is none.
    """

    content: Pixels
    start: Pixels
    frame: Followed | None


def beginning(
    encoder: Encoder,
    given: Pictures,
    targets: StyleTargets,
    settings: Settings,
    shape: tuple[int, int],
    seed: int,
    guidance: Guidance | None,
) -> Beginning:
    """Return what an optimization begins with.

    What is not stylized is the photograph in both pictures, and is not compared with the frame
    before.

    Args:
        encoder, settings, shape, seed: as in `starting_picture`.
        given: the pictures of the stylization as they were passed.
        targets: those of the style.
        guidance: which style applies where; None if it is the same everywhere.

    Raises:
        ValueError: the settings need the style, and there is none; a frame before is unfit.
    """
    if guidance is None:
        prepared = prepared_content(given.content, given.styles, targets.colors, settings)
    else:
        prepared = guidance.prepared(resize(given.content, *shape), settings)
    frame = given.before and follow(given.before, given.content, prepared, settings, shape)
    pictures = given._replace(content=prepared, init=frame.picture if frame else given.init)
    start = starting_picture(encoder, pictures, settings, shape, seed)
    if guidance is None:
        return Beginning(prepared, start, frame)
    covered = guidance.coverage
    return Beginning(prepared, within(prepared, start, covered), frame and frame.within(covered))


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
        if not pictures.styles:
            raise ValueError("start is 'style', but no style picture was passed")
        return _covers(pictures.styles, start_shares(settings, len(pictures.styles)), shape)
    if settings.start == "noise":
        return _noise(shape, seed)
    gray = encoder.topology.preprocessing.neutral_color
    draw = np.random.default_rng(seed)
    noise = draw.normal(gray, settings.start_noise / 255, (*shape, 3))
    return noise.astype(np.float32)


def _covers(
    styles: Sequence[Sequence[Pixels]], shares: Sequence[float], shape: tuple[int, int]
) -> Pixels:
    """Return the weighted mean of all pictures of the styles, each as in `_cover`."""
    parts = [
        (share / len(pictures), picture)
        for pictures, share in zip(styles, shares, strict=True)
        for picture in pictures
        if share
    ]
    if len(parts) == 1:
        return _cover(parts[0][1], *shape)
    total = np.zeros((*shape, 3))
    for share, picture in parts:
        total += share * _cover(picture, *shape)
    return total.astype(np.float32)


def _noise(shape: tuple[int, int], seed: int) -> Pixels:
    return np.random.default_rng(seed).uniform(0, 1, (*shape, 3)).astype(np.float32)


def _cover(picture: Pixels, height: int, width: int) -> Pixels:
    """Return the middle of a picture, scaled so that it fills the shape without being stretched."""
    scale = max(height / picture.shape[0], width / picture.shape[1])
    tall = max(height, round(picture.shape[0] * scale))
    wide = max(width, round(picture.shape[1] * scale))
    top, left = (tall - height) // 2, (wide - width) // 2
    return resize(picture, tall, wide)[top : top + height, left : left + width]
