"""Every written format keeps what it says: pixels, depth, transparency, text; and its names."""

import json
import struct
import zlib
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import tifffile
from PIL import Image

from nst_core.images.file_choices import DEPTHS, FormatName
from nst_core.images.picture_files import FORMATS, PictureError
from nst_core.images.read import load, read_header
from nst_core.images.saving import SaveError, WithPicture
from nst_core.images.write import (
    WRITTEN_FORMATS,
    Contents,
    Format,
    encode_png,
    format_named,
    formats_by_suffix,
    read_text,
)
from nst_core.transfer.presets import Overrides
from tasks.intake.manifest import read_manifest
from tasks.intake.outputs import text_faults
from tasks.report.finding import NoResultsError, find_row
from tasks.report.table_row import Table, TableRow
from tasks.row import NamedStyle, Row
from tasks.store.managed import INTERRUPTED_MARK, is_marked, keep_others
from tasks.store.output_folder import OutputFolder
from tasks.store.output_names import (
    OutputError,
    Unnamed,
    as_one_result,
    checked_output,
    choose_outputs,
    folders_of,
    nearest_output,
)
from tests.encoders import random_pixels
from tests.pictures import write_csv

PIXELS, ALPHA = random_pixels(6, 8, 1), random_pixels(6, 8, 2)[..., 0]
TEXT = {"nst-batch": '{"content": "\N{SNOWMAN}.png"}', "Software": "nst-batch interrupted"}
ALL = pytest.mark.parametrize("written", WRITTEN_FORMATS, ids=lambda each: each.name)
TIFF = format_named("tiff")


def levels(values: np.ndarray, top: int) -> np.ndarray:
    """Return what must be stored, computed in double precision."""
    return np.floor(values.astype(np.float64) * top + 0.5)


