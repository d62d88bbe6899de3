"""The first bytes of files, as messages show them."""

import pytest

from nst_core.storage.first_bytes import first_bytes


@pytest.mark.parametrize(
    ("start", "shown"),
    [
        (b"hello\n", "the text 'hello'"),
        (b"line one\r\nline two, and more", "the text 'line one line t'"),
        ("äöü and so on, ü".encode()[:16], "the text 'äöü and so on'"),
        ("ü".encode() * 8 + b"!", "the text 'üüüüüüüü'"),
        (b"a" + "ü".encode() * 8, "the text 'aüüüüüüü'"),
        (b"\x80\2}q\0.", "the bytes 80 02 7d 71 00 2e"),
        (b"PK\3\4", "the bytes 50 4b 03 04"),
        (b"\0\0", "the bytes 00 00"),
        (b"\xff\xfeh\0i\0", "the bytes ff fe 68 00 69 00"),
        (b" \n ", "the bytes 20 0a 20"),
    ],
)
def test_text_is_shown_as_text_and_other_bytes_as_numbers(start: bytes, shown: str) -> None:
    assert first_bytes(start) == shown
