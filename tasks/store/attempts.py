"""What a record says of the attempts that failed before its own."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

Sentence = Annotated[str, Field(max_length=2000)]


class Tried(BaseModel):
    """A record of something that may have been tried more than once.

    Attributes:
        failures: why the earlier attempts of the same run failed; in JSON only if there are any, so
            that all other records are the same as those of earlier versions.
    """

    model_config = ConfigDict(frozen=True)

    failures: tuple[Sentence, ...] = ()

    @model_serializer(mode="wrap")
    def _without_no_failures(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = serialize(self)
        if not self.failures:
            fields.pop("failures", None)
        return fields
