"""The text of a file whose encoding is not named anywhere."""

import codecs
from typing import NamedTuple

UTF_8 = "UTF-8"

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig", UTF_8),
    # The mark of UTF-32 begins with that of UTF-16.
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)


class EncodingError(ValueError):
    """Bytes that are no text in a known encoding; the message says where, and what to do."""


class Decoded(NamedTuple):
    """A text, and the name of the encoding from which it was read."""

    text: str
    encoding: str


def decoded(data: bytes) -> Decoded:
    """Return the text of a file in UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    UTF-32 needs its mark. Without one, UTF-16 is recognized by its first character, which must be
    ASCII, as in a header.

    Raises:
        EncodingError: the bytes are not in this encoding.
    """
    codec, name = _encoding(data)
    try:
        return Decoded(data.decode(codec), name)
    except UnicodeDecodeError as error:
        raise EncodingError(_wrong(data, error, name)) from error


def _encoding(data: bytes) -> tuple[str, str]:
    """Return Python's name and our name of an encoding, from how the data begins."""
    for mark, codec, name in _MARKS:
        if data.startswith(mark):
            return codec, name
    first, second = data[:1], data[1:2]
    if first == b"\0" and second not in (b"\0", b""):
        return "utf-16-be", "UTF-16"
    if second == b"\0" and first != b"\0":
        return "utf-16-le", "UTF-16"
    return "utf-8", UTF_8


def _wrong(data: bytes, error: UnicodeDecodeError, name: str) -> str:
    if name != UTF_8:
        return (
            f"byte {error.start} is not {name}, although the file begins like it; it may be "
            "damaged or cut off: save the manifest again, as 'CSV UTF-8'"
        )
    line = data.count(b"\n", 0, error.start) + 1
    return (
        f"line {line}, byte {error.start} of the file is not UTF-8, but perhaps the older encoding "
        "that spreadsheets use for plain 'CSV'; save the manifest as 'CSV UTF-8'"
    )
