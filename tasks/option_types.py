"""Types of the options of a run: their groups, how help shows them, and their limits."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema

from nst_core.devices import PATTERN
from nst_core.storage.places import WEB_URL
from nst_core.transfer.octaves import REPORT_EVERY


class Group(StrEnum):
    """The groups of options, in the order in which help and documents show them."""

    WHAT = "What to run"
    LOOK = "How it looks"
    WHERE = "Where it runs"
    OUTPUT = "Output"


@dataclass(frozen=True)
class Shown:
    """How help and documents show a field.

    Attributes:
        group: the group in which they show it.
        unless_given: what applies if the field is not given; empty if its default says this.
    """

    group: Group
    unless_given: str = ""


def _web_url(text: str) -> str:
    if not re.match(WEB_URL, text):
        raise ValueError("expected http:// or https://, and no user name, '?' or '#'")
    return text


SaveEvery = Annotated[int, Field(gt=0, multiple_of=REPORT_EVERY)]
CheckpointEvery = Annotated[float, Field(ge=0, allow_inf_nan=False)]
PREVIEW_ROWS = 6
SIDE_OF_FEW, SIDE_OF_ALL = 256, 128
"""The longest sides of previews of a few rows and of all rows, in pixels."""

PreviewSide = Annotated[int, Field(ge=16, le=8192)]
MaxPixels = Annotated[int, Field(ge=1)]
Retries = Annotated[int, Field(ge=0, le=100)]
WebUrl = Annotated[
    str, AfterValidator(_web_url), WithJsonSchema({"type": "string", "pattern": WEB_URL})
]
TypedDevices = Annotated[str, WithJsonSchema({"type": "string", "pattern": f"^({PATTERN})$"})]
"""Devices as a user types them, perhaps with capitals and spaces; `check` says what is wrong."""
