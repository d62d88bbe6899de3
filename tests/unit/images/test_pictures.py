"""Pictures made by hand or by Pillow; NumPy computes what they must look like."""

import io
import os
import struct
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFile

from nst_core.images.picture_files import PictureError
from nst_core.images.read import examine, load, read_header
from nst_core.images.resize import fit, resize
from nst_core.images.write import encode_png, read_text
from tests.picture_files import (
    GRAY,
    GRAY_GAMMA,
    LINEAR_RGB,
    SWAPPED_LINEAR_RGB,
    adobe_cmyk_jpeg_bytes,
    cyan_is_gray_profile,
    exif,
    icc_bytes,
    png_bytes,
    srgb_encoded,
    tiff_bytes,
)

LEVEL = 1 / 255
ASYMMETRIC = np.array(
    [[[250, 10, 20], [30, 240, 50], [60, 70, 230]], [[5, 5, 5], [128, 64, 32], [255, 255, 0]]],
    np.uint8,
)


def levels(path, **options):
    return load(path, **options).rgb.astype(np.float64) * 255


# What pictures look like


def test_rgb_pixels_arrive_as_float32_between_0_and_1(save):
    picture = load(save("a.png", ASYMMETRIC))
    assert picture.rgb.dtype == np.float32
    assert picture.alpha is None
    np.testing.assert_allclose(picture.rgb, ASYMMETRIC / 255, atol=1e-7)


UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: np.rot90(a, 2),
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.png", {}),
        ("a.webp", {"lossless": True}),
        ("a.tif", {}),
        ("b.tif", {"compression": "tiff_lzw"}),
    ],
)
def test_every_exif_orientation_is_turned_upright(save, name, options, orientation):
    path = save(name, ASYMMETRIC, exif=exif(orientation), **options)
    expected = UPRIGHT[orientation](ASYMMETRIC)
    np.testing.assert_allclose(levels(path), expected, atol=1e-4)
    facts = examine(path)
    assert (facts.height, facts.width) == expected.shape[:2]
    assert read_header(path) == (facts.width, facts.height, facts.format)


def test_jpeg_is_turned_upright(save):
    tall = np.zeros((16, 48, 3), np.uint8)
    tall[:, :16] = 255  # white at the left: at the top once turned clockwise
    path = save("a.jpg", tall, exif=exif(6))
    assert read_header(path) == (16, 48, "JPEG")
    found = levels(path)
    assert found.shape == (48, 16, 3)
    assert found[:12].min() > 250
    assert found[20:].max() < 5


def test_orientation_stored_after_the_pixels_of_a_png_is_found(save):
    rows = [row.tobytes() for row in ASYMMETRIC]
    intact = png_bytes(3, 2, 8, 2, rows, (b"eXIf", exif(6)[6:]))
    start = intact.index(b"eXIf") - 4
    stop = intact.index(b"IDAT") - 4
    moved = intact[:start] + intact[stop:-12] + intact[start:stop] + intact[-12:]
    np.testing.assert_allclose(levels(save("a.png", moved)), np.rot90(ASYMMETRIC, -1), atol=1e-4)


def test_broken_exif_is_ignored_with_a_warning(save, caplog):
    path = save("a.png", ASYMMETRIC, exif=b"Exif\0\0MM\7\7broken")
    np.testing.assert_allclose(levels(path), ASYMMETRIC, atol=1e-4)
    assert "a.png" in caplog.text


GRAYS = np.array([[0, 77, 255], [200, 1, 128]], np.uint8)


@pytest.mark.parametrize(
    ("name", "image", "expected"),
    [
        ("l.png", Image.fromarray(GRAYS), GRAYS / 255),
        ("1.png", Image.fromarray(GRAYS > 100), GRAYS > 100),
        (
            "i16.png",
            Image.fromarray(GRAYS.astype(np.uint16) * 256 + 7),
            (GRAYS * 256.0 + 7) / 65535,
        ),
        (
            "i16.tif",
            Image.fromarray(GRAYS.astype(np.uint16) * 256 + 7),
            (GRAYS * 256.0 + 7) / 65535,
        ),
        ("i.tif", Image.fromarray(GRAYS.astype(np.int32) * 250), GRAYS * 250.0 / 65535),
        ("f.tif", Image.fromarray((GRAYS / 300).astype(np.float32)), GRAYS / 300),
    ],
)
def test_gray_of_any_depth_keeps_its_value_in_all_channels(save, name, image, expected):
    rgb = load(save(name, image)).rgb
    np.testing.assert_allclose(rgb, np.stack([expected] * 3, axis=-1), atol=2e-7)


