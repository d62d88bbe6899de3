"""The settings of a result's file, which do not change what is optimized."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from nst_core.images.file_choices import DEPTHS, QUALITY, FormatName, MetadataChoice


def _depth(bits: int) -> int:
    if bits not in DEPTHS:
        raise ValueError("expected 8 or 16")
    return bits


Depth = Annotated[
    int,
    AfterValidator(_depth),
    WithJsonSchema({"type": "integer", "enum": [*DEPTHS], "allowed": "8 or 16"}),
]


class FileSettings(BaseModel):
    """How the file of a result is made of its pixels.

    None of these is in the key of a row's pixels; those that change a file's bytes are in the key
    of the file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: FormatName = Field(
        "png",
        description="format of results whose output has no extension; an output's extension "
        "(.png, .jpg, .jpeg, .webp, .tif or .tiff) takes precedence",
    )
    depth: Depth = Field(
        8,
        description="bits of each color: 16 for files of png and tiff that are edited further",
    )
    quality: int = Field(
        QUALITY,
        ge=1,
        le=100,
        description="quality of jpeg and webp; webp is lossless at 100",
    )
    enlarge_result: bool = Field(
        False,
        description="finally enlarge the result to the content's own size, if that is larger",
    )
    metadata: MetadataChoice = Field(
        "private",
        description="what a result takes over from its photograph: all (keep), all but the place, "
        "serial numbers and other things that identify a person or a device (private: camera, "
        "time, author, copyright and caption stay), or nothing",
    )
