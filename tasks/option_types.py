"""Types of what can be asked of a run: groups, numbers with limits, and texts with a form."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, GetJsonSchemaHandler, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from nst_core.devices import PATTERN
from nst_core.storage.places import WEB_URL
from nst_core.transfer.octaves import REPORT_EVERY
from nst_core.transfer.setting_types import one_type


class Group(StrEnum):
    """The groups of options, in the order in which help and documents show them."""

    WHAT = "What to run"
    OFTEN = "How it looks: often wanted"
    LOOK = "How it looks: everything else"
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
MaxRows = Annotated[int, Field(ge=1)]
MaxPixels = Annotated[int, Field(ge=1)]
Retries = Annotated[int, Field(ge=0, le=100)]
WebUrl = Annotated[
    str, AfterValidator(_web_url), WithJsonSchema({"type": "string", "pattern": WEB_URL})
]
TypedDevices = Annotated[str, WithJsonSchema({"type": "string", "pattern": f"^({PATTERN})$"})]
"""Devices as a user types them, perhaps with capitals and spaces; `check` says what is wrong."""


Value = TypeVar("Value")


class _OrEmpty:
    """Gives a text one type in its JSON schema, and lets it be empty, whatever its pattern is."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        found = one_type(handler(schema))
        return found | ({"pattern": f"{found['pattern']}|^$"} if "pattern" in found else {})


class _OrZero:
    """Gives a number one type in its JSON schema, and lets it be 0, too."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        found = one_type(handler(schema))
        limits = ("minimum", "exclusiveMinimum")
        return {"minimum": 0, **{key: found[key] for key in found if key not in limits}}


def _none_if_empty(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


def _none_if_zero(value: object) -> object:
    return None if str(value).strip() in ("", "0") else value


Maybe = Annotated[Value | None, BeforeValidator(_none_if_empty), _OrEmpty()]
"""A text that may be left out. In a form, it is one input; an empty text means nothing."""

MaybeNumber = Annotated[Value | None, BeforeValidator(_none_if_zero), _OrZero()]
"""A number above 0 that may be left out. In a form, it is one input, and 0 means nothing."""
