"""Color statistics and the linear map between them, against NumPy and known cases."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from nst_core.transfer.colors.colors import (
    ColorStatistics,
    color_statistics,
    match_colors,
    match_histograms,
)
from nst_core.transfer.settings import ColorMatch


def correlated(seed: int, spread: float = 0.06) -> np.ndarray:
    draw = np.random.default_rng(seed)
    mixing = draw.normal(0, spread, (3, 3))
    pixels = 0.5 + draw.normal(size=(40, 50, 3)) @ mixing
    return pixels.clip(0, 1).astype(np.float32)


def test_statistics_equal_those_of_numpy() -> None:
    pixels = correlated(1)
    rows = pixels.reshape(-1, 3).astype(np.float64)
    mean, covariance = color_statistics(pixels)
    np.testing.assert_allclose(mean, rows.mean(0), rtol=1e-6)
    deviations = rows - rows.mean(0)
    np.testing.assert_allclose(covariance, deviations.T @ deviations / len(rows), rtol=1e-5)


MAPS: list[ColorMatch] = ["symmetric", "pca", "cholesky"]


@pytest.mark.parametrize("method", MAPS)
def test_a_matched_picture_has_the_wanted_statistics(method: ColorMatch) -> None:
    wanted = color_statistics(correlated(2))
    matched = match_colors(correlated(1), wanted, method=method)
    found = color_statistics(matched)
    np.testing.assert_allclose(found.mean, wanted.mean, atol=1e-3)
    np.testing.assert_allclose(found.covariance, wanted.covariance, atol=3e-4)


@pytest.mark.parametrize("method", MAPS)
def test_a_picture_matched_to_itself_does_not_change(method: ColorMatch) -> None:
    pixels = correlated(1)
    matched = match_colors(pixels, color_statistics(pixels), method=method)
    np.testing.assert_allclose(matched, pixels, atol=1e-4)


def test_the_map_is_symmetric_so_it_does_not_rotate_hues_needlessly() -> None:
    """Uncorrelated channels are scaled independently."""
    draw = np.random.default_rng(0)
    pixels = (0.5 + draw.normal(0, 0.05, (100, 100, 3))).astype(np.float32)
    wanted = ColorStatistics(
        np.full(3, 0.4, np.float32), np.diag([0.01, 0.0025, 0.0004]).astype(np.float32)
    )
    matched = match_colors(pixels, wanted)
    for channel in range(3):
        assert np.corrcoef(matched[..., channel].flat, pixels[..., channel].flat)[0, 1] > 0.99


def map_between(pixels: np.ndarray, matched: np.ndarray) -> np.ndarray:
    """Return the matrix that turns colors, as columns and minus their mean, into matched ones."""
    before, after = (
        (rows - rows.mean(0))[((matched > 0) & (matched < 1)).all(axis=-1).ravel()]
        for rows in (pixels.reshape(-1, 3).astype(float), matched.reshape(-1, 3).astype(float))
    )
    return np.linalg.lstsq(before, after, rcond=None)[0].T


def test_the_methods_are_the_maps_of_their_names() -> None:
    pixels, other = correlated(1, 0.03), correlated(2, 0.03)
    found, wanted = (np.cov(each.reshape(-1, 3).T, bias=True) for each in (pixels, other))
    root, wanted_root = sqrtm(found).real, sqrtm(wanted).real
    inverse = np.linalg.inv(root)
    low, high = np.linalg.cholesky(found), np.linalg.cholesky(wanted)
    expected = {
        "symmetric": inverse @ sqrtm(root @ wanted @ root).real @ inverse,
        "pca": wanted_root @ inverse,
        "cholesky": high @ np.linalg.inv(low),
    }
    for method in MAPS:
        matched = match_colors(pixels, color_statistics(other), 1e-9, method)
        np.testing.assert_allclose(map_between(pixels, matched), expected[method], atol=0.02)
    assert np.triu(expected["cholesky"], 1) == pytest.approx(0, abs=1e-12)


def test_statistics_are_not_enough_to_match_histograms() -> None:
    with pytest.raises(ValueError, match="found 'histogram', expected one of symmetric"):
        match_colors(correlated(1), color_statistics(correlated(2)), method="histogram")


def test_matched_histograms_have_the_quantiles_of_the_wanted_picture() -> None:
    draw = np.random.default_rng(0)
    pixels, wanted = correlated(1), draw.beta(2, 5, (60, 40, 3)).astype(np.float32)
    matched = match_histograms(pixels, wanted)
    assert (matched.shape, matched.dtype) == (pixels.shape, np.float32)
    shares = np.linspace(0.02, 0.98, 49)
    for channel in range(3):
        found, expected = (
            np.quantile(each[..., channel].astype(float), shares) for each in (matched, wanted)
        )
        np.testing.assert_allclose(found, expected, atol=0.01)
        order = pixels[..., channel].ravel().argsort(kind="stable")
        assert (np.diff(matched[..., channel].ravel()[order]) >= 0).all()


@pytest.mark.parametrize("method", MAPS)
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_a_picture_of_one_color_gets_the_mean_color(level: float, method: ColorMatch) -> None:
    wanted = color_statistics(correlated(2))
    matched = match_colors(np.full((8, 8, 3), level, np.float32), wanted, method=method)
    np.testing.assert_allclose(matched, np.broadcast_to(wanted.mean, (8, 8, 3)), atol=1e-6)


def test_results_are_in_range() -> None:
    wanted = ColorStatistics(np.full(3, 0.5, np.float32), np.eye(3, dtype=np.float32))
    matched = match_colors(correlated(1), wanted)
    assert matched.min() >= 0
    assert matched.max() <= 1
    assert matched.dtype == np.float32


def test_pictures_in_usual_forms_are_accepted_and_others_refused() -> None:
    levels = np.round(correlated(1) * 255).astype(np.uint8)
    pixels = levels.astype(np.float32) / 255
    wanted = color_statistics(correlated(2))
    np.testing.assert_array_equal(match_colors(levels, wanted), match_colors(pixels, wanted))
    np.testing.assert_array_equal(color_statistics(levels).mean, color_statistics(pixels).mean)
    for function in (color_statistics, lambda picture: match_colors(picture, wanted)):
        with pytest.raises(ValueError, match="expected 0 to 1"):
            function(levels.astype(np.float32))
