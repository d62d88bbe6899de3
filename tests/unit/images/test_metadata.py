"""Metadata of photographs: read from every format, reduced, and written into every format."""

import io
import random
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import ExifTags, Image

from nst_core.images.metadata.exif_data import ExifData, parse_exif
from nst_core.images.metadata.fields import Field
from nst_core.images.metadata.photograph import Metadata
from nst_core.images.metadata.xmp import kept_xmp, private_xmp
from nst_core.images.read import examine, load
from nst_core.images.write import WRITTEN_FORMATS, Contents, Format, format_named, read_text
from tests.photographs import (
    CAMERA,
    EXPOSURE,
    PLACE,
    SECRET_CAMERA,
    SECRET_EXPOSURE,
    SECRETS,
    XMP,
    Base,
    Ifd,
    camera_exif,
    iptc_block,
    photograph,
)

PIXELS = np.linspace(0, 1, 20 * 30 * 3, dtype=np.float32).reshape(20, 30, 3)
TEXT = {"nst-batch": '{"a": 1}'}
SUFFIXES = (".jpg", ".png", ".webp", ".tif")
INTO = pytest.mark.parametrize("written", WRITTEN_FORMATS, ids=lambda each: each.name)


def result_of(written: Format, path: Path, choice: Any, **contents: Any) -> Path:
    """Write a result of a photograph, and return its path."""
    result = path.with_name(f"result{written.suffixes[0]}")
    metadata = load(path).metadata.reduced(choice)
    result.write_bytes(written.encode(Contents(PIXELS, text=TEXT, metadata=metadata, **contents)))
    return result


def plain(fields: Any) -> dict[int, Any]:
    return {int(tag): value for tag, value in dict(fields).items()}


def directories_of(image: Image.Image) -> list[dict[int, Any]]:
    """Return all fields that Pillow finds: main, exposure, place, thumbnail."""
    exif = image.getexif()
    others = [exif.get_ifd(ifd) for ifd in (Ifd.Exif, Ifd.GPSInfo, Ifd.IFD1)]
    return [plain(fields) for fields in (exif, *others)]


def xmp_names(packet: bytes | None) -> set[str]:
    """Return the names of all properties in a packet."""
    if not packet:
        return set()
    found = set()
    for element in ElementTree.fromstring(packet).iter():
        found |= {element.tag, *element.attrib}
    return {name.rsplit("}")[-1] for name in found} - {
        *("xmpmeta", "RDF", "Description", "about", "li", "Seq", "Alt", "lang"),
    }


@INTO
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_private_result_has_camera_time_author_and_copyright_and_no_secret(
    written: Format, suffix: str, tmp_path: Path
) -> None:
    path = photograph(tmp_path / f"a{suffix}")
    assert sum(secret in path.read_bytes() for secret in SECRETS) >= 7
    result = result_of(written, path, "private")
    assert read_text(result) == TEXT
    assert not [secret for secret in SECRETS if secret in result.read_bytes()]
    with Image.open(result) as image:
        main, exposure, place, thumbnail = directories_of(image)
        dpi, xmp = image.info.get("dpi"), image.info.get("xmp")
        assert image.size == (30, 20)
    assert plain(CAMERA).items() <= main.items()
    assert plain(EXPOSURE).items() <= exposure.items()
    assert main[Base.Orientation] == 1
    assert (exposure[Base.ExifImageWidth], exposure[Base.ExifImageHeight]) == (30, 20)
    assert exposure[Base.ColorSpace] == 1
    assert place == thumbnail == {}
    assert (main[Base.XResolution], main[Base.YResolution], main[Base.ResolutionUnit]) == (
        *(300, 300, 2),
    )
    if written.name != "WEBP":
        assert dpi == pytest.approx((300, 300), abs=0.01)
    assert xmp_names(xmp) == {"Credit", "creator", "rights"}
    text = "".join(ElementTree.fromstring(xmp).itertext())
    assert "Ada L\u00f6velace" in text
    assert "all & reserved" in text


