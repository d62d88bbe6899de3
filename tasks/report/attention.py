"""Which rows to look at first: those whose scores are lowest among the rows of a batch."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence

Scores = tuple[float | None, float | None]
"""The style score and the content score of a row; None where there is none."""


def places_from_worst(rows: Sequence[Scores]) -> list[float | None]:
    """Return the place of each row in the order in which to look at them; 0 is the first.

    The two scores cannot be added, since a batch may have all of its style scores near 1 and all of
    its content scores near 0.2. Therefore each row counts by its place among all rows, as a share
    from 0 to 1: by its style score or by its content score, whichever place is worse.

    Args:
        rows: the scores of all rows.

    Returns:
        The worse share of each row; None for those without scores.
    """
    styles = sorted(style for style, _ in rows if style is not None)
    contents = sorted(content for _, content in rows if content is not None)
    return [min(_shares(row, (styles, contents)), default=None) for row in rows]


def _shares(row: Scores, known: tuple[Sequence[float], Sequence[float]]) -> Iterator[float]:
    """Yield the share of all known scores that are lower than each score of a row."""
    for score, those in zip(row, known, strict=True):
        if score is not None:
            yield bisect_left(those, score) / len(those)


def score_text(score: float | None) -> str:
    """Return a score with two decimals; empty if there is none."""
    return "" if score is None else f"{score:z.2f}"
