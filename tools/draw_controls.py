"""Draw the pictures of docs/controls.md and docs/style-losses.md: sheets of a control's values.

    python tools/draw_controls.py color docs/pictures/control-color.jpg

The content and the style are sample pictures, so that anybody can draw the same sheets.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont
from sheets import save

import nst_core as nst
from nst_core.images.resize import fit
from nst_core.samples.paintings import PAINTINGS
from nst_core.samples.photographs import photograph

SIDE = 256
"""The longest side of each picture, in pixels."""

GAP, LABEL = 8, 18
"""The space between pictures, and the height of their labels, in pixels."""

LARGEST_FILE = 60_000
"""In bytes; the quality of the JPEG is lowered until the file is small enough."""

CONTENT, STYLE, OTHER_STYLE = "coffee", "swirls", "stained_glass"
BLENDED = (STYLE, OTHER_STYLE)

OTHER_CONTENTS = {"faces": "cat"}
"""The contents of sheets that have another one, by the name of the sheet."""

Choices = Mapping[str, Any]

ADAM = {"optimizer": "adam", "learning_rate": 0.05}

CONTROLS: Mapping[str, Sequence[tuple[str, Choices]]] = {
    "color": [(f"color = {color}", {"color": color}) for color in ("match", "style", "content")],
    "color-match": [
        (f"color_match = {method}", {"color_match": method})
        for method in ("symmetric", "pca", "cholesky", "histogram")
    ],
    "tv": [
        ("tv_weight = 0", {"tv_weight": 0}),
        ("l2, tv_weight = 5", {"tv_weight": 5}),
        ("l1, tv_weight = 0.5", {"tv_kind": "l1", "tv_weight": 0.5}),
        ("9-point, tv_weight = 5", {"tv_kind": "9-point", "tv_weight": 5}),
    ],
    "start": [
        *((f"start_blend = {share}", {"start_blend": share}) for share in (0, 0.5, 1)),
        ("init = the rocket", {"init": "rocket"}),
    ],
    "starts": [(f"start = {start}", {"start": start}) for start in ("content", "noise", "gray")],
    "content-weight": [
        (f"content_weight = {weight}", {"content_weight": weight})
        for weight in (0.01, 0.05, 0.2, 1)
    ],
    "layers": [
        ("the defaults", {}),
        ("style: relu1_1", {"style_layers": "relu1_1"}),
        ("style: relu4_1", {"style_layers": "relu4_1"}),
        ("content: relu2_2 relu3_2", {"content_layers": "relu2_2 relu3_2"}),
    ],
    "gram": [
        (f"{gram}, pooling = {pooling}", {"gram": gram, "pooling": pooling})
        for gram, pooling in (
            ("centered", "trained"),
            ("raw", "trained"),
            ("centered", "average"),
            ("centered", "max"),
        )
    ],
    "octaves": [
        (f"octaves = {octaves}, steps = {steps}", {"octaves": octaves, "steps": steps})
        for octaves, steps in ((1, 80), (2, 80), (3, 80))
    ],
    "style-scale": [(f"style_scale = {scale}", {"style_scale": scale}) for scale in (0.25, 0.5, 1)],
    "optimizer": [
        ("L-BFGS, 40 steps", {}),
        ("Adam, 40 steps", {"optimizer": "adam"}),
        ("Adam, 160 steps", {"optimizer": "adam", "steps": 160}),
    ],
    "average": [
        ("Adam", ADAM),
        ("average = 0.95", {**ADAM, "average": 0.95}),
        ("cosine", {**ADAM, "learning_rate_decay": "cosine"}),
        ("carry_state = on", {**ADAM, "carry_state": True}),
    ],
    "style-measure": [
        ("gram", {}),
        ("moments, style_weight = 5", {"style_measure": "moments", "style_weight": 5}),
        ("wasserstein", {"style_measure": "wasserstein"}),
        ("gram:1 shifted-gram:1", {"style_measure": "gram:1 shifted-gram:1"}),
    ],
    "style-measure-2": [
        (measure, {"style_measure": measure})
        for measure in ("sliced", "histogram", "neighbors", "gram:1 neighbors:1")
    ],
    "normalize-gradients": [
        (f"{name}, normalized" if on else name, {**choices, "normalize_gradients": on})
        for name, choices in (
            ("mean", {"normalization": "mean"}),
            ("moments", {"style_measure": "moments"}),
        )
        for on in (False, True)
    ],
    "styles": [
        *(
            (f"style_blend = {blend}", {"styles": BLENDED, "style_blend": blend})
            for blend in ("1; 0", "3; 1", "1; 1", "1; 3", "0; 1")
        ),
    ],
    "style-mix": [
        *(
            (f"{mix}: {' to '.join(styles)}", {"styles": styles, "style_mix": mix})
            for mix in ("octaves", "layers")
            for styles in (BLENDED, BLENDED[::-1])
        ),
        ("style_rotations = 4", {"style_rotations": 4}),
    ],
    "faces": [
        ("gram", {}),
        ("wasserstein", {"style_measure": "wasserstein"}),
        ("gram:1 neighbors:1", {"style_measure": "gram:1 neighbors:1"}),
        ("moments, style_weight = 5", {"style_measure": "moments", "style_weight": 5}),
    ],
    "content-measure": [
        (f"{measure}, {weight:g}", {"content_measure": measure, "content_weight": weight})
        for measure, weight in (
            ("features", 0.05),
            ("self-similarity", 0.05),
            ("self-similarity", 1),
        )
    ],
    "strength": [
        (f"strength = {strength}", {"strength": strength}) for strength in (0.25, 0.5, 0.75, 1)
    ],
}
"""The labels and the settings of each sheet's pictures, by the name of the control."""


