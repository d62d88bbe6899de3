"""Fields of TIFF directories, which TIFF files and EXIF data consist of: reading and writing.

Pillow writes EXIF data, too, but it guesses the types of fields and loses all letters that ASCII
lacks. Here, a field keeps its type and its bytes.
"""

import struct
from collections.abc import Iterable, Mapping
from typing import IO, NamedTuple

from nst_core.storage.first_bytes import first_bytes

ASCII, SHORT, LONG, RATIONAL, UNDEFINED = 2, 3, 4, 5, 7

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
"""The types of fields, and how many bytes a value takes."""

_FRACTIONS = (5, 10)
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_MOST_FIELDS = 1000
_MOST_BYTES = 1 << 17
"""The largest field that is read; EXIF data in a JPEG file has at most half of it."""

HEADER = b"II*\0"
"""How what is written here begins: with the least significant byte first."""


class Field(NamedTuple):
    """A field of a directory.

    Attributes:
        tag: what it is about.
        kind: the type of its values, one of `SIZES`.
        data: its values, with the least significant byte first.
    """

    tag: int
    kind: int
    data: bytes

    @classmethod
    def of_text(cls, tag: int, text: str) -> "Field":
        """Return a text field; letters that ASCII lacks are UTF-8, as most programs expect."""
        return cls(tag, ASCII, text.encode("utf-8", "replace") + b"\0")

    @classmethod
    def of_shorts(cls, tag: int, *values: int) -> "Field":
        """Return a field of numbers from 0 to 65,535."""
        return cls(tag, SHORT, struct.pack(f"<{len(values)}H", *values))

    @classmethod
    def of_longs(cls, tag: int, *values: int) -> "Field":
        """Return a field of numbers from 0 to 2**32 - 1."""
        return cls(tag, LONG, struct.pack(f"<{len(values)}I", *values))

    @classmethod
    def of_ratio(cls, tag: int, value: float) -> "Field":
        """Return a field of one number from 0 to 4 million, to a thousandth."""
        return cls(tag, RATIONAL, struct.pack("<II", round(value * 1000), 1000))

    @property
    def length(self) -> int:
        """How many values it has."""
        return len(self.data) // SIZES[self.kind]

    @property
    def number(self) -> int:
        """Its first value if that is a whole number; otherwise 0."""
        code = {SHORT: "<H", LONG: "<I", 13: "<I"}.get(self.kind)
        return int(struct.unpack_from(code, self.data)[0]) if code and self.data else 0

    @property
    def ratio(self) -> float:
        """Its first value if that is a fraction; otherwise 0."""
        if self.kind != RATIONAL or len(self.data) < 8:
            return 0.0
        above, below = struct.unpack_from("<II", self.data)
        return above / below if below else 0.0

    @property
    def text(self) -> str:
        """Its text; empty if it is not text."""
        return as_text(self.data) if self.kind == ASCII else ""


Fields = Mapping[int, Field]
"""The fields of a directory, by tag."""


def as_text(data: bytes) -> str:
    """Return text from a file that does not say how it is encoded: UTF-8, or else Latin-1."""
    data = data.split(b"\0")[0]
    try:
        return data.decode("utf-8").strip()
    except UnicodeDecodeError:
        return data.decode("latin-1").strip()


def read_fields(file: IO[bytes], start: int | None = None) -> dict[int, Field]:
    """Return the fields of a directory; what is cut off or too large is left out.

    Args:
        file: a TIFF file, or EXIF data without `Exif` in front.
        start: where the directory is; None for the first one.

    Raises:
        ValueError: it does not begin like a TIFF file.
    """
    file.seek(0)
    head = file.read(8)
    order = _ORDERS.get(head[:4])
    if order is None or len(head) < 8:
        raise ValueError(f"it begins with {first_bytes(head[:4])}")
    file.seek(struct.unpack(f"{order}I", head[4:])[0] if start is None else start)
    count = file.read(2).ljust(2, b"\0")
    table = file.read(12 * min(struct.unpack(f"{order}H", count)[0], _MOST_FIELDS))
    found = (_field(file, order, table[at : at + 12]) for at in range(0, len(table) - 11, 12))
    return {field.tag: field for field in found if field is not None}


def _field(file: IO[bytes], order: str, entry: bytes) -> Field | None:
    tag, kind, count = struct.unpack(f"{order}HHI", entry[:8])
    size = SIZES.get(kind, 0) * count
    if not 0 < size <= _MOST_BYTES:
        return None
    data = entry[8 : 8 + size]
    if size > 4:
        file.seek(struct.unpack(f"{order}I", entry[8:])[0])
        data = file.read(size)
    return Field(tag, kind, _swapped(data, kind, order)) if len(data) == size else None


def _swapped(data: bytes, kind: int, order: str) -> bytes:
    """Return values with the least significant byte first."""
    width = 4 if kind in _FRACTIONS else SIZES[kind]
    if order == "<" or width == 1:
        return data
    return b"".join(data[at : at + width][::-1] for at in range(0, len(data), width))


def directories(main: Iterable[Field], others: Mapping[int, Iterable[Field]], start: int) -> bytes:
    """Return a directory and those that it points to.

    Args:
        main: its fields.
        others: the fields of other directories, by the tag of the field that points to each.
        start: the even number of bytes before it in the file.
    """
    main, pointers = list(main), []
    at, blocks = start + _size([*main, *(Field.of_longs(tag, 0) for tag in others)]), b""
    for tag, fields in others.items():
        pointers.append(Field.of_longs(tag, at + len(blocks)))
        blocks += _directory(list(fields), at + len(blocks))
    return _directory([*main, *pointers], start) + blocks


def _size(fields: list[Field]) -> int:
    beside = (len(field.data) for field in fields if len(field.data) > 4)
    return 6 + 12 * len(fields) + sum(size + size % 2 for size in beside)


def _directory(fields: list[Field], start: int) -> bytes:
    table, values = struct.pack("<H", len(fields)), b""
    first = start + 6 + 12 * len(fields)
    for field in sorted(fields):
        table += struct.pack("<HHI", field.tag, field.kind, field.length)
        if len(field.data) <= 4:
            table += field.data.ljust(4, b"\0")
        else:
            table += struct.pack("<I", first + len(values))
            values += field.data + bytes(len(field.data) % 2)
    return table + bytes(4) + values
