"""The first bytes of a file as people read them, for messages about files of unknown formats."""

from codecs import getincrementaldecoder

MOST_BYTES = 16


def first_bytes(start: bytes) -> str:
    """Return the first bytes of a file: as a text in quotes if they are one, else as numbers.

    Args:
        start: the file's first bytes; only a few of them are shown.
    """
    shown = start[:MOST_BYTES]
    try:
        # This decoder lets the last character be cut off.
        text = " ".join(getincrementaldecoder("utf-8")().decode(shown).split())
    except UnicodeDecodeError:
        text = ""
    if text and text.isprintable():
        return f"the text '{text}'"
    return f"the bytes {shown.hex(' ')}"
