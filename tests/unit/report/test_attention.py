"""Which rows are looked at first."""

import random

import pytest

from tasks.report.attention import Scores, places_from_worst, score_text


def test_the_lowest_of_either_score_comes_first() -> None:
    rows: list[Scores] = [(0.9, 0.3), (0.1, 0.35), (0.95, 0.01), (1.0, 0.4)]
    places = places_from_worst(rows)
    assert places == [0.25, 0.0, 0.0, 0.75]


def test_the_sizes_of_scores_do_not_matter_but_their_order_does() -> None:
    """By comparison with a count of the rows that are lower."""
    draw = random.Random(5)
    rows: list[Scores] = [
        (draw.choice([None, draw.gauss(0.9, 0.01)]), draw.choice([None, draw.uniform(-1, 1)]))
        for _ in range(60)
    ]

    def share(row: Scores, column: int) -> float:
        known = [each[column] for each in rows if each[column] is not None]
        return sum(each < row[column] for each in known) / len(known)

    expected = [
        min((share(row, column) for column in (0, 1) if row[column] is not None), default=None)
        for row in rows
    ]
    assert places_from_worst(rows) == expected
    assert None in expected


def test_equal_scores_have_equal_places() -> None:
    assert places_from_worst([(0.5, None), (0.5, None), (0.6, None)]) == [
        0,
        0,
        pytest.approx(2 / 3),
    ]
    assert places_from_worst([(None, None)]) == [None]
    assert places_from_worst([]) == []


def test_scores_have_two_decimals() -> None:
    assert [score_text(score) for score in (None, 0.999, -0.001, -0.126, 1.5)] == [
        *("", "1.00", "0.00", "-0.13", "1.50")
    ]
