"""Decimal commas, which spreadsheets write in many countries."""

import re

NUMBER = re.compile(r"\s*[+-]?\d+,\d+(?:[eE][+-]?\d+)?\s*")
WEIGHT_OF_NAME = re.compile(r"(:[+-]?\d+),(?=\d)")
"""A weight such as that in `relu1_1:0,5`; where a comma separates names, no digit follows it."""


def with_points(text: str) -> str:
    """Return the text of a setting with a point in place of each decimal comma.

    The text may be a number, numbers that are separated by semicolons, or names with weights.
    """
    items = (item.replace(",", ".") if NUMBER.fullmatch(item) else item for item in text.split(";"))
    return WEIGHT_OF_NAME.sub(r"\1.", ";".join(items))
