"""The loss curve of a row: what is kept of its iterates, as a CSV file."""

import csv
import io
from collections.abc import Sequence
from typing import NamedTuple

from nst_core.files import read_whole
from nst_core.places import Place, told


class CurveError(ValueError):
    """A file that is no loss curve of ours; the message names it."""


class Point(NamedTuple):
    """Where a row was after so many steps; the fields are the file's columns.

    Attributes:
        octave: from 1.
        width, height: that were worked at, in pixels.
        step: over all octaves.
        evaluations: of loss and gradient so far.
        total_loss, content_loss, style_loss, tv_loss: at this octave's size; the last three before
            their weights.
    """

    octave: int
    width: int
    height: int
    step: int
    evaluations: int
    total_loss: float
    content_loss: float
    style_loss: float
    tv_loss: float


def curve_csv(points: list[Point]) -> bytes:
    """The file."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([Point._fields, *points])
    return text.getvalue().encode()


def read_curve(path: Place) -> list[Point]:
    """The points of a file, in the order of their steps.

    Raises:
        OSError: it is not there, or cannot be read.
        CurveError: it is no loss curve.
    """
    rows = csv.reader(io.StringIO(read_whole(path).decode(errors="replace")))
    try:
        if tuple(next(rows)) != Point._fields:
            raise ValueError("other columns")
        return [Point(*map(int, row[:5]), *map(float, row[5:])) for row in rows]
    except (StopIteration, TypeError, ValueError) as error:
        raise CurveError(
            f"{told(path)}: found no loss curve; expected a CSV file with the columns "
            f"{', '.join(Point._fields)}"
        ) from error


def thinned(losses: Sequence[float], most: int) -> Sequence[float]:
    """At most so many of the losses, spread evenly, the first and the last among them."""
    if len(losses) <= most:
        return losses
    last = len(losses) - 1
    return [losses[round(number * last / (most - 1))] for number in range(most)]
