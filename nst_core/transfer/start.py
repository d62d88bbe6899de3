"""The picture that an optimization starts from."""

import numpy as np
from numpy.typing import NDArray

from nst_core.images.resize import resize
from nst_core.networks.encoder import Encoder
from nst_core.transfer.settings import Settings

Pixels = NDArray[np.float32]
"""sRGB in [0, 1], (height, width, 3)."""


def start_of(
    encoder: Encoder,
    content: Pixels,
    style: Pixels | None,
    settings: Settings,
    shape: tuple[int, int],
    seed: int,
) -> Pixels:
    """Return the picture to start from, sRGB in [0, 1], at the result's height and width.

    Args:
        encoder: the feature network, whose neutral color some starts have.
        content, style: sRGB in [0, 1], float32, (height, width, 3), of any size.
        settings: which picture to start from.
        shape: height and width of the result, in pixels.
        seed: seed of the noise.

    Raises:
        ValueError: the settings start from the style, and there is none.
    """
    if settings.start == "content":
        return resize(content, *shape)
    if settings.start == "style":
        if style is None:
            raise ValueError("start is 'style', but no style picture was passed")
        return _cover(style, *shape)
    draw = np.random.default_rng(seed)
    if settings.start == "noise":
        return draw.uniform(0, 1, (*shape, 3)).astype(np.float32)
    gray = encoder.topology.preprocessing.neutral_color
    noise = draw.normal(gray, settings.start_noise / 255, (*shape, 3))
    return noise.astype(np.float32)


def _cover(picture: Pixels, height: int, width: int) -> Pixels:
    """Return the middle of a picture, scaled so that it fills the shape without being stretched."""
    scale = max(height / picture.shape[0], width / picture.shape[1])
    tall = max(height, round(picture.shape[0] * scale))
    wide = max(width, round(picture.shape[1] * scale))
    top, left = (tall - height) // 2, (wide - width) // 2
    return resize(picture, tall, wide)[top : top + height, left : left + width]
