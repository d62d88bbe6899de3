"""EXIF data of photographs: what is read of it, and what of it results may contain."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO

from nst_core.images.metadata.fields import UNDEFINED, Field, Fields, directories, read_fields

EXIF, GPS = 0x8769, 0x8825
"""The tags that point to the directories of the exposure and of the place."""

DESCRIPTION, ARTIST, COPYRIGHT = 0x010E, 0x013B, 0x8298
ORIENTATION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 0x0112, 0x011A, 0x011B, 0x0128
_VERSION, _USER_COMMENT = 0x9000, 0x9286
_COLOR_SPACE, _WIDTH, _HEIGHT = 0xA001, 0xA002, 0xA003
_PREFIX = b"Exif\0\0"
_ASCII_COMMENT = b"ASCII\0\0\0"

_OF_THE_FILE = frozenset(
    {
        # How the pixels are stored, and where in the file.
        *range(0x00FE, 0x010B),
        *(0x0111, 0x0112, 0x0115, 0x0116, 0x0117, 0x0118, 0x0119, 0x011C, 0x011D, 0x0120, 0x0121),
        *(0x0122, 0x0123, 0x0124, 0x0125, 0x012D, 0x013D, 0x013E, 0x013F, 0x0140, 0x0141),
        *range(0x0142, 0x0161),
        *range(0x0200, 0x0215),
        # XMP, IPTC, Photoshop's own data, ICC profiles, other directories.
        *(0x02BC, 0x83BB, 0x8649, 0x8773, EXIF, GPS, 0x014A, 0xA005, 0x935C, 0xC4A5, 0xEA1C),
        # Maker notes refer to positions in the photograph's file, and its comment is replaced.
        *(0x927C, _USER_COMMENT, 0x9101, 0x9102, _COLOR_SPACE, _WIDTH, _HEIGHT),
    }
)
"""Fields that are about the photograph's file, and wrong in any other."""

_PRIVATE_MAIN = frozenset(
    {
        *(DESCRIPTION, 0x010F, 0x0110, ARTIST, COPYRIGHT, 0x0131, 0x0132),
        *(X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT, 0x4746, 0x4749),
        # Title, comment, author, keywords and subject, as Windows stores them.
        *range(0x9C9B, 0x9CA0),
    }
)
"""The fields of the main directory that identify neither a person's device nor a place."""

_PRIVATE_EXPOSURE = frozenset(
    {
        *(0x829A, 0x829D, 0x8822, 0x8824, 0x8827, *range(0x8830, 0x8836), _VERSION),
        *(0x9003, 0x9004, *range(0x9010, 0x9013), *range(0x9201, 0x920B), 0x9214),
        *(*range(0x9290, 0x9293), 0xA20B, 0xA20E, 0xA20F, 0xA210, 0xA214, 0xA215, 0xA217),
        *(0xA300, 0xA301, *range(0xA401, 0xA40B), 0xA40C, *range(0xA432, 0xA435), 0xA460),
    }
)
"""Likewise, of the directory of the exposure: without serial numbers, owner and identifiers."""


@dataclass(frozen=True)
class ExifData:
    """The fields of EXIF data by directory and tag, without those that are about the file.

    Attributes:
        main: about the picture: camera, author, copyright and others.
        exposure: about the exposure: time, lens and others.
        place: where it was made.
    """

    main: Fields = field(default_factory=dict)
    exposure: Fields = field(default_factory=dict)
    place: Fields = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.main or self.exposure or self.place)

    @property
    def private(self) -> "ExifData":
        """The fields that identify neither a person's device nor a place."""
        return ExifData(
            {tag: self.main[tag] for tag in self.main.keys() & _PRIVATE_MAIN},
            {tag: self.exposure[tag] for tag in self.exposure.keys() & _PRIVATE_EXPOSURE},
        )

    def shorter(self, most: int) -> "ExifData":
        """Return it without fields of more than this number of bytes."""
        parts = (self.main, self.exposure, self.place)
        return ExifData(
            *({tag: one for tag, one in part.items() if len(one.data) <= most} for part in parts)
        )


def parse_exif(data: bytes) -> ExifData:
    """Return the fields of EXIF data, with or without `Exif` in front.

    Raises:
        ValueError: this is not EXIF data.
    """
    while data.startswith(_PREFIX):
        data = data.removeprefix(_PREFIX)
    return read_exif(io.BytesIO(data))


def read_exif(file: IO[bytes]) -> ExifData:
    """Return the fields of EXIF data, or of the first picture in a TIFF file.

    Raises:
        ValueError: it does not begin like a TIFF file.
    """
    main = read_fields(file)
    exposure, place = (_pointed_to(file, main.get(tag)) for tag in (EXIF, GPS))
    return ExifData(_kept(main), _kept(exposure), place)


def _pointed_to(file: IO[bytes], pointer: Field | None) -> dict[int, Field]:
    return read_fields(file, pointer.number) if pointer and pointer.number else {}


def _kept(fields: Fields) -> dict[int, Field]:
    return {tag: one for tag, one in fields.items() if tag not in _OF_THE_FILE and one.kind != 13}


def fields_for(
    exif: ExifData, size: tuple[int, int], *, is_srgb: bool, comment: str = ""
) -> tuple[dict[int, Field], dict[int, dict[int, Field]]]:
    """Return the fields of the main directory of a result, and those of the others by pointer.

    Args:
        exif: the photograph's.
        size: width and height of the result, in pixels.
        is_srgb: whether its pixels are sRGB.
        comment: ASCII text for the user comment; none if it is empty.
    """
    main = {**exif.main, ORIENTATION: Field.of_shorts(ORIENTATION, 1)}
    exposure = {_VERSION: Field(_VERSION, UNDEFINED, b"0232"), **exif.exposure}
    own = [
        Field.of_shorts(_COLOR_SPACE, 1 if is_srgb else 0xFFFF),
        Field.of_longs(_WIDTH, size[0]),
        Field.of_longs(_HEIGHT, size[1]),
    ]
    if comment:
        own.append(Field(_USER_COMMENT, UNDEFINED, _ASCII_COMMENT + comment.encode("ascii")))
    others = {EXIF: exposure | {one.tag: one for one in own}}
    return main, others | ({GPS: dict(exif.place)} if exif.place else {})


def exif_block(main: Fields, others: Mapping[int, Fields]) -> bytes:
    """Return EXIF data of these directories, without `Exif` in front."""
    inner = {tag: fields.values() for tag, fields in others.items()}
    return b"II*\0" + (8).to_bytes(4, "little") + directories(main.values(), inner, start=8)


def user_comment(exif: bytes | None) -> str:
    """Return the user comment of EXIF data if it is ASCII text; otherwise an empty text.

    Raises:
        ValueError: this is not EXIF data.
    """
    data = exif or b""
    while data.startswith(_PREFIX):
        data = data.removeprefix(_PREFIX)
    return comment_in(io.BytesIO(data)) if data else ""


def comment_in(file: IO[bytes]) -> str:
    """Return the same of EXIF data or of a TIFF file, which it reads.

    Raises:
        ValueError: it does not begin like a TIFF file.
    """
    found = _pointed_to(file, read_fields(file).get(EXIF)).get(_USER_COMMENT)
    if found is None or not found.data.startswith(_ASCII_COMMENT):
        return ""
    return found.data.removeprefix(_ASCII_COMMENT).decode("ascii", "replace").rstrip("\0 ")
