"""Arrays and Pillow images, which give the same pixels as files of the same content."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nst_core.images.picture_files import PictureError
from nst_core.images.pixels import as_pixels
from nst_core.images.read import load
from nst_core.images.write import encode_jpeg, encode_png
from tests.picture_files import LINEAR_RGB, exif, png_bytes

RGB = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
RGB[0, 0, :2] = 0, 255
GRAY = RGB[..., 0].copy()
RGBA = np.dstack([RGB, GRAY])


def test_pixels_of_load_are_not_changed():
    pixels = np.random.default_rng(1).random((5, 4, 3), np.float32)
    assert as_pixels(pixels) is pixels


@pytest.mark.parametrize(
    "array",
    [
        RGB,
        GRAY,
        GRAY[..., None],
        RGBA,
        np.dstack([RGB, np.full_like(GRAY, 255)]),
        GRAY.astype(np.uint16) * 257,
    ],
    ids=["rgb", "gray", "gray of 1 channel", "rgba", "opaque rgba", "deep gray"],
)
def test_an_array_gives_the_pixels_of_its_file(tmp_path, array):
    Image.fromarray(array.squeeze()).save(tmp_path / "a.png")
    found = as_pixels(array)
    np.testing.assert_array_equal(found, load(tmp_path / "a.png").rgb)
    assert found.dtype == np.float32
    assert found.shape == (6, 8, 3)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("array", [RGB, GRAY, GRAY[..., None], RGBA])
def test_floating_point_ranges_from_0_to_1(array, dtype):
    found = as_pixels((array / 255).astype(dtype))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, as_pixels(array), atol=1e-3)


def test_values_just_out_of_range_are_clipped():
    pixels = (RGB / 255 * 1.0008 - 0.0004).astype(np.float32)
    found = as_pixels(pixels)
    assert (found.min(), found.max()) == (0, 1)


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("RGB", {}),
        ("L", {}),
        ("RGBA", {}),
        ("P", {}),
        ("1", {}),
        ("RGB", {"exif": exif(6)}),
        ("RGB", {"icc_profile": LINEAR_RGB}),
    ],
)
@pytest.mark.parametrize("is_decoded", [False, True])
def test_a_pillow_image_gives_the_pixels_of_its_file(tmp_path, mode, options, is_decoded):
    Image.fromarray(RGBA).convert(mode).save(tmp_path / "a.png", **options)
    with Image.open(tmp_path / "a.png") as image:
        if is_decoded:
            image.load()
        before = dict(image.info)
        found = as_pixels(image)
        assert image.info == before
    np.testing.assert_array_equal(found, load(tmp_path / "a.png").rgb)


def test_a_pillow_image_that_has_no_file_is_read():
    np.testing.assert_array_equal(as_pixels(Image.fromarray(RGB)), as_pixels(RGB))


@pytest.mark.parametrize(
    ("picture", "found"),
    [
        (RGB.astype(np.float32), "found float32 values from 0 to 255, expected 0 to 1"),
        (RGB / 255 - 0.5, "found float64 values from -0.5 to 0.5, expected 0 to 1"),
        (np.full((3, 3, 3), np.nan), "found float64 values from nan to nan, expected 0 to 1"),
        (np.full((3, 3, 3), np.inf), "found float64 values from inf to inf, expected 0 to 1"),
        (RGB.astype(np.int64), "found an array of int64, expected uint8"),
        (RGB > 100, "found an array of bool, expected uint8"),
        (RGB.astype(str), "found an array of <U3, expected uint8"),
        (RGB.astype(complex), "found an array of complex128, expected uint8"),
        (RGB[0, 0], r"found an array of shape \(3,\), expected \(height, width\)"),
        (RGB[None], r"found an array of shape \(1, 6, 8, 3\)"),
        (np.moveaxis(RGB, -1, 0), r"found an array of shape \(3, 6, 8\)"),
        (RGBA[..., :2], r"found an array of shape \(6, 8, 2\)"),
        (RGB[:0], r"found an array of shape \(0, 8, 3\).* no side of 0"),
        (None, r"found an array of shape \(\)"),
        ("content.png", r"found the path content\.png, expected a picture; .*`nst_core\.load`"),
        (Path("a.png"), r"found the path a\.png, expected a picture"),
        ("https://host/a.png?k=hush", r"found the path https://host/a\.png\?\.\.\., expected"),
    ],
)
def test_anything_else_is_refused_with_what_was_found(picture, found):
    with pytest.raises(ValueError, match=f"^mine: {found}"):
        as_pixels(picture, "mine")


def test_a_pillow_image_that_cannot_be_decoded_is_refused():
    intact = png_bytes(8, 6, 8, 2, [row.tobytes() for row in RGB])
    with (
        Image.open(io.BytesIO(intact[:60])) as image,
        pytest.raises(PictureError, match=r"^mine: the Pillow image cannot be read"),
    ):
        as_pixels(image, "mine")


def test_levels_of_8_bits_are_written_unchanged():
    found = np.asarray(Image.open(io.BytesIO(encode_png(RGB, GRAY / 255))))
    np.testing.assert_array_equal(found, RGBA)
    assert encode_jpeg(RGB) == encode_jpeg(RGB.astype(np.float32) / np.float32(255))


@pytest.mark.parametrize("pixels", [RGB.astype(int), np.full((2, 2, 3), np.nan)])
def test_other_numbers_cannot_be_written(pixels):
    with pytest.raises(ValueError, match="expected uint8 from 0 to 255 or floating point"):
        encode_png(pixels)
