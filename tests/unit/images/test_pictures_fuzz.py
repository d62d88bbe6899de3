"""Damaged pictures of every format, which are read, or refused with a message of ours."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nst_core.images.picture_files import PictureError
from nst_core.images.read import examine, load, read_header
from nst_core.images.write import read_text
from tests.fuzzing import bounded, fuzz
from tests.picture_files import GRAY, LINEAR_RGB, adobe_cmyk_jpeg_bytes, exif, png_bytes, tiff_bytes

MOST_PIXELS = 1_000_000

NOISE = np.random.default_rng(0).integers(0, 256, (9, 13, 4), dtype=np.uint8)
RGB, LEVELS = NOISE[..., :3].copy(), NOISE[..., 0].copy()


def saved(image, name, **options):
    data = io.BytesIO()
    image.save(data, name, **options)
    return data.getvalue()


def intact_files():
    """Return small files of every format and of most kinds within each, by format and kind."""
    return files_of_pillow() | files_that_pillow_cannot_write()


def files_of_pillow():
    rgb, gray, rgba = (Image.fromarray(array) for array in (RGB, LEVELS, NOISE))
    palette, other = rgb.quantize(7), Image.fromarray(RGB[::-1].copy())
    several = {"save_all": True, "append_images": [other]}
    return {
        f"{name} {kind}": saved(image, name, **options)
        for name, kind, image, options in [
            ("JPEG", "rgb", rgb, {"exif": exif(6), "icc_profile": LINEAR_RGB}),
            ("JPEG", "progressive", rgb, {"progressive": True}),
            ("JPEG", "gray", gray, {"quality": 30}),
            ("MPO", "two", rgb, several),
            ("PNG", "rgb", rgb, {"exif": exif(5), "icc_profile": LINEAR_RGB}),
            ("PNG", "palette", palette, {"transparency": bytes([0, 128, 255])}),
            ("PNG", "gray", gray, {"icc_profile": GRAY}),
            ("PNG", "rgba", rgba, {}),
            ("PNG", "animated", rgb, several),
            ("WEBP", "lossless", rgba, {"lossless": True, "exif": exif(3)}),
            ("WEBP", "lossy", rgb, {"icc_profile": LINEAR_RGB}),
            ("WEBP", "animated", rgb, several),
            ("TIFF", "raw", rgb, {"exif": exif(7)}),
            ("TIFF", "lzw", rgb, {"compression": "tiff_lzw"}),
            ("TIFF", "deflate", palette, {"compression": "tiff_adobe_deflate"}),
            ("TIFF", "jpeg", rgb, {"compression": "jpeg"}),
            ("TIFF", "fax", rgb.convert("1"), {"compression": "group4"}),
            ("TIFF", "lab", rgb.convert("LAB"), {}),
            ("GIF", "animated", palette, {**several, "transparency": 1}),
            ("GIF", "gray", gray, {}),
            ("BMP", "rgb", rgb, {}),
            ("BMP", "rgba", rgba, {}),
            ("BMP", "palette", palette, {}),
            ("AVIF", "rgba", rgba, {"exif": exif(8)}),
            ("AVIF", "animated", rgb, several),
            ("JPEG2000", "rgb", rgb, {}),
            ("JPEG2000", "codestream", gray, {"no_jp2": True}),
        ]
    }


def files_that_pillow_cannot_write():
    deep = np.arange(24, dtype=np.uint16).reshape(4, 6, 1) * 2000
    rows = [struct.pack(">18H", *range(0, 54000, 3000)) for _ in range(4)]
    gamma, key = (b"gAMA", struct.pack(">I", 100_000)), (b"tRNS", struct.pack(">3H", 0, 3000, 6000))
    chromaticities = (
        b"cHRM",
        struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000),
    )
    return {
        "PNG deep": png_bytes(6, 4, 16, 2, rows, gamma, chromaticities, key),
        "PNG few bits": png_bytes(6, 4, 4, 0, [bytes([1, 35, 69])] * 4, (b"tRNS", b"\0\5")),
        "TIFF deep": tiff_bytes(deep, photometric=1),
        "TIFF float": tiff_bytes((deep / 65535).astype(np.float32), photometric=1),
        "TIFF cmyk": tiff_bytes(NOISE, photometric=5),
        "JPEG cmyk": adobe_cmyk_jpeg_bytes((0, 255, 255, 0)),
    }


FILES = intact_files()

EXTREMES = [b"\0", b"\xff", b"\x7f", b"\x80", b"\1", b"\0\0", b"\xff\xff", b"\x7f\xff", b"\xff\x7f"]
EXTREMES += [
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\0\1\0\0",
]
EXTREMES += [b"\x05\xf5\xe1\0", b"\0\xe1\xf5\x05", b"\xff\xd9", b"\xff\xda"]


@st.composite
def damaged(draw):
    """Draw a kind of file, and a file whose bytes are overwritten, removed, doubled or cut off."""
    kind = draw(st.sampled_from(sorted(FILES)))
    data = bytearray(FILES[kind])
    for _ in range(draw(st.integers(1, 6))):
        # Headers are short and have the most effect.
        end = draw(st.sampled_from([min(64, len(data)), min(300, len(data)), len(data)]))
        at = draw(st.integers(0, end))
        match draw(
            st.sampled_from(["extreme", "extreme", "bits", "bytes", "cut", "double", "end"])
        ):
            case "extreme":
                other = draw(st.sampled_from(EXTREMES))
                data[at : at + len(other)] = other
            case "bits" if at < len(data):
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "bytes":
                data[at : at + 4] = draw(st.binary(max_size=8))
            case "cut":
                del data[at : at + draw(st.integers(1, 40))]
            case "double":
                data[at:at] = data[at : at + draw(st.integers(1, 40))] * draw(st.integers(1, 3))
            case "end":
                del data[at:]
    return kind, bytes(data)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("damaged") / "picture"


@fuzz(150)
@given(damaged())
def test_a_damaged_picture_is_read_or_refused_with_our_message(
    place: Path, case: tuple[str, bytes]
):
    _, data = case
    place.write_bytes(data)
    with bounded(seconds=5, megabytes=500):
        found = [
            _outcome(lambda: read_header(place, max_pixels=MOST_PIXELS)),
            _outcome(lambda: examine(place, max_pixels=MOST_PIXELS)),
            _outcome(lambda: load(place, max_pixels=MOST_PIXELS, size=8)),
            _outcome(lambda: read_text(place)),
        ]
    header, facts, picture, _ = found
    # load must read what examine accepts, or a row would fail in the middle of a batch.
    assert isinstance(facts, PictureError) == isinstance(picture, PictureError)
    if not isinstance(facts, PictureError):
        assert header == (facts.width, facts.height, facts.format)
        assert picture.sha256 == facts.sha256
        assert picture.warnings == facts.warnings
        assert np.isfinite(picture.rgb).all()
        assert picture.rgb.min() >= 0
        assert picture.rgb.max() <= 1


def _outcome(read):
    try:
        found = read()
    except PictureError as error:
        found = error
    if isinstance(found, PictureError):
        assert "picture: " in str(found)
        assert "Traceback" not in str(found)
    return found


def test_the_files_are_intact_before_they_are_damaged(place: Path):
    for kind, data in FILES.items():
        place.write_bytes(data)
        assert examine(place).format in kind, kind
