"""The pictures that a row was on its way -> `animations/`."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nst_core.animation import AnimationFormat, encode_animation
from nst_core.files import write_whole
from nst_core.pictures import fit, load, read_png_text, resize
from nst_core.places import Place, told
from tasks.finding import NoResultsError
from tasks.layout import animation_path, intermediates_folder, intermediates_of
from tasks.provenance import ROW_KEYWORD

LAST_FRAME_MS = 1500


def animate_row(
    row: "pd.Series[Any]", output: Place, kind: AnimationFormat, *, size: int, seconds: float
) -> Place:
    """Write a row's way as a moving picture, from its first intermediate to its result.

    Args:
        row: of the batch's table.
        output: the batch's output folder.
        kind: of the file.
        size: longest side in pixels; smaller pictures stay as they are.
        seconds: that the way takes; its end is then shown for a while.

    Returns:
        Where it is.

    Raises:
        NoResultsError: no intermediates were kept of the row.
        PictureError: one of them cannot be read.
        OSError: it cannot be written.
    """
    pictures = _own_intermediates(row, output)
    if not pictures:
        folder = told(intermediates_folder(output, row["output"]))
        raise NoResultsError(
            f"{folder}: no intermediates of line {row['line']}; run the batch with "
            "--save-every 10, and with --refresh if the row is done"
        )
    if not pd.isna(row["picture"]):
        pictures.append(output / row["picture"])
    animation = encode_animation(
        _frames(pictures, size),
        kind,
        frame_ms=round(1000 * seconds / len(pictures)),
        last_frame_ms=LAST_FRAME_MS,
    )
    path = animation_path(output, row["output"], f".{kind}")
    write_whole(path, animation)
    return path


def _own_intermediates(row: "pd.Series[Any]", output: Place) -> list[Place]:
    """Not those of another row that had the output's name before.

    A row without a key in the table has begun only where it was interrupted, and it removed the
    others then. Those of the version before do not say whose they are, and are taken for its own.
    """
    pictures = intermediates_of(output, row["output"])
    if pd.isna(row["key"]):
        return pictures if row["status"] == "interrupted" else []
    return [
        picture
        for picture in pictures
        if read_png_text(picture).get(ROW_KEYWORD, row["key"]) == row["key"]
    ]


def _frames(pictures: list[Place], size: int) -> Iterator[NDArray[np.uint8]]:
    """All of the shape of the last, as earlier ones are of coarser sizes."""
    tall, wide = load(pictures[-1], size=size).rgb.shape[:2]
    height, width = fit(tall, wide, size)
    for picture in pictures:
        rgb = load(picture, size=size).rgb
        yield np.rint(resize(rgb, height, width) * 255).astype(np.uint8)
