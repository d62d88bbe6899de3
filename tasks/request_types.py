"""Types of what can be asked of a run: numbers with limits, and texts with a form."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema

from nst_core.devices import PATTERN
from nst_core.storage.places import WEB_URL
from nst_core.transfer.octaves import REPORT_EVERY


def _web_url(text: str) -> str:
    if not re.match(WEB_URL, text):
        raise ValueError("expected http:// or https://, and no user name, '?' or '#'")
    return text


SaveEvery = Annotated[int, Field(gt=0, multiple_of=REPORT_EVERY)]
CheckpointEvery = Annotated[float, Field(ge=0, allow_inf_nan=False)]
MaxRows = Annotated[int, Field(ge=1)]
MaxPixels = Annotated[int, Field(ge=1)]
Retries = Annotated[int, Field(ge=0, le=100)]
WebUrl = Annotated[
    str, AfterValidator(_web_url), WithJsonSchema({"type": "string", "pattern": WEB_URL})
]
TypedDevices = Annotated[str, WithJsonSchema({"type": "string", "pattern": f"^({PATTERN})$"})]
"""Devices as a user types them, perhaps with capitals and spaces; `check` says what is wrong."""