def decoded_png(path: Path) -> np.ndarray:
    """Return the levels of a PNG file of 16 bits, decoded byte by byte as its standard says."""
    data, at, pixels = path.read_bytes(), 8, b""
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        content = data[at + 8 : at + 8 + length]
        (checksum,) = struct.unpack_from(">I", data, at + 8 + length)
        assert checksum == zlib.crc32(kind + content)
        if kind == b"IHDR":
            width, height, depth, color = struct.unpack_from(">IIBB", content)
            assert (depth, color) in ((16, 2), (16, 6))
        pixels += content if kind == b"IDAT" else b""
        at += 12 + length
    step = {2: 6, 6: 8}[color]
    lines, above = [], [0] * (width * step)
    packed = zlib.decompress(pixels)
    for top in range(0, len(packed), 1 + width * step):
        assert packed[top] == 4, "the only filter that is written"
        line: list[int] = []
        for index, byte in enumerate(packed[top + 1 : top + 1 + width * step]):
            a = line[index - step] if index >= step else 0
            b, c = above[index], above[index - step] if index >= step else 0
            nearest = min((a, b, c), key=lambda each, p=a + b - c: abs(p - each))
            line.append((byte + nearest) % 256)
        lines.append(line)
        above = line
    array = np.array(lines, np.uint8).reshape(height, width, step // 2, 2).astype(np.uint16)
    return array[..., 0] << 8 | array[..., 1]


@ALL
@pytest.mark.parametrize("alpha", [None, ALPHA], ids=["opaque", "clear"])
def test_a_format_keeps_what_it_says(
    written: Format, alpha: np.ndarray | None, tmp_path: Path
) -> None:
    assert written.name in FORMATS
    path = tmp_path / "a file of any name"
    path.write_bytes(written.encode(Contents(PIXELS, alpha, TEXT, quality=100)))
    assert read_header(path) == (8, 6, written.name)
    assert (load(path).alpha is not None) == (alpha is not None and written.has_alpha)
    assert read_text(path) == TEXT
    with Image.open(path) as image:
        found = np.asarray(image).astype(np.float64)
    allowed = 12 if written.name == "JPEG" else 0
    assert np.abs(found[..., :3] - levels(PIXELS, 255)).max() <= allowed
    if alpha is not None and written.has_alpha:
        np.testing.assert_array_equal(found[..., 3], levels(ALPHA, 255))
    path.write_bytes(written.encode(Contents(PIXELS)))
    assert read_text(path) == {}


@pytest.mark.parametrize("alpha", [None, ALPHA], ids=["opaque", "clear"])
def test_sixteen_bits_are_those_of_the_floating_point(
    alpha: np.ndarray | None, tmp_path: Path
) -> None:
    expected = levels(PIXELS if alpha is None else np.dstack([PIXELS, ALPHA]), 65535)
    assert (expected % 257 != 0).any(), "they would be the same if they came from 8 bits"
    for written, read in ((format_named("png"), decoded_png), (TIFF, tifffile.imread)):
        path = tmp_path / f"a{written.suffixes[0]}"
        path.write_bytes(written.encode(Contents(PIXELS, alpha, TEXT, depth=16)))
        found = read(path)
        assert found.dtype == np.uint16
        np.testing.assert_array_equal(found, expected)
        assert read_text(path) == TEXT


def test_large_pictures_of_sixteen_bits_have_strips_of_all_lines(tmp_path: Path) -> None:
    pixels = random_pixels(90, 901, 3)
    for written, read in ((format_named("png"), decoded_png), (TIFF, tifffile.imread)):
        path = tmp_path / f"a{written.suffixes[0]}"
        path.write_bytes(written.encode(Contents(pixels, depth=16)))
        np.testing.assert_array_equal(read(path), levels(pixels, 65535))


def test_quality_matters_where_a_format_is_lossy() -> None:
    sizes = {
        written.name: [
            len(written.encode(Contents(PIXELS, quality=quality))) for quality in (9, 90)
        ]
        for written in WRITTEN_FORMATS
    }
    assert {name for name, (low, high) in sizes.items() if low < high} == {"JPEG", "WEBP"}
    assert all(sizes[name][0] == sizes[name][1] for name in ("PNG", "TIFF"))
    assert {each.name for each in WRITTEN_FORMATS if each.has_quality} == {"JPEG", "WEBP"}


def test_a_text_that_a_jpeg_file_cannot_hold_is_refused() -> None:
    jpeg = format_named("jpeg")
    assert jpeg.most_text is not None
    with pytest.raises(ValueError, match="found a text of 70009 bytes, expected at most 65500"):
        jpeg.encode(Contents(PIXELS, text={"a": "x" * 70_000}))
    image = jpeg.encode(Contents(PIXELS, text={"a": "x" * jpeg.most_text}))
    assert len(image) > jpeg.most_text


@pytest.mark.parametrize("comment", ["", "a cat", "{", "[1]", '{"a": 1}'])
def test_the_comment_of_somebody_else_is_no_text(comment: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0" + comment.encode()
    Image.new("RGB", (4, 4)).save(tmp_path / "a.jpg", exif=exif)
    assert read_text(tmp_path / "a.jpg") == {}


def test_all_formats_can_be_chosen_by_name() -> None:
    assert [each.name.lower() for each in WRITTEN_FORMATS] == [*get_args(FormatName)]
    assert {depth for each in WRITTEN_FORMATS for depth in each.depths} == {*DEPTHS}
    with pytest.raises(FrozenInstanceError):
        TIFF.name = "other"  # type: ignore[misc]


HEADER = ("content", "style", "output", "keep_alpha")


def test_no_two_formats_have_the_same_suffix() -> None:
    suffixes = [suffix for each in WRITTEN_FORMATS for suffix in each.suffixes]
    assert len(set(suffixes)) == len(suffixes)
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in suffixes)


def test_the_text_of_a_file_in_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    Image.new("L", (4, 4)).save(path)
    wrong = "found a GIF file, expected a PNG, JPEG, WEBP or TIFF"
    with pytest.raises(PictureError, match=wrong):
        read_text(path)


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("a.tiff", "a.tiff"),
        ("night\\A.TIFF", "night/A.tiff"),
        ("a.tif", "a.tif"),
        ("a.JPG", "a.jpg"),
        ("a.jpeg", "a.jpeg"),
        ("a.webp", "a.webp"),
        ("a", "a.png"),
        ("a.png", "a.png"),
        ("a.tiff.png", "a.tiff.png"),
    ],
)
def test_an_output_may_end_in_the_suffix_of_any_format(text: str, output: str) -> None:
    assert checked_output(text) == output
    named = formats_by_suffix()[Path(output).suffix].name.lower()
    assert checked_output(output) == nearest_output(output, named) == output