def test_16_bit_big_endian_tiff_equals_the_little_endian_one(save):
    values = GRAYS.astype(np.uint16) * 256 + 99
    little = save("little.tif", Image.fromarray(values))
    big = save("big.tif", Image.frombytes("I;16B", (3, 2), values.astype(">u2").tobytes()))
    np.testing.assert_array_equal(load(big).rgb, load(little).rgb)
    assert examine(big).sha256 == examine(little).sha256


@pytest.mark.parametrize(("channels", "color_type"), [(3, 2), (4, 6)])
def test_16_bit_png_is_accurate_to_8_bits(save, channels, color_type):
    values = np.random.default_rng(0).integers(0, 65536, (5, 4, channels))
    values[0, 0], values[0, 1] = 0, 65535
    rows = [row.astype(">u2").tobytes() for row in values]
    picture = load(save("a.png", png_bytes(4, 5, 16, color_type, rows)))
    straight = values[..., :3] / 65535
    alpha = values[..., 3:] / 65535 if channels == 4 else 1.0
    np.testing.assert_allclose(picture.rgb, straight * alpha + 1 - alpha, atol=2 * LEVEL)
    np.testing.assert_array_equal(picture.rgb[0, 1], 1)


def test_16_bit_gray_with_alpha_png_is_accurate_to_8_bits(save):
    row = struct.pack(">4H", 20000, 65535, 60000, 32768)
    picture = load(save("a.png", png_bytes(2, 1, 16, 4, [row])))
    alpha = 32768 / 65535
    np.testing.assert_allclose(picture.rgb[0, 0], 20000 / 65535, atol=LEVEL)
    np.testing.assert_allclose(picture.rgb[0, 1], 60000 / 65535 * alpha + 1 - alpha, atol=2 * LEVEL)


def test_16_bit_rgb_tiff_is_accurate_to_8_bits(save):
    values = np.random.default_rng(1).integers(0, 65536, (4, 6, 3), dtype=np.uint16)
    path = save("a.tif", tiff_bytes(values, photometric=2))
    np.testing.assert_allclose(load(path).rgb, values / 65535, atol=LEVEL)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (
            tiff_bytes(np.full((3, 4, 6), 999, np.uint16), photometric=2, planar=2),
            "separate planes",
        ),
        (tiff_bytes(np.full((4, 6, 1), 999, np.uint16), photometric=0), "white as 0"),
        (tiff_bytes(np.zeros((4, 6, 3), np.uint8), photometric=2, subfile_type=1), "preview"),
        (tiff_bytes(np.zeros((4, 6, 3), np.float32), photometric=2), "cannot be decoded"),
        (tiff_bytes(np.full((4, 6, 1), 3, np.float32), photometric=1), "from 3 to 3"),
        (tiff_bytes(np.full((4, 6, 1), np.nan, np.float32), photometric=1), "nan"),
        (tiff_bytes(np.full((4, 6, 1), 70000, np.uint32), photometric=1), "from 70000 to 70000"),
    ],
)
def test_tiff_that_would_be_misread_is_refused(save, content, found):
    path = save("odd.tif", content)
    for read in (examine, load):
        with pytest.raises(PictureError, match=found) as caught:
            read(path)
        assert "odd.tif" in str(caught.value)


def test_8_bit_tiff_in_separate_planes_is_read(save):
    planes = np.moveaxis(ASYMMETRIC, -1, 0).copy()
    path = save("a.tif", tiff_bytes(planes, photometric=2, planar=2))
    np.testing.assert_allclose(levels(path), ASYMMETRIC, atol=1e-4)


def paletted(**info):
    image = Image.fromarray(np.array([[0, 1, 2], [2, 1, 0]], np.uint8)).convert("P")
    image.putpalette([250, 0, 0, 0, 200, 0, 10, 20, 30])
    image.info.update(info)
    return image


