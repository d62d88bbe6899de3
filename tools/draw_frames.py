"""Draw the picture of docs/controls.md that shows frames with and without their temporal loss.

    python tools/draw_frames.py docs/pictures/control-frames.jpg

The moving picture is a real photograph with synthetic motion (`nst_core.samples.moving`). The last
two rows show how much each frame differs from the one before it, moved along the true motion:
black is no difference, white is 0.25 or more, and gray is what the frame before does not show.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from sheets import save

import nst_core as nst
from nst_core.motion.warping import warped
from nst_core.samples.moving import MovingFrame, moving_picture
from nst_core.samples.paintings import PAINTINGS

HEIGHT, WIDTH = 128, 192
"""The size of each picture, in pixels."""

COUNT, SHOWN = 6, slice(2, 6)
"""How many frames are stylized, and which of them are shown."""

GAP, LABEL = 6, 16
STYLE = "swirls"
BRIGHTEST = 0.25
"""The difference that is white, of values from 0 to 1."""

LARGEST_FILE = 140_000

Picture = NDArray[np.uint8]


def stylized(frames: Sequence[MovingFrame], *, follow: bool) -> list[Picture]:
    """Return the results of frames: each alone, or each after the one before it."""
    settings = nst.resolve({"preset": "draft", "size": WIDTH, "seed": 1})
    style = PAINTINGS[STYLE](WIDTH, 1)
    results: list[Picture] = []
    for number, frame in enumerate(frames):
        before = None
        if follow and number:
            before = nst.FrameBefore(frames[number - 1].picture, results[-1])
        results.append(nst.stylize(frame.picture, style, settings, before=before).pixels)
        print("sequence" if follow else "alone", number, flush=True)
    return results


def differences(frames: Sequence[MovingFrame], results: Sequence[Picture]) -> list[Picture]:
    """Return how much each frame but the first differs from the one before, as pictures."""
    maps = []
    for frame, now, before in zip(frames[1:], results[1:], results, strict=False):
        levels = np.abs(warped(np.float32(before), frame.flow) - now).mean(axis=-1) / BRIGHTEST
        shown = np.where(frame.is_seen, levels.clip(0, 255), 128)
        maps.append(np.repeat(shown.astype(np.uint8)[..., np.newaxis], 3, axis=-1))
        print(f"mean difference {levels[frame.is_seen].mean() * BRIGHTEST / 255:.4f}", flush=True)
    return [np.zeros_like(maps[0]), *maps]


def sheet_of(rows: dict[str, list[Picture]]) -> Image.Image:
    """Return rows of pictures, each with its label above it."""
    columns = len(next(iter(rows.values())))
    size = (GAP + (WIDTH + GAP) * columns, (LABEL + HEIGHT + GAP) * len(rows))
    sheet = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for row, (label, pictures) in enumerate(rows.items()):
        top = row * (LABEL + HEIGHT + GAP)
        draw.text((GAP, top + LABEL / 2), label, fill="black", font=font, anchor="lm")
        for column, picture in enumerate(pictures):
            sheet.paste(Image.fromarray(picture), (GAP + column * (WIDTH + GAP), top + LABEL))
    return sheet


def draw() -> Image.Image:
    """Return the sheet."""
    frames = moving_picture(COUNT, HEIGHT, WIDTH)
    alone, sequence = (stylized(frames, follow=follow) for follow in (False, True))
    rows = {
        "frames 3 to 6": [frame.picture for frame in frames],
        "each frame alone": alone,
        "as a sequence": sequence,
        "each frame alone: difference from the frame before": differences(frames, alone),
        "as a sequence: difference from the frame before": differences(frames, sequence),
    }
    return sheet_of({label: pictures[SHOWN] for label, pictures in rows.items()})


if __name__ == "__main__":
    save(draw(), Path(sys.argv[1]), LARGEST_FILE)
