"""Draw the picture of large results in docs/reliability.md: a whole one, and a part pixel by pixel.

    python tools/draw_tiles.py docs/pictures/control-tiles.jpg [--size 4096]

The content is a sample photograph, enlarged, so that anybody can draw the same picture. Only one
layer is used, because a row of this size takes long on a CPU.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image
from sheets import save

import nst_core as nst
from nst_core.images.resize import resize
from nst_core.networks.loading import load_encoder
from nst_core.samples.paintings import PAINTINGS
from nst_core.samples.photographs import photograph
from nst_core.transfer.styles.statistics import style_targets
from nst_core.transfer.stylize import finish, iterates
from nst_core.transfer.tiles.grid import Tiles

HEIGHT, GAP = 400, 8
"""The height of both parts, and the space around them, in pixels."""

LARGEST_FILE = 120_000
"""In bytes; the quality of the JPEG is lowered until the file is small enough."""

CHOICES = {
    "enlarge": True,
    "octaves": 1,
    "steps": 4,
    "tolerance": 0,
    "style_layers": "relu1_1",
    "content_layers": "relu1_1",
}


def large_picture(size: int) -> Image.Image:
    """Return the photograph of a cat in the style of swirls, computed in tiles."""
    settings = nst.resolve({"size": size, **CHOICES})
    encoder = load_encoder(settings.encoder)
    targets = style_targets(encoder, PAINTINGS["swirls"](256, 0), settings)
    content = photograph("cat").astype(np.float32) / np.float32(255)
    height, width = content.shape[:2]
    large = resize(content, round(height * size / width), size)
    return finish(iterates(encoder, large, targets, settings, seed=0, tiles=Tiles(pairs=3))).image


def sheet_of(picture: Image.Image) -> Image.Image:
    """Return the whole picture beside the part around the cat's eye, pixel by pixel."""
    width = round(HEIGHT * picture.width / picture.height)
    left, top = round(0.32 * picture.width), round(0.31 * picture.height)
    part = picture.crop((left, top, left + width, top + HEIGHT))
    sheet = Image.new("RGB", (2 * width + 3 * GAP, HEIGHT + 2 * GAP), "white")
    sheet.paste(picture.resize((width, HEIGHT)), (GAP, GAP))
    sheet.paste(part, (width + 2 * GAP, GAP))
    return sheet


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("--size", type=int, default=4096)
    options = parser.parse_args()
    save(sheet_of(large_picture(options.size)), options.path, LARGEST_FILE)