@pytest.mark.parametrize("name", ["a.png", "a.gif", "a.bmp"])
def test_palette_without_transparency_is_opaque(save, name):
    colors = np.array([[250, 0, 0], [0, 200, 0], [10, 20, 30]])
    picture = load(save(name, paletted()))
    assert picture.alpha is None
    np.testing.assert_allclose(picture.rgb * 255, colors[[[0, 1, 2], [2, 1, 0]]], atol=1e-4)


@pytest.mark.parametrize(
    ("name", "transparency", "alphas"),
    [
        ("a.gif", 1, [255, 0, 255]),
        ("a.png", 1, [255, 0, 255]),
        ("b.png", bytes([0, 128, 255]), [0, 128, 255]),
    ],
)
def test_palette_with_transparency_is_composited_on_white(save, name, transparency, alphas):
    index = np.array([[0, 1, 2], [2, 1, 0]])
    colors = np.array([[250, 0, 0], [0, 200, 0], [10, 20, 30]])[index] / 255
    alpha = np.array(alphas)[index] / 255
    picture = load(save(name, paletted(), transparency=transparency))
    np.testing.assert_allclose(picture.alpha, alpha, atol=1e-6)
    expected = colors * alpha[..., None] + (1 - alpha[..., None])
    np.testing.assert_allclose(picture.rgb, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "channels", "options"),
    [
        ("a.png", 4, {}),
        ("a.png", 2, {}),
        ("a.webp", 4, {"lossless": True, "exact": True}),
        ("a.tif", 4, {}),
    ],
)
def test_alpha_is_composited_on_white(save, name, channels, options):
    pixels = np.random.default_rng(2).integers(0, 256, (6, 7, channels), dtype=np.uint8)
    picture = load(save(name, pixels, **options))
    alpha = pixels[..., -1:].astype(np.float64) / 255
    expected = pixels[..., :-1] / 255 * alpha + 1.0 * (1 - alpha)
    np.testing.assert_allclose(picture.rgb, np.broadcast_to(expected, (6, 7, 3)), atol=1e-6)
    np.testing.assert_allclose(picture.alpha, alpha[..., 0], atol=1e-6)


def test_one_transparent_color_is_composited_on_white(save):
    rows = [row.tobytes() for row in ASYMMETRIC]
    key = (b"tRNS", struct.pack(">3H", *ASYMMETRIC[1, 1]))
    picture = load(save("a.png", png_bytes(3, 2, 8, 2, rows, key)))
    expected = ASYMMETRIC.copy()
    expected[1, 1] = 255
    np.testing.assert_allclose(picture.rgb * 255, expected, atol=1e-4)
    np.testing.assert_array_equal(picture.alpha, [[1, 1, 1], [1, 0, 1]])


def test_alpha_that_is_opaque_everywhere_is_none(save):
    opaque = np.dstack([ASYMMETRIC, np.full((2, 3), 255, np.uint8)])
    path = save("a.png", opaque)
    assert load(path).alpha is None
    np.testing.assert_allclose(levels(path), ASYMMETRIC, atol=1e-4)


def test_hidden_colors_do_not_bleed_when_shrinking(save):
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:, ::2] = (0, 0, 255, 255)
    pixels[:, 1::2] = (255, 0, 0, 0)  # red, but invisible
    picture = load(save("a.png", pixels), size=1)
    np.testing.assert_allclose(picture.rgb, [[[0.5, 0.5, 1.0]]], atol=0.01)
    np.testing.assert_allclose(picture.alpha, [[0.5]], atol=0.01)


@pytest.mark.parametrize(
    ("name", "other"), [("a.gif", 90), ("a.tif", 90), ("a.webp", 90), ("a.png", 90)]
)
def test_only_the_first_frame_is_read(save, name, other):
    first, second = (np.full((4, 5), level, np.uint8) for level in (200, other))
    options = {"lossless": True} if name == "a.webp" else {}
    path = save(
        name,
        Image.fromarray(first),
        save_all=True,
        append_images=[Image.fromarray(second)],
        **options,
    )
    with Image.open(path) as check:
        assert check.n_frames == 2
    np.testing.assert_allclose(levels(path), 200, atol=1e-4)


