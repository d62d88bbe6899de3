"""Animations in `animations/`: of a row's intermediates, and of the frames of a sequence."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from nst_core.images.animation import AnimationFormat, encode_animation
from nst_core.images.levels import to_levels
from nst_core.images.read import load
from nst_core.images.resize import fit, resize
from nst_core.images.write import read_text
from nst_core.storage.files import write_atomic
from nst_core.storage.places import Place, redacted
from tasks.report.finding import NoResultsError
from tasks.report.table_row import TableRow
from tasks.store.output_folder import OutputFolder
from tasks.store.output_names import nearest_output
from tasks.store.provenance import ROW_KEYWORD

LAST_FRAME_MS = 1500


def animate_row(
    row: TableRow, output: OutputFolder, kind: AnimationFormat, *, size: int, seconds: float
) -> Place:
    """Write an animation of a row, from its first intermediate to its result.

    Args:
        row: a row of the batch's table.
        output: the batch's output folder.
        kind: the format of the file.
        size: the longest side in pixels; smaller pictures keep their size.
        seconds: how long the animation takes; its last picture is then shown for a while.

    Returns:
        The place of the file.

    Raises:
        NoResultsError: the row has no intermediates.
        PictureError: one of the pictures cannot be read.
        OSError: the file cannot be written.
    """
    pictures = _own_intermediates(row, output)
    if not pictures:
        folder = redacted(output.intermediates_folder(row.output))
        raise NoResultsError(
            f"{folder}: no intermediates of line {row.line}; run the batch with "
            "--save-every 10, and with --refresh if the row is done"
        )
    if row.picture:
        pictures.append(output.root / row.picture)
    animation = encode_animation(
        _frames(pictures, size),
        kind,
        frame_ms=round(1000 * seconds / len(pictures)),
        last_frame_ms=LAST_FRAME_MS,
    )
    path = output.animation(row.output, f".{kind}")
    write_atomic(path, animation)
    return path


def write_film(
    frames: Sequence[TableRow],
    output: OutputFolder,
    kind: AnimationFormat,
    *,
    size: int,
    fps: float,
) -> Place:
    """Write an animation of the results of a sequence, named after it.

    Args:
        frames: the rows of its frames, in order, each with a picture.
        output: the batch's output folder.
        kind: the format of the file.
        size: the longest side in pixels; smaller pictures keep their size.
        fps: frames per second; formats round the time of a frame, to 10 ms at worst.

    Returns:
        The place of the file.

    Raises:
        PictureError: one of the pictures cannot be read.
        OSError: the file cannot be written.
    """
    pictures = [output.root / row.picture for row in frames if row.picture]
    frame_ms = round(1000 / fps)
    film = encode_animation(
        _frames(pictures, size), kind, frame_ms=frame_ms, last_frame_ms=frame_ms
    )
    path = output.animation(nearest_output(frames[0].sequence), f".{kind}")
    write_atomic(path, film)
    return path


def _own_intermediates(row: TableRow, output: OutputFolder) -> list[Place]:
    """Return a row's intermediates, but not those of another row that had the same output before.

    A row without a key in the table has begun only if it was interrupted, and it removed the other
    row's intermediates when it began. Intermediates of the previous version do not name their row,
    and count as this row's.
    """
    pictures = output.intermediates(row.output)
    if row.key is None:
        return pictures if row.status == "interrupted" else []
    return [
        picture for picture in pictures if read_text(picture).get(ROW_KEYWORD, row.key) == row.key
    ]


def _frames(pictures: list[Place], size: int) -> Iterator[NDArray[np.uint8]]:
    """Yield all pictures in the shape of the last one, because earlier ones have coarser sizes."""
    tall, wide = load(pictures[-1], size=size).rgb.shape[:2]
    height, width = fit(tall, wide, size)
    for picture in pictures:
        rgb = load(picture, size=size).rgb
        yield to_levels(resize(rgb, height, width))