@INTO
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_result_that_keeps_everything_has_the_photographs_fields(
    written: Format, suffix: str, tmp_path: Path
) -> None:
    result = result_of(written, photograph(tmp_path / f"a{suffix}"), "keep")
    with Image.open(result) as image:
        main, exposure, place, thumbnail = directories_of(image)
        xmp = image.info.get("xmp")
    assert plain(CAMERA | SECRET_CAMERA).items() <= main.items()
    assert plain(EXPOSURE | SECRET_EXPOSURE).items() <= exposure.items()
    assert place == plain(PLACE)
    # What would be wrong in any other file is never kept.
    assert main[Base.Orientation] == 1
    assert Base.MakerNote not in exposure
    assert thumbnail == {}
    names = {"Credit", "creator", "rights", "SerialNumber", "GPSLatitude", "City"}
    assert xmp_names(xmp) == names
    assert b"THUMBNAIL" not in result.read_bytes()


@INTO
def test_a_result_without_metadata_has_only_what_its_pixels_need(
    written: Format, tmp_path: Path
) -> None:
    result = result_of(written, photograph(tmp_path / "a.jpg"), "none")
    assert read_text(result) == TEXT
    for secret in (*SECRETS, b"Nikon", b"Ada", b"creator", b"2026:05:01"):
        assert secret not in result.read_bytes()
    with Image.open(result) as image:
        allowed = {*range(0x100, 0x154), Ifd.Exif, 0x8773} - {Base.Artist, Base.Make, Base.Model}
        assert set(plain(image.getexif())) <= allowed
        assert "xmp" not in image.info


@INTO
def test_a_photograph_that_says_nothing_gives_the_same_bytes_whatever_is_chosen(
    written: Format, tmp_path: Path
) -> None:
    Image.new("RGB", (48, 36)).save(tmp_path / "a.bmp")
    metadata = load(tmp_path / "a.bmp").metadata
    # The format BMP always has a resolution.
    files = {
        written.encode(Contents(PIXELS, metadata=Metadata(metadata.exif).reduced(choice)))
        for choice in ("keep", "private", "none")
    }
    assert files == {written.encode(Contents(PIXELS))}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders_give_the_same_fields(suffix: str, order: str, tmp_path: Path) -> None:
    exif = camera_exif(thumbnail=False)
    exif.endian = order
    path = photograph(tmp_path / f"a{suffix}", exif=exif)
    result = result_of(format_named("jpeg"), path, "keep")
    with Image.open(result) as image:
        _, exposure, place, _ = directories_of(image)
    assert plain(EXPOSURE).items() <= exposure.items()
    assert place == plain(PLACE)


def test_letters_that_ascii_lacks_survive_byte_by_byte(tmp_path: Path) -> None:
    exif = ExifData({0x013B: Field(0x013B, 2, "J\u00f6rg \N{SNOWMAN}\0".encode())})
    for written in WRITTEN_FORMATS:
        data = written.encode(Contents(PIXELS, metadata=Metadata(exif).reduced("private")))
        path = tmp_path / f"a{written.suffixes[0]}"
        path.write_bytes(data)
        assert load(path).metadata.exif.main[0x013B].text == "J\u00f6rg \N{SNOWMAN}"


def test_author_copyright_and_caption_of_iptc_go_where_exif_has_none(tmp_path: Path) -> None:
    texts = {"author": "J\u00f6rg", "copyright": "IPTC owner", "caption": "IPTC caption"}
    block = iptc_block(**texts, city="PLACE-1")
    exif = Image.Exif()
    exif[Base.Copyright] = "EXIF owner"
    path = photograph(tmp_path / "a.jpg", exif=exif, iptc=block)
    result = result_of(format_named("tiff"), path, "private")
    main = load(result).metadata.exif.main
    assert main[Base.Artist].text == "J\u00f6rg"
    assert main[Base.Copyright].text == "EXIF owner"
    assert main[Base.ImageDescription].text == "IPTC caption"
    assert b"PLACE-1" not in result.read_bytes()


def test_a_resolution_without_exif_is_kept(tmp_path: Path) -> None:
    for suffix in (".jpg", ".png", ".tif"):
        path = tmp_path / f"a{suffix}"
        Image.new("RGB", (48, 36)).save(path, dpi=(240, 120))
        for written in WRITTEN_FORMATS:
            with Image.open(result_of(written, path, "private")) as image:
                exif = image.getexif()
                found = image.info.get("dpi") or (exif[Base.XResolution], exif[Base.YResolution])
            assert found == pytest.approx((240, 120), abs=0.02)