def test_mpo_of_a_phone_is_read_as_its_first_picture(save):
    frames = [Image.new("RGB", (16, 8), color) for color in ((200, 100, 50), (0, 0, 0))]
    path = save("a.jpg", frames[0], format="MPO", save_all=True, append_images=frames[1:])
    assert read_header(path) == (16, 8, "MPO")
    np.testing.assert_allclose(levels(path), np.broadcast_to([200, 100, 50], (8, 16, 3)), atol=3)


def test_avif_and_jpeg_2000_are_read(save):
    color = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    for name in ("a.avif", "a.jp2"):
        np.testing.assert_allclose(levels(save(name, color)), color, atol=4)


# Color


def test_rgb_profile_is_converted_to_srgb(save):
    patches = np.array([[[51, 128, 204], [255, 0, 0], [255, 255, 255], [0, 0, 0]]], np.uint8)
    expected = srgb_encoded(patches[..., ::-1] / 255)
    for name in ("a.png", "a.tif"):
        rgb = load(save(name, patches, icc_profile=SWAPPED_LINEAR_RGB)).rgb
        np.testing.assert_allclose(rgb, expected, atol=1.6 * LEVEL)


def test_profile_does_not_change_alpha(save):
    pixels = np.array([[[51, 128, 204, 102]]], np.uint8)
    picture = load(save("a.png", pixels, icc_profile=SWAPPED_LINEAR_RGB))
    color, alpha = srgb_encoded(pixels[..., 2::-1] / 255), 102 / 255
    np.testing.assert_allclose(picture.rgb, color * alpha + 1 - alpha, atol=1.6 * LEVEL)
    np.testing.assert_allclose(picture.alpha, [[alpha]], atol=1e-6)


def test_palette_is_converted_by_its_profile(save):
    path = save("a.png", paletted(), icc_profile=SWAPPED_LINEAR_RGB)
    expected = srgb_encoded(np.array([0, 200, 0]) / 255)
    np.testing.assert_allclose(load(path).rgb[0, 1], expected, atol=1.6 * LEVEL)


@pytest.mark.parametrize("deep", [False, True])
def test_gray_profile_is_converted_to_srgb(save, deep):
    ramp = np.arange(256, dtype=np.uint8).reshape(8, 32)
    values = ramp.astype(np.uint16) * 257 if deep else ramp
    rgb = load(save("a.png", values, icc_profile=GRAY)).rgb
    expected = srgb_encoded((ramp / 255) ** GRAY_GAMMA)
    np.testing.assert_allclose(rgb, np.stack([expected] * 3, axis=-1), atol=1.2 * LEVEL)


def test_gray_profile_with_alpha_is_converted_to_srgb(save):
    path = save("a.png", np.array([[[100, 128]]], np.uint8), icc_profile=GRAY)
    alpha = 128 / 255
    expected = srgb_encoded((100 / 255) ** GRAY_GAMMA) * alpha + 1 - alpha
    np.testing.assert_allclose(load(path).rgb, np.full((1, 1, 3), expected), atol=1.2 * LEVEL)


def test_gray_picture_with_an_rgb_profile_is_converted_to_srgb(save):
    rgb = load(save("a.png", GRAYS, icc_profile=SWAPPED_LINEAR_RGB)).rgb
    expected = srgb_encoded(GRAYS / 255)
    np.testing.assert_allclose(rgb, np.stack([expected] * 3, axis=-1), atol=1.6 * LEVEL)


def test_srgb_profile_changes_nothing_visible(save):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    np.testing.assert_allclose(
        levels(save("a.png", ASYMMETRIC, icc_profile=profile)), ASYMMETRIC, atol=1.01
    )


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ((255, 255, 255, 255), (1, 1, 1)),  # Adobe stores inverted levels: 255 is no ink
        ((0, 255, 255, 255), (0, 1, 1)),
        ((255, 255, 0, 255), (1, 1, 0)),
        ((255, 255, 255, 0), (0, 0, 0)),
    ],
)
def test_adobe_cmyk_jpeg_without_profile_is_converted(save, stored, expected):
    rgb = load(save("a.jpg", adobe_cmyk_jpeg_bytes(stored))).rgb
    np.testing.assert_allclose(rgb, np.broadcast_to(expected, (8, 8, 3)), atol=LEVEL)


