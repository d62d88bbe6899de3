"""Rows in flight: a limited number is drawn ahead of the one that is awaited."""

from collections.abc import Iterator

import pytest

from tasks.engine.in_flight import lookahead


@pytest.mark.parametrize("most", [0, 1, 3, 10])
def test_items_come_in_order_with_a_limited_number_drawn_ahead(most: int) -> None:
    drawn: list[int] = []

    def items() -> Iterator[int]:
        for number in range(6):
            drawn.append(number)
            yield number

    seen = []
    for number in lookahead(items(), most):
        seen.append(number)
        assert len(drawn) == min(6, number + 1 + most)
    assert seen == list(range(6))