@pytest.mark.parametrize("most", [60_000, 30_000])
def test_long_fields_give_way_to_the_text_in_a_jpeg_file(tmp_path: Path, most: int) -> None:
    exif = Image.Exif()
    exif[Base.ImageDescription], exif[Base.Artist] = "x" * most, "Ada"
    path = photograph(tmp_path / "a.tif", exif=exif)
    result = result_of(format_named("jpeg"), path, "keep")
    assert read_text(result) == TEXT
    assert load(result).metadata.exif.main[Base.Artist].text == "Ada"
    long = {"nst-batch": "y" * 40_000}
    metadata = load(path).metadata.reduced("keep")
    result.write_bytes(format_named("jpeg").encode(Contents(PIXELS, text=long, metadata=metadata)))
    assert read_text(result) == long
    main = load(result).metadata.exif.main
    assert main[Base.Artist].text == "Ada"
    assert Base.ImageDescription not in main


def test_a_packet_that_no_jpeg_file_can_hold_is_reduced() -> None:
    packet = XMP.replace("52,30.025N", "5" * 70_000).encode()
    assert len(kept_xmp(packet)) < 5000
    assert (
        xmp_names(kept_xmp(packet))
        == xmp_names(private_xmp(packet))
        == {
            *("Credit", "creator", "rights"),
        }
    )
    longer = XMP.replace("Studio Ada", "5" * 70_000).encode()
    assert Metadata(xmp=longer).reduced("private").xmp == b""


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"<",
        b"\xff\xfe<",
        b"no xml",
        XMP.encode()[:300],
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        XMP.replace('<?xpacket begin="" ', '<!DOCTYPE a [<!ENTITY b "c">]><?x ').encode(),
    ],
)
def test_packets_that_are_damaged_or_dangerous_are_left_out(packet: bytes) -> None:
    assert private_xmp(packet) == kept_xmp(packet) == b""


def test_a_comment_in_a_packet_is_no_danger() -> None:
    assert private_xmp(XMP.replace("<rdf:RDF", "<!-- ok --><rdf:RDF", 1).encode())


def test_damaged_exif_data_is_left_out_with_a_note_and_the_picture_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.new("RGB", (8, 8)).save(path, exif=b"Exif\0\0nothing")
    picture = load(path, warn=False)
    assert not picture.metadata.exif
    assert (
        "its EXIF data is damaged and ignored (it begins with the text 'noth')" in picture.warnings
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_whatever_is_damaged_the_metadata_costs_no_picture(suffix: str, tmp_path: Path) -> None:
    data = camera_exif().tobytes().removeprefix(b"Exif\0\0")
    draw = random.Random(7)
    for _ in range(150):
        damaged = bytearray(data)
        for _ in range(draw.randint(1, 12)):
            damaged[draw.randrange(4, len(damaged))] = draw.randrange(256)
        try:
            exif = parse_exif(bytes(damaged[: draw.randint(8, len(damaged))]))
        except ValueError:
            continue
        for choice in ("keep", "private"):
            written = format_named({".jpg": "jpeg", ".tif": "tiff"}.get(suffix, suffix[1:]))
            contents = Contents(PIXELS, text=TEXT, metadata=Metadata(exif).reduced(choice))
            path = tmp_path / f"a{suffix}"
            path.write_bytes(written.encode(contents))
            assert read_text(path) == TEXT
            assert examine(path, warn=False).width == 30


def test_a_directory_that_points_to_itself_is_read_once() -> None:
    data = bytearray(camera_exif().tobytes().removeprefix(b"Exif\0\0"))
    pointer = data.index(b"\x87\x69") if data[:2] == b"MM" else data.index(b"\x69\x87")
    order = "big" if data[:2] == b"MM" else "little"
    data[pointer + 8 : pointer + 12] = (8).to_bytes(4, order)
    assert parse_exif(bytes(data)).main.keys() >= {Base.Make, Base.Model}


def test_metadata_changes_neither_pixels_nor_the_digest(tmp_path: Path) -> None:
    with_all = photograph(tmp_path / "a.png")
    without = tmp_path / "b.png"
    exif = Image.Exif()
    exif[Base.Orientation] = 6
    photograph(without, exif=exif)
    assert examine(with_all).sha256 == examine(without).sha256
    assert load(with_all).metadata != load(without).metadata


def test_the_names_of_the_tags_are_those_of_the_standard() -> None:
    assert (Base.Artist, Base.Copyright) == (0x013B, 0x8298)
    assert ExifTags.IFD.Exif == 0x8769
    buffer = io.BytesIO(format_named("tiff").encode(Contents(PIXELS)))
    with Image.open(buffer) as image:
        assert image.getexif()[Base.Orientation] == 1