def test_cmyk_without_profile_multiplies_the_transmission_of_inks(save):
    inks = np.array([[[51, 102, 0, 128], [0, 200, 255, 20]]], np.uint8)
    rgb = load(save("a.tif", Image.frombytes("CMYK", (2, 1), inks.tobytes()))).rgb
    expected = (1 - inks[..., :3] / 255) * (1 - inks[..., 3:] / 255)
    np.testing.assert_allclose(rgb, expected, atol=1.01 * LEVEL)


@pytest.mark.parametrize(("stored_cyan", "lightness"), [(255, 100), (0, 12800 / 255)])
def test_adobe_cmyk_jpeg_is_converted_by_its_profile(save, stored_cyan, lightness):
    stored = (stored_cyan, 255, 255, 255)
    rgb = load(save("a.jpg", adobe_cmyk_jpeg_bytes(stored, cyan_is_gray_profile()))).rgb
    expected = srgb_encoded(((lightness + 16) / 116) ** 3)
    np.testing.assert_allclose(rgb, expected, atol=2.1 * LEVEL)


@pytest.mark.parametrize(
    "profile",
    [
        b"garbage",
        SWAPPED_LINEAR_RGB[:200],
        GRAY,
        icc_bytes(b"RGB ", {}),
        cyan_is_gray_profile(),
    ],
)
def test_unusable_profile_is_ignored_with_a_warning(save, caplog, profile):
    path = save("odd.png", ASYMMETRIC, icc_profile=profile)
    np.testing.assert_allclose(levels(path), ASYMMETRIC, atol=1e-4)
    assert "odd.png" in caplog.text
    assert "profile" in caplog.text


def test_profile_that_cannot_be_decompressed_is_ignored(save):
    rows = [row.tobytes() for row in ASYMMETRIC]
    path = save("a.png", png_bytes(3, 2, 8, 2, rows, (b"iCCP", b"name\0\0not zlib")))
    np.testing.assert_allclose(levels(path), ASYMMETRIC, atol=1e-4)


# Sizes


@pytest.mark.parametrize(
    ("shape", "size", "enlarge", "expected"),
    [
        ((3000, 4000), 512, False, (384, 512)),
        ((4000, 3000), 512, False, (512, 384)),
        ((100, 80), 512, False, (100, 80)),
        ((100, 80), 500, True, (500, 400)),
        ((1, 5000), 100, False, (1, 100)),
        ((333, 1000), 100, False, (33, 100)),
        ((337, 1000), 100, False, (34, 100)),
        ((1000, 337), 100, False, (100, 34)),
        ((7, 7), 7, True, (7, 7)),
    ],
)
def test_fit_keeps_the_aspect_ratio(shape, size, enlarge, expected):
    assert fit(*shape, size, enlarge=enlarge) == expected


def test_load_shrinks_and_only_enlarges_on_request(save):
    path = save("a.png", np.zeros((40, 20, 4), np.uint8))
    assert load(path).rgb.shape == (40, 20, 3)
    assert load(path, size=10).rgb.shape == (10, 5, 3)
    assert load(path, size=10).alpha.shape == (10, 5)
    assert load(path, size=80).rgb.shape == (40, 20, 3)
    assert load(path, size=80, enlarge=True).rgb.shape == (80, 40, 3)


def test_resize_to_the_same_shape_changes_nothing():
    array = np.random.default_rng(3).random((5, 6, 3), np.float32)
    np.testing.assert_array_equal(resize(array, 5, 6), array)


def test_resize_averages_when_shrinking():
    checkers = np.indices((64, 64)).sum(axis=0) % 2
    shrunk = resize(checkers, 8, 8)
    assert shrunk.dtype == np.float32
    np.testing.assert_allclose(shrunk, 0.5, atol=0.01)