def test_an_output_without_an_ending_gets_that_of_its_format() -> None:
    assert [checked_output(name, ".webp") for name in ("a", "a.v2", "b.jpg")] == [
        *("a.webp", "a.v2.webp", "b.jpg"),
    ]


def test_the_nearest_output_has_an_ending_of_its_format() -> None:
    assert nearest_output("deep/a.png", "jpeg") == "deep/a.jpg"
    assert nearest_output("a.JPEG", "jpeg") == "a.jpeg"
    assert nearest_output("a.tiff", "png") == "a.png"
    assert nearest_output("a.v2", "tiff") == "a.v2.tif"


def test_other_formats_are_still_refused_with_the_names_of_those_that_are_not() -> None:
    wrong = r"in \.png, \.jpg, \.jpeg, \.webp, \.tif or \.tiff, or one without an extension$"
    with pytest.raises(OutputError, match=wrong):
        checked_output("a.bmp")
    assert nearest_output("a.bmp") == "a.png"


def rows_of(folder: Path, *rows: tuple[str, ...]) -> list[Row]:
    return read_manifest(write_csv(folder / "m.csv", HEADER, *rows))


def test_two_rows_cannot_differ_only_in_the_suffix(tmp_path: Path) -> None:
    outputs = ("x/One.png", "x/one.tiff", "x/two", "one.tiff", "x/ONE.tif", "x/one.TIFF")
    rows = rows_of(tmp_path, *(("a", str(number), name, "") for number, name in enumerate(outputs)))
    faults = [fault for row in rows for fault in row.faults]
    wrong = "line 2 has the output 'x/One.png', whose loss curve would have the same name; "
    assert [(fault.line, fault.expected.startswith(wrong)) for fault in faults] == [
        *((3, True), (6, True), (7, True)),
    ]
    assert faults[0].column == "output"


def test_a_default_name_leaves_the_names_of_other_formats_alone(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, ("a", "s", "", ""), ("b", "s", "a_s.tiff", ""))
    assert [row.faults for row in rows] == [(), ()]
    assert rows[0].output.startswith("a_s_")
    assert choose_outputs(
        [Unnamed("a", ("s",), "0" * 64)], {as_one_result("x/a_s.tiff"), *folders_of("x/a_s.tiff")}
    ) == ["a_s.png"]


def test_what_a_format_cannot_do_is_a_fault(tmp_path: Path) -> None:
    header = ("content", "style", "output", "format", "depth", "keep_alpha")
    rows = [
        ("a", "s", "a.jpg", "", "", "yes"),
        ("a", "s", "b", "jpeg", "16", ""),
        ("a", "s", "c.webp", "", "16", ""),
        ("a", "s", "d.png", "tiff", "", ""),
        ("a", "s", "e", "gif", "12", ""),
        ("a", "s", "f.tiff", "tiff", "16", "yes"),
        ("a", "s", "g", "webp", "", "yes"),
        ("a", "s", "h.png", "", "16", "yes"),
    ]
    read = read_manifest(write_csv(tmp_path / "m.csv", header, *rows))
    faults = [[(each.column, each.found, each.expected) for each in row.faults] for row in read]
    opaque = "a JPEG file cannot be transparent; choose an output that ends in .png, or switch "
    eight = "file has 8 bits of each color; choose the format png or tiff, or another depth"
    other = "the output 'd.png' ends like another format; leave one of the two cells empty"
    assert faults == [
        [("output", "a.jpg", f"{opaque}keep_alpha off")],
        [("depth", "16", f"a JPEG {eight}")],
        [("depth", "16", f"a WEBP {eight}")],
        [("format", "tiff", other)],
        [
            ("format", "gif", "expected 'png', 'jpeg', 'webp' or 'tiff'"),
            ("depth", "12", "expected 8 or 16"),
        ],
        *([], [], []),
    ]


