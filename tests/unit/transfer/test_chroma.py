"""The content's colors with the result's lightness, against CIELAB written out in NumPy."""

import numpy as np
import pytest

from nst_core.images.levels import to_levels
from nst_core.transfer.colors.chroma import with_chroma_of
from tests.encoders import random_pixels

TO_XYZ = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)
WHITE = np.array([0.95047, 1.0, 1.08883])
"""The matrix of ITU-R BT.709 and the white point D65 for the 2 degree observer."""


def lab(pixels: np.ndarray) -> np.ndarray:
    """Return L*, a* and b* of sRGB values in [0, 1]."""
    values = pixels.astype(np.float64)
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    ratio = linear @ TO_XYZ.T / WHITE
    x, y, z = np.moveaxis(
        np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116), -1, 0
    )
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def pair(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return two pictures whose first rows have only the most extreme colors, or only grays."""
    light, colors = random_pixels(40, 32, seed), random_pixels(40, 32, seed + 100)
    light[:8], colors[4:12] = light[:8].round(), colors[4:12].round()
    light[12:16], colors[14:18] = light[12:16, :, :1], colors[14:18, :, :1]
    return light, colors


@pytest.mark.parametrize("seed", range(3))
def test_chroma_is_that_of_the_colors_within_one_level_even_after_rounding(seed: int) -> None:
    """a* and b* lie between about -128 and 127, so one level is 1."""
    light, colors = pair(seed)
    combined = with_chroma_of(light, colors)
    assert np.abs(lab(combined) - lab(colors))[..., 1:].max() < 0.02
    rounded = to_levels(combined) / 255
    assert np.abs(lab(rounded) - lab(colors))[..., 1:].max() < 1


@pytest.mark.parametrize("seed", range(3))
def test_lightness_is_kept_or_as_near_as_the_color_allows(seed: int) -> None:
    light, colors = pair(seed)
    combined = with_chroma_of(light, colors)
    wanted, given, found = lab(light)[..., 0], lab(colors)[..., 0], lab(combined)[..., 0]
    low, high = np.minimum(wanted, given), np.maximum(wanted, given)
    assert (found > low - 0.02).all()
    assert (found < high + 0.02).all()
    kept = np.abs(found - wanted) < 0.02
    assert 0.2 < kept.mean() < 0.9
    # Where lightness gave way, a channel is at its limit: one more step would leave sRGB.
    limits = np.minimum(combined, 1 - combined).min(axis=-1)
    assert limits[~kept].max() < 0.01


def test_a_picture_with_its_own_colors_does_not_change() -> None:
    light, _ = pair(0)
    np.testing.assert_allclose(with_chroma_of(light, light), light, atol=1e-5)


def test_a_gray_picture_makes_gray() -> None:
    light, _ = pair(0)
    combined = with_chroma_of(light, np.full_like(light, 0.3))
    np.testing.assert_allclose(np.ptp(combined, axis=-1), 0, atol=1e-3)


def test_large_pictures_are_converted_strip_by_strip(monkeypatch: pytest.MonkeyPatch) -> None:
    light, colors = pair(1)
    whole = with_chroma_of(light, colors)
    monkeypatch.setattr("nst_core.transfer.colors.chroma.STRIP", 7)
    np.testing.assert_array_equal(with_chroma_of(light, colors), whole)


def test_pictures_of_different_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"found a picture of shape \(8, 9, 3\), expected \(9, 8"):
        with_chroma_of(random_pixels(9, 8), random_pixels(8, 9))
