"""A table against the one before it."""

from typing import Any

import pandas as pd
import pytest

from tasks.report.comparison import compare, gone, is_comparable

SAME = {"output": "a.png", "status": "done", "key": "k", "total_loss": 0.5}


def table(*rows: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame([{"picture": None, **row} for row in rows])


@pytest.mark.parametrize(
    ("then", "now", "change"),
    [
        ({}, {"status": "cached"}, "same"),
        ({}, {"status": "cached", "total_loss": 0.5001}, "same"),
        ({}, {"total_loss": 0.6}, "moved"),
        ({}, {"total_loss": 0.4}, "moved"),
        ({}, {"key": "other"}, "changed"),
        ({}, {"key": "other", "total_loss": 0.6}, "changed"),
        ({}, {"status": "failed", "key": None, "total_loss": None}, "broken"),
        ({}, {"status": "invalid", "key": None, "total_loss": None}, "broken"),
        ({}, {"status": "interrupted", "key": None, "total_loss": None}, "same"),
        ({"status": "failed", "key": None, "total_loss": None}, {}, "mended"),
        ({"status": "invalid", "key": None, "total_loss": None}, {}, "mended"),
        ({"status": "pending", "key": None, "total_loss": None}, {}, "new"),
        ({"status": "interrupted", "key": None, "total_loss": None}, {}, "new"),
        ({"status": "failed"}, {"status": "failed"}, "same"),
        ({"output": "b.png"}, {}, "new"),
        ({}, {"output": "", "status": "invalid"}, ""),
    ],
)
def test_what_became_of_a_row(then: dict[str, Any], now: dict[str, Any], change: str) -> None:
    compared = compare(table(SAME | now), table(SAME | then))
    assert list(compared["change"]) == [change]


def test_the_loss_before_stands_beside_the_loss_now() -> None:
    earlier = table(SAME, SAME | {"output": "b.png", "total_loss": 0.25})
    now = table(SAME | {"output": "b.png"}, SAME | {"output": "c.png"}, SAME)
    compared = compare(now, earlier)
    assert list(compared["previous_loss"].fillna(-1)) == [0.25, -1, 0.5]
    assert list(compared["total_loss"]) == [0.5, 0.5, 0.5]


def test_without_a_table_before_there_is_nothing_to_compare_with() -> None:
    compared = compare(table(SAME), None)
    assert list(compared["change"]) == [""]
    assert compared["previous_loss"].isna().all()
    assert gone(compared, None) == []


def test_what_is_gone_is_told_in_the_order_it_had() -> None:
    earlier = table(*(SAME | {"output": f"{name}.png"} for name in "dabc"), SAME | {"output": ""})
    assert gone(table(SAME | {"output": "b.png"}), earlier) == ["d.png", "a.png", "c.png"]


def test_of_two_rows_of_one_output_the_first_counts() -> None:
    second = {"status": "invalid", "key": None, "total_loss": None}
    earlier = table(SAME, SAME | second)
    assert list(compare(table(SAME), earlier)["change"]) == ["same"]


def test_a_table_of_an_older_version_cannot_be_compared() -> None:
    assert is_comparable(table(SAME))
    assert not is_comparable(table(SAME).drop(columns="key"))