def test_the_format_of_a_row_is_that_of_its_output(tmp_path: Path) -> None:
    header = ("content", "style", "output", "format")
    rows = [
        ("a", "s", "x.jpg", ""),
        ("b", "s", "y", ""),
        ("c", "s", "", ""),
        ("d", "s", "", "webp"),
    ]
    manifest = write_csv(tmp_path / "m.csv", header, *rows)
    found = read_manifest(manifest, Overrides(format="tiff"))
    assert [(row.output, row.settings.format) for row in found] == [
        *(("x.jpg", "jpeg"), ("y.tif", "tiff"), ("c_s.tif", "tiff"), ("d_s.webp", "webp")),
    ]


def test_a_style_of_too_many_pictures_for_a_jpeg_file_is_a_fault(tmp_path: Path) -> None:
    header = ("content", "style", "output")
    rows = [("a", "paintings", "a.jpg"), ("a", "paintings", "b.webp")]
    of_jpeg, of_webp = read_manifest(write_csv(tmp_path / "m.csv", header, *rows))
    many = (NamedStyle(tmp_path, tuple(tmp_path / f"{number}.png" for number in range(800))),)
    assert [*text_faults(of_jpeg), *text_faults(replace(of_webp, styles=many))] == []
    (fault,) = text_faults(replace(of_jpeg, styles=many))
    assert (fault.column, fault.found) == ("format", "jpeg")
    assert fault.expected == (
        "a JPEG file has no room for the digests of 800 style pictures, by which it can be made "
        "again; choose another format, or at most 750 pictures"
    )


def test_the_text_of_the_most_style_pictures_fits_into_a_jpeg_file() -> None:
    digests = json.dumps({"styles": [{"pictures": ["0123456789abcdef" * 4] * 750}]})
    text = {"nst-batch": digests[:-1] + ', "settings": "' + "x" * 4000 + '"}'}
    assert format_named("jpeg").encode(Contents(PIXELS, text=text))


def test_a_row_is_found_with_and_without_its_suffix() -> None:
    table = Table(
        (
            TableRow(line=2, status="done", output="deep/a.tiff"),
            TableRow(line=3, status="done", output="b.png"),
        )
    )
    output = OutputFolder(Path("out"))
    for named, line in (("deep/a", 2), ("deep/a.tiff", 2), ("b", 3), ("b.png", 3)):
        assert find_row(table, output, named).line == line
    with pytest.raises(NoResultsError, match=r"did you mean 'deep/a\.tiff'"):
        find_row(table, output, "deep/aa.tiff")


def test_interrupted_pictures_of_any_format_are_recognized(tmp_path: Path) -> None:
    ours, other = tmp_path / "ours.tiff", tmp_path / "other.tiff"
    ours.write_bytes(TIFF.encode(Contents(PIXELS, text=INTERRUPTED_MARK)))
    other.write_bytes(TIFF.encode(Contents(PIXELS)))
    assert [is_marked(path, INTERRUPTED_MARK) for path in (ours, other)] == [True, False]
    keep_others(other, INTERRUPTED_MARK)
    assert (tmp_path / "other.kept-1.tiff").exists()


def test_save_writes_any_format(tmp_path: Path) -> None:
    picture = WithPicture()
    picture.pixels = PIXELS
    picture.save(tmp_path / "a.TIF", alpha=ALPHA)
    assert (tmp_path / "a.TIF").read_bytes() == TIFF.encode(Contents(PIXELS, ALPHA))
    with pytest.raises(SaveError, match=r"ends in \.png, .*, \.webp, \.tif or \.tiff$"):
        picture.save(tmp_path / "a.bmp")


def test_png_files_have_the_bytes_of_encode_png() -> None:
    assert format_named("png").encode(Contents(PIXELS, ALPHA, TEXT)) == encode_png(
        PIXELS, ALPHA, text=TEXT
    )
