"""How a picture was made: this is written into the picture, and read back to reproduce it."""

from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from nst_core.errors import UserError
from nst_core.images.write import read_text
from nst_core.storage.places import (
    Place,
    redacted,
)
from tasks.store.records import StylizationFacts

KEYWORD = "nst-batch"
"""The keyword of the text in a result that says how it was made."""

ROW_KEYWORD = "nst-batch-row"
"""The keyword of the text in intermediates that holds the key of their row."""


def _as_utf_8(name: str) -> str:
    """Return a name that UTF-8 can hold, whatever bytes the file system has in it."""
    return name.encode("utf-8", "backslashreplace").decode()


Name = Annotated[str, BeforeValidator(_as_utf_8)]
"""A file name, which may contain bytes that are not text."""


class ProvenanceError(UserError, ValueError):
    """A picture that does not say how it was made; the message says what to do."""


class StyleSource(BaseModel):
    """One of the styles of a picture.

    Attributes:
        name: the name of the picture or of the folder, without the folder that it is in.
        pictures: the digests of the decoded content of its pictures.
    """

    model_config = ConfigDict(frozen=True)

    name: Name
    pictures: tuple[str, ...]


class Provenance(StylizationFacts):
    """What a picture says about how it was made.

    Attributes:
        key: the key of its row.
        content, style: the file names of its sources, without their folders, because people share
            pictures.
        content_sha256, style_sha256: of their decoded content.
        styles: the styles, in the order of the weights in the settings, if there are several or a
            folder of pictures; empty and left out if the style is one picture, as in the pictures
            of earlier versions.
        init, init_sha256: the same for the picture that the row started from; empty and left out if
            it named none, as in the pictures of earlier versions.
        content_mask, content_mask_sha256, style_mask, style_mask_sha256: likewise, for its masks.
        sequence, frame: the moving picture of which it is a frame, and its number there, from 1;
            left out if it is none.
        previous: the key of the frame before; left out if there is none.
        flow, flow_sha256: the file name of the flow to that frame, and the file's SHA-256; left out
            if the flow was computed.
    """

    key: str
    content: Name
    content_sha256: str
    style: Name
    style_sha256: str
    styles: tuple[StyleSource, ...] = Field((), exclude_if=lambda styles: not styles)
    init: Name = Field("", exclude_if=lambda name: not name)
    init_sha256: str = Field("", exclude_if=lambda digest: not digest)
    content_mask: Name = Field("", exclude_if=lambda name: not name)
    content_mask_sha256: str = Field("", exclude_if=lambda digest: not digest)
    style_mask: Name = Field("", exclude_if=lambda name: not name)
    style_mask_sha256: str = Field("", exclude_if=lambda digest: not digest)
    sequence: Name = Field("", exclude_if=lambda name: not name)
    frame: int = Field(0, exclude_if=lambda number: not number)
    previous: str = Field("", exclude_if=lambda key: not key)
    flow: Name = Field("", exclude_if=lambda name: not name)
    flow_sha256: str = Field("", exclude_if=lambda digest: not digest)

    @classmethod
    def of(cls, picture: Place) -> Self:
        """Read what a picture says about how it was made.

        Raises:
            PictureError: it is missing, damaged or in no format of results.
            ProvenanceError: it says nothing, or something that this version does not understand.
        """
        text = read_text(picture).get(KEYWORD)
        if text is None:
            raise ProvenanceError(
                f"{redacted(picture)}: found no text about how it was made; expected an unedited "
                "result of nst-batch (editors drop what they do not know; intermediates and "
                "interrupted pictures have no such text)"
            )
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            fault = error.errors()[0]
            where = ".".join(map(str, fault["loc"])) or KEYWORD
            raise ProvenanceError(
                f"{redacted(picture)}: {where}: {fault['msg']}; the picture was made by another "
                "version of nst-batch"
            ) from error

    @property
    def all_styles(self) -> tuple[StyleSource, ...]:
        """The styles, even if there is only one."""
        return self.styles or (StyleSource(name=self.style, pictures=(self.style_sha256,)),)

    def to_text(self) -> str:
        """Return the text that the picture contains."""
        return self.model_dump_json()
