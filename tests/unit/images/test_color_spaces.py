"""Colors beyond sRGB and beyond 8 bits: read as they are, and converted as they should be."""

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from nst_core.images.color_profiles import as_srgb, kept_profile, rgb_profile, srgb_profile
from nst_core.images.deep_levels import deep_levels
from nst_core.images.read import examine, load, read_profile
from nst_core.images.write import Contents, format_named
from tests.encoders import random_pixels
from tests.picture_files import P3, P3_PROFILE

SRGB_TO_XYZ = np.array(
    [
        *(0.4124564, 0.3575761, 0.1804375),
        *(0.2126729, 0.7151522, 0.0721750),
        *(0.0193339, 0.1191920, 0.9503041),
    ]
).reshape(3, 3)
P3_TO_XYZ = np.array(
    [
        *(0.4865709, 0.2656677, 0.1982173),
        *(0.2289746, 0.6917385, 0.0792869),
        *(0.0, 0.0451134, 1.0439444),
    ]
).reshape(3, 3)
"""From linear light to XYZ under D65, as published (Lindbloom; SMPTE EG 432-1)."""


def p3_to_srgb(values: np.ndarray) -> np.ndarray:
    """Return sRGB in [0, 1] of P3 with the plain gamma, without any library of colors."""
    light = values.astype(np.float64) ** 2.2 @ P3_TO_XYZ.T @ np.linalg.inv(SRGB_TO_XYZ).T
    light = light.clip(0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def srgb_to_p3(values: np.ndarray) -> np.ndarray:
    values = values.astype(np.float64)
    light = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return (light @ SRGB_TO_XYZ.T @ np.linalg.inv(P3_TO_XYZ).T).clip(0, 1) ** (1 / 2.2)


PIXELS = random_pixels(12, 18, 5)
LEVELS = np.rint(PIXELS * 255).astype(np.uint8)


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    """Return a picture in Display P3."""
    path = tmp_path / "wide.png"
    Image.fromarray(LEVELS).save(path, icc_profile=P3_PROFILE)
    return path


def test_a_wide_picture_is_converted_to_srgb_by_default(wide: Path) -> None:
    expected = p3_to_srgb(LEVELS / 255)
    # A profile holds its colors with 16 bits, and its white adapted to D50.
    assert np.abs(load(wide).rgb - expected).max() < 3 / 255


def test_a_wide_picture_keeps_its_levels_in_its_own_space(wide: Path) -> None:
    profile = read_profile(wide)
    assert profile == P3_PROFILE
    assert len(examine(wide).profile_sha256) == 64
    picture = load(wide, space=profile)
    np.testing.assert_array_equal(np.rint(picture.rgb * 255).astype(np.uint8), LEVELS)
    assert picture.space == profile
    assert examine(wide).sha256 == picture.sha256 == load(wide).sha256


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_another_picture_is_converted_to_a_wide_space(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "plain.png"
    Image.fromarray(LEVELS).convert(mode).save(path)
    with Image.open(path) as image:
        stored = np.asarray(image.convert("RGB"))
    found = load(path, space=P3_PROFILE).rgb
    assert np.abs(found - srgb_to_p3(stored / 255)).max() < 3 / 255
    assert examine(path).profile_sha256 == ""


def test_a_picture_goes_from_one_wide_space_to_another_without_a_loss_on_the_way(
    tmp_path: Path,
) -> None:
    linear = rgb_profile(1, P3)
    path = tmp_path / "linear.png"
    green = np.zeros((4, 4, 3), np.uint8)
    green[..., 1] = 255
    Image.fromarray(green).save(path, icc_profile=linear)
    found = load(path, space=P3_PROFILE).rgb
    # By way of sRGB, which has no such green, red and blue would not be 0.
    assert np.abs(found - [0, 1, 0]).max() < 2 / 255
    assert np.abs(p3_to_srgb(np.array([0, 1.0, 0])) - [0, 1, 0]).max() < 1 / 255


@pytest.mark.parametrize("profile", [b"", b"broken", srgb_profile(), None])
def test_profiles_that_are_srgb_or_broken_have_no_colors_to_keep(profile: bytes | None) -> None:
    assert kept_profile(profile, "RGB") == b""


def test_only_pictures_in_color_have_colors_to_keep() -> None:
    assert kept_profile(P3_PROFILE, "RGB") == kept_profile(P3_PROFILE, "RGBA") == P3_PROFILE
    assert [kept_profile(P3_PROFILE, mode) for mode in ("L", "P", "CMYK", "F")] == [b""] * 4


def test_page_pictures_of_a_wide_space_are_srgb() -> None:
    found = as_srgb(PIXELS, P3_PROFILE)
    assert np.abs(found - p3_to_srgb(PIXELS)).max() < 4 / 255
    assert as_srgb(PIXELS, b"") is PIXELS


@pytest.mark.parametrize("name", ["png", "jpeg", "webp", "tiff"])
def test_every_format_says_which_space_its_pixels_are_in(name: str, tmp_path: Path) -> None:
    written = format_named(name)
    path = tmp_path / f"a{written.suffixes[0]}"
    for depth in written.depths:
        contents = Contents(PIXELS, profile=P3_PROFILE, depth=depth, text={"a": "b"}, quality=100)
        path.write_bytes(written.encode(contents))
        with Image.open(path) as image:
            assert image.info["icc_profile"] == P3_PROFILE
        found = load(path).rgb
        assert np.abs(found - p3_to_srgb(PIXELS)).mean() < (0.03 if name == "jpeg" else 0.01)
    path.write_bytes(written.encode(Contents(PIXELS, text={"a": "b"})))
    with Image.open(path) as image:
        profile = image.info.get("icc_profile")
    assert profile == (None if name == "png" else srgb_profile())


DEEP = np.random.default_rng(9).integers(0, 65536, (14, 10, 4), np.uint16)


def deep_file(path: Path, levels: np.ndarray, kind: str) -> Path:
    """Write levels of 16 bits with another program than Pillow where there is one."""
    if kind == "png":
        contents = Contents(levels[..., :3] / np.float64(65535), depth=16)
        if levels.shape[-1] == 4:
            contents = Contents(contents.rgb, levels[..., 3] / np.float64(65535), depth=16)
        path.write_bytes(format_named("png").encode(contents))
    else:
        order = ">" if kind == "big" else "<"
        more = {"extrasamples": ["unassalpha"]} if levels.shape[-1] == 4 else {}
        if kind == "deflate":
            more |= {"compression": "zlib", "predictor": True}
        tifffile.imwrite(path, levels, photometric="rgb", byteorder=order, **more)
    return path


@pytest.mark.parametrize("kind", ["png", "little", "big", "deflate"])
@pytest.mark.parametrize("channels", [3, 4])
def test_all_sixteen_bits_of_colors_are_read(kind: str, channels: int, tmp_path: Path) -> None:
    path = deep_file(tmp_path / "a", DEEP[..., :channels], kind)
    with Image.open(path) as image:
        found = deep_levels(image)
        assert found is not None
        np.testing.assert_array_equal(found, DEEP[..., :channels])
        # The picture can still be decoded.
        assert image.size == (10, 14)
        assert np.asarray(image).shape == (14, 10, channels)
    picture = load(path, deep=True)
    alpha = DEEP[..., 3:] / 65535 if channels == 4 else 1
    expected = 1 + alpha * (DEEP[..., :3] / 65535 - 1)
    np.testing.assert_allclose(picture.rgb, expected, atol=1e-6)
    facts = examine(path, deep=True)
    assert len(facts.deep_sha256) == 64
    assert facts.deep_sha256 == picture.deep_sha256
    assert (examine(path).deep_sha256, load(path).deep_sha256) == ("", "")
    assert facts.sha256 == load(path).sha256


def test_low_bits_are_in_the_digest_of_levels_only(tmp_path: Path) -> None:
    first = deep_file(tmp_path / "a", DEEP[..., :3], "little")
    second = deep_file(tmp_path / "b", DEEP[..., :3] ^ 1, "little")
    facts = [examine(path, deep=True) for path in (first, second)]
    assert facts[0].sha256 == facts[1].sha256
    assert facts[0].deep_sha256 != facts[1].deep_sha256


def test_deep_levels_are_turned_upright(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tags = [(274, "H", 1, 6, True)]
    tifffile.imwrite(path, DEEP[..., :3], photometric="rgb", extratags=tags)
    np.testing.assert_allclose(
        load(path, deep=True).rgb, np.rot90(DEEP[..., :3], -1) / 65535, atol=1e-6
    )


@pytest.mark.parametrize("mode", ["RGB", "L", "I;16", "P"])
def test_pictures_without_deep_colors_have_none(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new(mode, (4, 4)).save(path)
    with Image.open(path) as image:
        assert deep_levels(image) is None
    assert examine(path, deep=True).deep_sha256 == ""
    with Image.open(io.BytesIO(format_named("jpeg").encode(Contents(PIXELS)))) as image:
        assert deep_levels(image) is None


def test_deep_levels_of_a_wide_picture_count_only_in_its_own_space(tmp_path: Path) -> None:
    contents = Contents(PIXELS, depth=16, profile=P3_PROFILE)
    path = tmp_path / "a.tif"
    path.write_bytes(format_named("tiff").encode(contents))
    own = load(path, deep=True, space=P3_PROFILE).rgb
    np.testing.assert_allclose(own, PIXELS, atol=0.6 / 65535)
    converted = load(path, deep=True).rgb
    assert np.abs(converted - p3_to_srgb(PIXELS)).max() < 4 / 255