RED, BLUE = (255, 0, 0), (0, 0, 255)

Paint = str | tuple[int, ...]


def cup_mask(cup: Paint, table: Paint) -> Image.Image:
    """Return a mask of the photograph `coffee`: the cup with its saucer, and the table."""
    mask = Image.new("RGB", (600, 400), table)
    draw = ImageDraw.Draw(mask)
    for corners in ((77, 63, 479, 387), (172, 17, 409, 211)):
        draw.ellipse(corners, cup)
    draw.polygon([(402, 75), (418, 66), (425, 80), (400, 130)], cup)
    return mask


def gray_masks(content: Image.Image, style: Image.Image) -> dict[str, Image.Image]:
    """Return results with gray masks, and what they are made from."""
    settings = nst.resolve({"preset": "draft", "seed": 1})
    pictures = {"the photograph": content}
    for name, mask in (
        ("the table", cup_mask("black", "white")),
        ("the cup", cup_mask("white", "black")),
    ):
        outcome = nst.stylize(content, style, settings, content_mask=mask)
        pictures |= {f"content_mask: {name}": mask, f"{name} is stylized": outcome.image}
    return pictures


def colored_masks(content: Image.Image, style: Image.Image) -> dict[str, Image.Image]:
    """Return a result with color-coded masks, and what it is made from."""
    half = (SIDE // 2, 0, SIDE, SIDE)
    both, style_mask = style.copy(), Image.new("RGB", style.size, RED)
    both.paste(Image.fromarray(PAINTINGS[OTHER_STYLE](SIDE, 1)).crop(half), half)
    style_mask.paste(BLUE, half)
    mask, settings = cup_mask(RED, BLUE), nst.resolve({"preset": "draft", "seed": 1})
    outcome = nst.stylize(content, both, settings, content_mask=mask, style_mask=style_mask)
    return {
        "content_mask": mask,
        "the style": both,
        "style_mask": style_mask,
        "the result": outcome.image,
    }


MASKS = {"masks": gray_masks, "masks-2": colored_masks}
"""The sheets that show masks, by name."""


def sheet_of(pictures: Mapping[str, Image.Image]) -> Image.Image:
    """Return pictures of one size side by side, with their labels below them."""
    pictures = {label: picture.copy() for label, picture in pictures.items()}
    for picture in pictures.values():
        picture.thumbnail((SIDE, SIDE))
    height = max(picture.height for picture in pictures.values())
    size = (GAP + (SIDE + GAP) * len(pictures), GAP + height + LABEL)
    sheet = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for number, (label, picture) in enumerate(pictures.items()):
        left = GAP + number * (SIDE + GAP)
        sheet.paste(picture, (left, GAP))
        where = (left + SIDE / 2, GAP + height + LABEL / 2)
        draw.text(where, label, fill="black", font=font, anchor="mm")
    return sheet


def draw(name: str) -> Image.Image:
    """Return the sheet of a control: the content, and the results with its values."""
    photo = Image.fromarray(photograph(OTHER_CONTENTS.get(name, CONTENT)))
    height, width = fit(photo.height, photo.width, SIDE)
    content = photo.resize((width, height))
    if name in MASKS:
        return sheet_of(MASKS[name](content, Image.fromarray(PAINTINGS[STYLE](SIDE, 1))))
    pictures = {"the photograph": content}
    for label, choices in CONTROLS[name]:
        print(label, flush=True)
        chosen = {"preset": "draft", "seed": 1, **choices}
        init = photograph(chosen.pop("init")) if "init" in chosen else None
        styles = [PAINTINGS[style](SIDE, 1) for style in chosen.pop("styles", (STYLE,))]
        pictures[label] = nst.stylize(
            content, nst.Blend(styles), nst.resolve(chosen), init=init
        ).image
    return sheet_of(pictures)


if __name__ == "__main__":
    save(draw(sys.argv[1]), Path(sys.argv[2]), LARGEST_FILE)
