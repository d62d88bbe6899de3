"""What a record says of the attempts that failed before its own."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Sentence = Annotated[str, Field(max_length=2000)]


class Tried(BaseModel):
    """A record of something that may have been tried more than once.

    Attributes:
        failures: why the earlier attempts of the same run failed; in JSON only if there are any, so
            that all other records are the same as those of earlier versions.
    """

    model_config = ConfigDict(frozen=True)

    failures: tuple[Sentence, ...] = Field((), exclude_if=lambda failures: not failures)