def test_resize_keeps_a_gradient():
    # A row of pixels is centered at (index + 0.5) / count of the picture's height.
    gradient = np.repeat((np.arange(60)[:, None] + 0.5) / 60, 5, axis=1)
    for height in (20, 240):
        expected = (np.arange(height) + 0.5) / height
        found = resize(gradient, height, 5)[:, 2]
        inner = slice(height // 10, -height // 10)
        np.testing.assert_allclose(found[inner], expected[inner], atol=1e-5)


def test_resize_keeps_channels_apart_and_in_range():
    array = np.zeros((4, 4, 3), np.float32)
    array[:, 2:, 0] = 1.0
    array[:, :, 1] = 0.3
    found = resize(array, 16, 16)
    assert found.shape == (16, 16, 3)
    assert found[..., 0].min() == 0
    assert found[..., 0].max() == 1
    np.testing.assert_array_equal(found[..., 1], np.float32(0.3))
    np.testing.assert_array_equal(found[..., 2], 0)


# Digests


def digest(path):
    return examine(path).sha256


def test_digest_does_not_depend_on_the_container(save):
    first = digest(save("a.png", ASYMMETRIC, compress_level=9))
    assert len(first) == 64
    assert first == digest(save("b.png", ASYMMETRIC, compress_level=0))
    assert first == digest(save("c.bmp", ASYMMETRIC))
    assert first == digest(save("d.png", encode_png(ASYMMETRIC / 255, text={"seed": "7"})))
    assert first == digest(save("e.png", np.rot90(ASYMMETRIC), exif=exif(6)))


def test_digest_does_not_change_when_exif_is_edited(save):
    plain = encode_jpeg(np.tile(ASYMMETRIC, (9, 9, 1)))
    data = Image.Exif()
    data[0x010E] = "holiday"
    segment = b"\xff\xe1" + struct.pack(">H", len(data.tobytes()) + 2) + data.tobytes()
    edited = save("b.jpg", plain[:2] + segment + plain[2:])
    with Image.open(edited) as check:
        assert check.getexif()[0x010E] == "holiday"
    assert digest(edited) == digest(save("a.jpg", plain))


def test_digest_changes_with_everything_visible(save):
    one_off = ASYMMETRIC.copy()
    one_off[1, 2, 2] += 1
    other_palette = paletted()
    other_palette.putpalette([250, 0, 0, 0, 200, 0, 10, 20, 31])
    inks = Image.new("CMYK", (3, 2), (1, 2, 3, 4))
    flat = np.full((4, 6, 3), 9, np.uint8)
    paths = [
        save("1.png", ASYMMETRIC),
        save("2.png", one_off),
        save("3.png", ASYMMETRIC, exif=exif(3)),
        save("4.png", ASYMMETRIC, icc_profile=SWAPPED_LINEAR_RGB),
        save("4b.png", ASYMMETRIC, icc_profile=LINEAR_RGB),
        save("5.png", np.dstack([ASYMMETRIC, GRAYS])),
        save("6.png", paletted()),
        save("7.png", other_palette),
        save("8.png", flat),
        save("9.png", flat.reshape(6, 4, 3)),
        save("10.png", GRAYS),
        save("11.tif", inks),
        save("12.png", Image.frombytes("RGBA", inks.size, inks.tobytes())),
    ]
    assert len(LINEAR_RGB) == len(SWAPPED_LINEAR_RGB)
    assert len({digest(path) for path in paths}) == len(paths)


def test_digests_are_those_of_earlier_versions(save):
    """Otherwise, every row of a finished folder would be made again."""
    rows = [row.tobytes() for row in ASYMMETRIC]
    gamma = (b"gAMA", struct.pack(">I", 45455))
    deep = GRAYS.astype(np.uint16) * 256 + 7
    key = (b"tRNS", struct.pack(">3H", *ASYMMETRIC[1, 1]))
    contents = {
        "rgb.png": png_bytes(3, 2, 8, 2, rows, gamma),
        "turned.png": png_bytes(3, 2, 8, 2, rows, (b"eXIf", exif(6)[6:])),
        "key.png": png_bytes(3, 2, 8, 2, rows, key),
        "gray.png": GRAYS,
        "bits.png": Image.fromarray(GRAYS > 100),
        "rgba.png": np.dstack([ASYMMETRIC, GRAYS]),
        "deep.png": deep,
        "deep.tif": tiff_bytes(deep[..., None], photometric=1),
        "float.tif": tiff_bytes((GRAYS / 300).astype(np.float32)[..., None], photometric=1),
        "palette.gif": paletted(transparency=1),
        "rgb.bmp": ASYMMETRIC,
        "cmyk.tif": Image.new("CMYK", (3, 2), (1, 2, 3, 4)),
    }
    found = {name: digest(save(name, content))[:12] for name, content in contents.items()}
    profile = save("profile.png", ASYMMETRIC, icc_profile=LINEAR_RGB)
    found["profile.png"] = digest(profile)[:12]
    assert found == {
        "rgb.png": "09fedc310e7a",
        "turned.png": "68868c8006de",
        "key.png": "5302a09dd910",
        "gray.png": "adb30120b61a",
        "bits.png": "3cd6e1bc0027",
        "rgba.png": "07b250c46ca9",
        "deep.png": "5d720df584b7",
        "deep.tif": "5d720df584b7",
        "float.tif": "150782ae2b34",
        "palette.gif": "feffaf387f70",
        "rgb.bmp": "09fedc310e7a",
        "cmyk.tif": "bfa0a13d584f",
        "profile.png": "91cc843ce5e3",
    }


def test_digest_covers_every_row_of_a_tall_picture(save):
    tall = np.zeros((600, 2), np.uint8)
    last = tall.copy()
    last[-1, -1] = 1
    assert digest(save("a.png", tall)) != digest(save("b.png", last))


def test_facts_are_size_and_actual_format(save):
    facts = examine(save("misnamed.png", encode_jpeg(np.zeros((30, 20, 3), np.uint8))))
    assert (facts.width, facts.height, facts.format) == (20, 30, "JPEG")


# What is refused


def encode_jpeg(pixels):
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG")
    return data.getvalue()


NOISE = np.random.default_rng(4).integers(0, 256, (64, 64, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "empty"),
        (b"just some words, no picture", "just some words"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC|cannot be decoded"),
        (encode_jpeg(NOISE)[:2000], "cannot be decoded"),
        (encode_jpeg(NOISE)[:100], "cannot be decoded"),
        (encode_png(NOISE / 255)[:5000], "cannot be decoded"),
        (encode_png(NOISE / 255)[:20], "cannot be decoded"),
        (png_bytes(0, 3, 8, 2, [b""]), "no pixels"),
        (tiff_bytes(NOISE, photometric=2)[:5000], "cannot be decoded"),
    ],
)
def test_file_that_is_no_complete_picture_is_refused(save, content, found):
    path = save("holiday.jpg", content)
    for read in (examine, load):
        with pytest.raises(PictureError, match=found) as caught:
            read(path)
        assert str(path) in str(caught.value)
        assert "Traceback" not in str(caught.value)


def test_header_of_a_truncated_picture_can_be_read(save, caplog):
    assert read_header(save("a.jpg", encode_jpeg(NOISE)[:2000])) == (64, 64, "JPEG")
    assert read_header(save("a.png", encode_png(NOISE / 255)[:2000])) == (64, 64, "PNG")
    assert caplog.text == ""  # looking for EXIF data did not touch the pixels


def test_missing_file_and_folder_are_refused(tmp_path):
    for path, found in [(tmp_path / "gone.png", "No such file"), (tmp_path, "this is a folder")]:
        for read in (read_header, examine, load, read_text):
            with pytest.raises(PictureError, match=found) as caught:
                read(path)
            assert str(path) in str(caught.value)


def test_unreadable_file_is_refused(save, monkeypatch):
    path = save("a.png", ASYMMETRIC)

    def forbid(*_, **__):  # chmod would not stop root
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", forbid)
    with pytest.raises(PictureError, match=r"a\.png.*Permission denied"):
        load(path)


def test_pixel_limit_is_enforced(save):
    path = save("a.png", ASYMMETRIC)
    assert read_header(path, max_pixels=6) == (3, 2, "PNG")
    for read in (read_header, examine, load):
        with pytest.raises(PictureError, match=r"a\.png.* 3 x 2 = 6 pixels.* 5 "):
            read(path, max_pixels=5)


def test_decompression_bomb_is_refused_before_it_is_decoded(save):
    bomb = save("bomb.png", png_bytes(100_000, 100_000, 8, 2, [b""]))
    for read in (read_header, examine, load):
        with pytest.raises(PictureError, match=r"bomb\.png.*10,000,000,000 pixels"):
            read(bomb)


def test_limit_of_the_call_applies_and_not_that_of_pillow(save, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2)  # which makes 6 pixels an error
    names = ("a.png", "a.jpg", "a.gif", "a.bmp", "a.avif", "a.jp2", "a.tif", "lzw.tif")
    for name in names:
        options = {"compression": "tiff_lzw"} if name == "lzw.tif" else {}
        path = save(name, ASYMMETRIC, **options)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert examine(path).width == 3
    assert Image.MAX_IMAGE_PIXELS == 2


def test_truncated_pictures_remain_errors_for_pillow():
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


def test_files_are_closed(save, monkeypatch):
    paths = [
        save(name, ASYMMETRIC)
        for name in ("a.png", "a.jpg", "a.tif", "a.gif", "a.webp", "a.bmp", "a.avif", "a.jp2")
    ]
    paths += [save("broken.png", encode_png(NOISE / 255)[:3000]), save("none.png", b"words")]
    opened, original = [], Path.open
    monkeypatch.setattr(Path, "open", lambda *args: opened.append(original(*args)) or opened[-1])
    for path in paths:
        for read in (read_header, examine, load):
            try:
                read(path)
            except PictureError:
                assert path.name in ("broken.png", "none.png")
    assert len(opened) == 3 * len(paths)
    assert all(file.closed for file in opened)


def test_several_threads_get_the_same_digests(save):
    paths = [save(f"{level}.png", np.full((50, 60, 3), level, np.uint8)) for level in range(12)]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(digest, paths * 3))
    assert together == [digest(path) for path in paths] * 3
    assert len(set(together)) == 12


