"""Make the results of manifests/gallery.csv, and draw the two pictures at the top of README.md.

    python tools/draw_gallery.py docs/pictures

The photographs come with scikit-image, and the styles are painted by our code. If it is run again,
only results that are not done yet are made.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from draw_controls import cup_mask
from PIL import Image, ImageDraw, ImageFont, ImageOps
from sheets import save

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "build" / "gallery"
INPUTS = FOLDER / "inputs"
TABLE = "table.png"
"""The mask of the photograph `coffee` that leaves the cup as it is."""

GAP, LABEL, FONT = 10, 36, 21
"""The space between pictures, and the height of labels and their letters, in pixels."""

INSET = 0.26
"""The width of the small pictures in a corner, as a share of the picture's."""

LARGEST_FILE = 290_000
"""In bytes; the quality of the JPEG is lowered until the file is small enough."""


class Cell(NamedTuple):
    """A picture of a sheet, the text below it, and the small pictures in its corner."""

    label: str
    picture: Path
    insets: Sequence[Path] = ()


def content(name: str) -> Path:
    """Return where the demo has a photograph."""
    return INPUTS / "contents" / f"{name}.png"


def style(name: str) -> Path:
    """Return where the demo has a style."""
    return INPUTS / "styles" / f"{name}.png"


def result(name: str) -> Path:
    """Return where the run writes a result."""
    return FOLDER / "pictures" / f"{name}.png"


STYLES = ("mosaic", "pointillism", "stained_glass", "swirls", "woodcut")

SHEETS = {
    "gallery-styles.jpg": (
        3,
        Cell("the photograph", content("cat")),
        *(Cell(name.replace("_", " "), result(f"cat-{name}"), [style(name)]) for name in STYLES),
    ),
    "gallery-controls.jpg": (
        4,
        Cell("photograph and style", content("coffee"), [style("swirls")]),
        *(
            Cell(f"style_weight = {weight}", result(f"style_weight-{weight}"))
            for weight in ("0.1", "1", "10")
        ),
        Cell("strength = 0.5", result("strength")),
        Cell("color = content", result("color")),
        Cell("content_mask", result("mask"), [INPUTS / TABLE]),
        Cell("two styles", result("two-styles"), [style("swirls"), style("stained_glass")]),
    ),
}
"""The number of columns and the cells of each sheet, by the name of its file."""


def make_results() -> None:
    """Write the inputs, and run the manifest."""
    batch = str(Path(sys.executable).with_name("nst-batch"))
    subprocess.run([batch, "demo", str(INPUTS)], check=True)
    cup_mask("black", "white").save(INPUTS / TABLE)
    manifest, cache = ROOT / "manifests" / "gallery.csv", ROOT / "build" / "cache"
    run = [batch, "run", str(manifest), "--output", str(FOLDER), "--cache", str(cache)]
    subprocess.run(run, check=True)


def with_insets(cell: Cell, width: int) -> Image.Image:
    """Return a cell's picture at a width, with its small pictures at the bottom left."""
    picture = Image.open(cell.picture).convert("RGB")
    height = round(picture.height * width / picture.width)
    picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    left = 0
    for path in cell.insets:
        inset = Image.open(path).convert("RGB")
        inset.thumbnail((round(INSET * width), height))
        framed = ImageOps.expand(ImageOps.expand(inset, 2, "white"), 1, "gray")
        picture.paste(framed, (left, height - framed.height))
        left += framed.width
    return picture


def sheet_of(columns: int, cells: Sequence[Cell], width: int) -> Image.Image:
    """Return the cells of pictures with one aspect in rows, with labels below the pictures."""
    pictures = [with_insets(cell, width) for cell in cells]
    height = max(picture.height for picture in pictures)
    rows = -(-len(cells) // columns)
    size = (GAP + columns * (width + GAP), GAP + rows * (height + LABEL))
    sheet = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(FONT)
    for number, (cell, picture) in enumerate(zip(cells, pictures, strict=True)):
        row, column = divmod(number, columns)
        left, top = GAP + column * (width + GAP), GAP + row * (height + LABEL)
        sheet.paste(picture, (left, top))
        middle = (left + width / 2, top + height + LABEL / 2)
        draw.text(middle, cell.label, fill="black", font=font, anchor="mm")
    return sheet


if __name__ == "__main__":
    make_results()
    for name, (columns, *cells) in SHEETS.items():
        save(sheet_of(columns, cells, 1290 // columns), Path(sys.argv[1]) / name, LARGEST_FILE)
