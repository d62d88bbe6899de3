"""`nst-batch demo`: sample pictures, and a manifest for them."""

import csv
import io

from flows.cli.exit_codes import SUCCESS
from flows.cli.terminal import Terminal, refuse
from nst_core.errors import UserError
from nst_core.images.write import encode_png
from nst_core.samples.paintings import PAINTINGS
from nst_core.samples.photographs import photograph
from nst_core.storage.files import write_atomic
from nst_core.storage.places import Place

CONTENTS = ("cat", "coffee", "rocket", "astronaut")
PHOTOGRAPHED_STYLES = ("galaxies", "tissue")
PAINTED_STYLES = ("mosaic", "pointillism", "stained_glass", "swirls", "woodcut")
PAINTING_SIZE = 512
PAINTING_SEED = 1

HEADER = ("content", "style", "size")
SIZE = 384
ROWS = (
    ("cat", "woodcut"),
    ("cat", "swirls"),
    ("coffee", "stained_glass"),
    ("coffee", "swirls"),
    ("rocket", "pointillism"),
    ("astronaut", "mosaic"),
)


def write_demo(terminal: Terminal, folder: Place) -> int:
    """Write contents, styles and `demo.csv` into a folder; their bytes are the same each time."""
    pictures = {
        **{f"contents/{name}.png": photograph(name) for name in CONTENTS},
        **{f"styles/{name}.png": photograph(name) for name in PHOTOGRAPHED_STYLES},
        **{
            f"styles/{name}.png": PAINTINGS[name](PAINTING_SIZE, PAINTING_SEED)
            for name in PAINTED_STYLES
        },
    }
    try:
        for name, picture in pictures.items():
            write_atomic(folder / name, encode_png(picture))
        write_atomic(folder / "demo.csv", demo_manifest("").encode())
    except OSError as error:
        wrong = f"{folder}: cannot be written: {error.strerror}; choose another folder"
        return refuse(terminal, UserError(wrong))
    manifest = folder / "demo.csv"
    terminal.say(f"{folder}: {len(pictures)} pictures and {manifest.name}, {len(ROWS)} rows")
    terminal.say(f"next: nst-batch run {manifest} --output {folder / 'results'}")
    terminal.result({"manifest": str(manifest), "pictures": sorted(pictures)})
    return SUCCESS


def demo_manifest(prefix: str) -> str:
    """Return the demo's manifest as CSV, with a prefix before each path."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for content, style in ROWS:
        pictures = (f"{prefix}contents/{content}.png", f"{prefix}styles/{style}.png")
        writer.writerow((*pictures, SIZE))
    return text.getvalue()