def test_import_loads_no_heavy_libraries():
    code = (
        "import sys, nst_core.images.read, nst_core.images.write\n"
        "print([name for name in ('tensorflow', 'pandas', 'prefect', 'skimage', 'tifffile')"
        " if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# Writing


def png_chunks(data):
    at, kinds = 8, []
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kinds.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return kinds


def test_png_is_rounded_to_the_nearest_level():
    exact = np.arange(256, dtype=np.float64).repeat(3).reshape(16, 16, 3)
    for offset in (-0.49, 0.0, 0.49):
        data = encode_png(((exact + offset) / 255).astype(np.float32))
        found = np.asarray(Image.open(io.BytesIO(data)))
        np.testing.assert_array_equal(found, exact)


def test_png_levels_outside_0_and_1_are_clipped():
    data = encode_png(np.array([[[-0.5, 1.5, 0.5]]], np.float32))
    assert np.asarray(Image.open(io.BytesIO(data))).tolist() == [[[0, 255, 128]]]


def test_png_is_tagged_srgb_before_its_pixels():
    chunks = png_chunks(encode_png(ASYMMETRIC / 255, text={"Title": "x"}))
    kinds = [kind for kind, _ in chunks]
    assert dict(chunks)[b"sRGB"] == b"\0"
    assert kinds.index(b"sRGB") < kinds.index(b"IDAT")
    assert kinds.index(b"iTXt") < kinds.index(b"IDAT")


def test_png_alpha_is_read_back(save):
    alpha = GRAYS / 255
    path = save("a.png", encode_png(ASYMMETRIC / 255, alpha))
    found = np.asarray(Image.open(path))
    np.testing.assert_array_equal(found, np.dstack([ASYMMETRIC, GRAYS]))
    np.testing.assert_allclose(load(path).alpha, alpha, atol=1e-6)


def test_png_pixels_are_read_back(save):
    rgb = load(save("a.png", NOISE)).rgb
    np.testing.assert_array_equal(load(save("b.png", encode_png(rgb))).rgb, rgb)


def test_png_text_is_read_back(save):
    text = {"nst:settings": '{"größe": 512}', "Title": "星月夜 🌙\nline two", "empty": ""}
    path = save("a.png", encode_png(ASYMMETRIC / 255, text=text))
    assert read_text(path) == text
    assert read_text(save("b.png", encode_png(ASYMMETRIC / 255))) == {}


def test_png_text_accepts_paths_that_are_not_utf_8(save):
    name = os.fsdecode(b"caf\xe9.jpg")
    path = save("a.png", encode_png(ASYMMETRIC / 255, text={"content": name}))
    assert read_text(path) == {"content": r"caf\udce9.jpg"}


def test_the_text_of_another_format_is_refused(save):
    with pytest.raises(PictureError, match=r"a\.gif.*GIF.*PNG"):
        read_text(save("a.gif", ASYMMETRIC))
