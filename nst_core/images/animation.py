"""Animations made of pictures that all have the same shape."""

import io
from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

AnimationFormat = Literal["webp", "gif", "apng"]
FORMATS: tuple[AnimationFormat, ...] = get_args(AnimationFormat)

OPTIONS: Mapping[AnimationFormat, Mapping[str, Any]] = {
    "webp": {"quality": 85, "method": 4},
    "gif": {"optimize": False, "disposal": 2},
    "apng": {},
}
"""How Pillow saves each format."""

SHORTEST_FRAME = 20
"""In milliseconds; browsers show shorter frames for much longer."""


def encode_animation(
    frames: Iterable[NDArray[np.uint8]],
    kind: AnimationFormat,
    *,
    frame_ms: int,
    last_frame_ms: int,
) -> bytes:
    """Encode an animation that loops forever.

    Args:
        frames: at least one; sRGB, uint8, (height, width, 3), all of the same shape.
        kind: `webp` keeps all colors; `gif` has 256 colors per frame, and plays everywhere; `apng`
            loses nothing.
        frame_ms, last_frame_ms: how long each frame is shown, and how long the last one.

    Raises:
        ValueError: there are no frames, or they have different shapes.
    """
    pictures = [Image.fromarray(frame) for frame in frames]
    if not pictures:
        raise ValueError("found no frame, expected at least one")
    sizes = {picture.size for picture in pictures}
    if len(sizes) > 1:
        raise ValueError(f"found frames of the sizes {sorted(sizes)}, expected one size")
    shortest = [max(SHORTEST_FRAME, frame_ms)] * (len(pictures) - 1)
    data = io.BytesIO()
    first, *others = map(_with_own_palette, pictures) if kind == "gif" else pictures
    first.save(
        data,
        "png" if kind == "apng" else kind,
        save_all=True,
        append_images=others,
        duration=[*shortest, max(SHORTEST_FRAME, last_frame_ms)],
        loop=0,
        **OPTIONS[kind],
    )
    return data.getvalue()


def _with_own_palette(picture: Image.Image) -> Image.Image:
    return picture.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.FLOYDSTEINBERG)
