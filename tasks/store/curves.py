"""The loss curve of a row: the sizes, steps and losses of its iterates, stored in a CSV file."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from nst_core.errors import UserError
from nst_core.storage.files import read_kept
from nst_core.storage.places import Place, redacted
from nst_core.transfer.losses.terms import FIRST_TERMS, LOSS_TERMS, loss_name
from tasks.store.records import PictureRecord

MOST_BYTES = 64 << 20
"""The largest size of a curve's file; ours have about 60 bytes for every ten steps."""

ROUNDING = 0.02
"""The share by which the loss of the saved 8-bit picture may differ from that before rounding."""


FIRST_COLUMNS = ("octave", "width", "height", "step", "evaluations", "total_loss")
COLUMNS = (*FIRST_COLUMNS, *map(loss_name, LOSS_TERMS))
"""The columns of a file; one lacks the loss terms that its row or its version does not have."""


class CurveError(UserError, ValueError):
    """A file that is not one of our loss curves; the message names it."""


class Point(NamedTuple):
    """The state of a row after some steps: a line of the file.

    Attributes:
        octave: counted from 1.
        width, height: the working size, in pixels.
        step: counted over all octaves.
        evaluations: of loss and gradient so far.
        total_loss: at this octave's size.
        term_losses: the loss terms before their weights, by name; a column for each.
    """

    octave: int
    width: int
    height: int
    step: int
    evaluations: int
    total_loss: float
    term_losses: Mapping[str, float]


def curve_csv(points: list[Point]) -> bytes:
    """Return the contents of a loss curve's file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    there = points[0].term_losses if points else FIRST_TERMS
    terms = [term for term in LOSS_TERMS if term in there]
    writer.writerow([*FIRST_COLUMNS, *map(loss_name, terms)])
    for *first, losses in points:
        writer.writerow([*first, *(losses[term] for term in terms)])
    return text.getvalue().encode()


def read_curve(path: Place) -> list[Point]:
    """Return the points of a file, in the order of their steps.

    Raises:
        OSError: the file does not exist, or cannot be read.
        CurveError: it is not a loss curve.
    """
    try:
        return points_of(read_kept(path, MOST_BYTES))
    except ValueError as error:
        raise CurveError(
            f"{redacted(path)}: found no loss curve; expected a CSV file with the columns "
            f"{', '.join(COLUMNS)}"
        ) from error


def points_of(data: bytes) -> list[Point]:
    """Return the points in a file's bytes.

    Raises:
        ValueError: they are not a loss curve.
    """
    rows = csv.reader(io.StringIO(data.decode(errors="replace")))
    try:
        terms = _terms_of(next(rows))
        return [_point(row, terms) for row in rows]
    except (StopIteration, csv.Error) as error:
        raise ValueError("no rows, or other columns") from error


def _terms_of(columns: Sequence[str]) -> list[str]:
    """Return the loss terms that a file has.

    Raises:
        ValueError: these are not the columns of a loss curve.
    """
    there = [term for term in LOSS_TERMS if loss_name(term) in columns]
    expected = [*FIRST_COLUMNS, *map(loss_name, there)]
    if list(columns) != expected or not {*there}.issuperset(FIRST_TERMS):
        raise ValueError("other columns")
    return there


def _point(cells: Sequence[str], terms: Sequence[str]) -> Point:
    octave, width, height, step, evaluations, *losses = cells
    total, *of_terms = map(float, losses)
    return Point(
        *(int(octave), int(width), int(height), int(step), int(evaluations)),
        *(total, dict(zip(terms, of_terms, strict=True))),
    )


def is_curve_of(data: bytes, record: PictureRecord) -> bool:
    """Return whether a file's bytes are a loss curve that ends where a record's picture does."""
    try:
        last = points_of(data)[-1]
    except (ValueError, IndexError):
        return False
    ends_there = (last.width, last.height, last.evaluations) == (
        *(record.width, record.height, record.evaluations),
    )
    return ends_there and math.isclose(last.total_loss, record.total_loss, rel_tol=ROUNDING)


def thinned(losses: Sequence[float], most: int) -> Sequence[float]:
    """Return at most `most` of the losses, evenly spread, including the first and the last."""
    if len(losses) <= most:
        return losses
    last = len(losses) - 1
    return [losses[round(number * last / (most - 1))] for number in range(most)]
