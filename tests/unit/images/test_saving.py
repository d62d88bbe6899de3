"""Results as Pillow images and as files."""

from dataclasses import FrozenInstanceError, dataclass
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from nst_core.errors import UserError
from nst_core.images.color_profiles import srgb_profile
from nst_core.images.read import load
from nst_core.images.saving import WithPicture
from nst_core.images.write import encode_png
from nst_core.transfer.losses.terms import Losses
from nst_core.transfer.outcomes import Outcome
from tests.encoders import random_pixels
from tests.photographs import photograph


@dataclass(frozen=True)
class Value(WithPicture):
    """A value with pixels; it replaces an `Outcome`, whose module loads TensorFlow."""

    pixels: np.ndarray


FLOATING = random_pixels(6, 8, 1)
LEVELS = np.rint(FLOATING * 255).astype(np.uint8)
ALPHA = random_pixels(6, 8, 2)[..., 0]


@pytest.mark.parametrize("pixels", [FLOATING, LEVELS])
def test_the_image_has_the_saved_levels(pixels: np.ndarray) -> None:
    image = Value(pixels).image
    assert (image.mode, image.size) == ("RGB", (8, 6))
    np.testing.assert_array_equal(np.asarray(image), LEVELS)


def test_drawing_on_the_image_does_not_change_the_pixels() -> None:
    value = Value(LEVELS.copy())
    value.image.paste("white", (0, 0, 8, 6))
    np.testing.assert_array_equal(value.pixels, LEVELS)
    with pytest.raises(FrozenInstanceError):
        value.pixels = ALPHA  # type: ignore[misc]


@pytest.mark.parametrize("pixels", [FLOATING, LEVELS])
@pytest.mark.parametrize("name", ["a.png", "A.PNG", "no folder yet/a.b.png"])
def test_a_png_file_has_the_bytes_of_encode_png(
    tmp_path: Path, pixels: np.ndarray, name: str
) -> None:
    Value(pixels).save(tmp_path / name)
    assert (tmp_path / name).read_bytes() == encode_png(pixels)


@pytest.mark.parametrize("name", ["a.jpg", "a.jpeg", "A.JPG"])
def test_a_jpeg_file_has_the_pixels_in_srgb(tmp_path: Path, name: str) -> None:
    Value(LEVELS).save(str(tmp_path / name))
    with Image.open(tmp_path / name) as image:
        assert image.format == "JPEG"
        assert image.info["icc_profile"] == srgb_profile()
        assert np.abs(np.asarray(image).astype(int) - LEVELS).mean() < 8


def test_alpha_makes_a_png_file_transparent(tmp_path: Path) -> None:
    Value(LEVELS).save(tmp_path / "a.png", alpha=ALPHA)
    assert (tmp_path / "a.png").read_bytes() == encode_png(LEVELS, ALPHA)
    alpha = load(tmp_path / "a.png").alpha
    assert alpha is not None
    np.testing.assert_allclose(alpha, ALPHA, atol=0.5 / 255 + 1e-6)


def test_depth_quality_and_metadata_may_be_chosen(tmp_path: Path) -> None:
    value = Value(FLOATING)
    value.save(tmp_path / "a.tif", depth=16)
    found = tifffile.imread(tmp_path / "a.tif")
    np.testing.assert_array_equal(found, np.rint(FLOATING.astype(np.float64) * 65535))
    metadata = load(photograph(tmp_path / "p.jpg")).metadata.reduced("private")
    value.save(tmp_path / "fine.jpg", quality=95, metadata=metadata)
    value.save(tmp_path / "coarse.jpg", quality=5, metadata=metadata)
    assert (tmp_path / "coarse.jpg").stat().st_size < (tmp_path / "fine.jpg").stat().st_size
    assert load(tmp_path / "coarse.jpg").metadata.exif.main == metadata.exif.main


def test_an_outcome_in_sixteen_bits_is_the_one_before_rounding() -> None:
    zeros = dict.fromkeys(("steps", "evaluations", "recoveries"), 0)
    losses = Losses(0, {}, {})
    facts = {"losses": losses, "start_losses": losses, "stop_reason": "steps", **zeros}
    assert Outcome(LEVELS, **facts).finest is LEVELS
    assert Outcome(LEVELS, **facts, unrounded=FLOATING).finest is FLOATING


def test_a_file_without_alpha_is_opaque_in_both_formats(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg"):
        Value(LEVELS).save(tmp_path / name, alpha=None)
        assert load(tmp_path / name).alpha is None


@pytest.mark.parametrize(
    ("name", "alpha", "message"),
    [
        (
            "a.bmp",
            None,
            r"a\.bmp: found the suffix '\.bmp', expected .* \.png, .* or \.tiff$",
        ),
        ("result", None, r"result: found no suffix, expected a name that ends in \.png"),
        (".png", None, r"\.png: found no suffix"),
        ("a.jpg", ALPHA, r"a\.jpg: found an alpha for a \.jpg file.* save a \.png"),
        ("a.png", ALPHA[1:], r"found an alpha of shape \(5, 8\), expected \(6, 8\)"),
        ("a.png", FLOATING, r"found an alpha of shape \(6, 8, 3\), expected \(6, 8\)"),
    ],
)
def test_bad_names_and_alphas_are_refused_and_nothing_is_written(
    tmp_path: Path, name: str, alpha: np.ndarray | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message) as refused:
        Value(LEVELS).save(tmp_path / "folder" / name, alpha=alpha)
    assert isinstance(refused.value, UserError)
    assert not list(tmp_path.iterdir())


def test_a_depth_that_a_format_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a\.jpg: found a depth of 16 bits, expected 8 for"):
        Value(FLOATING).save(tmp_path / "a.jpg", depth=16)
    with pytest.raises(UserError, match=r"found a depth of 12 bits, expected 8 or 16 for a \.png"):
        Value(FLOATING).save(tmp_path / "a.png", depth=12)
    assert not list(tmp_path.iterdir())


def test_secrets_in_a_url_are_redacted_in_messages() -> None:
    with pytest.raises(UserError, match=r"^https://host/a\.gif\?\.\.\.: .* '\.gif'") as refused:
        Value(LEVELS).save("https://host/a.gif?key=hush.hush")
    assert "hush" not in str(refused.value)


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Value(LEVELS).save(tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        Value(255 - LEVELS).save(tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == before
