"""Scores of results: what they are of known pictures, and how they change with the picture."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.stats import pearsonr

from nst_core import score
from nst_core.images.resize import resize
from nst_core.samples.paintings import PAINTINGS
from nst_core.samples.photographs import photograph
from nst_core.scoring import patches, structure

Pixels = NDArray[np.float32]
SIDE = 128


def painting(name: str, seed: int = 1, side: int = SIDE) -> Pixels:
    """Return a painted style."""
    return resize(PAINTINGS[name](192, seed) / 255, side, side)


def content_of(name: str = "cat", side: int = SIDE) -> Pixels:
    """Return a square of a photograph."""
    pixels = photograph(name)
    return resize(pixels[:300, :300] / 255, side, side)


@pytest.fixture(params=["swirls", "stained_glass", "woodcut"])
def style(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def test_the_content_itself_has_no_style_and_all_content() -> None:
    found = score(content_of(), content_of(), painting("swirls"))
    assert found.style == pytest.approx(0, abs=1e-9)
    assert found.content == pytest.approx(1)


def test_another_painting_of_the_style_has_its_style_and_no_content(style: str) -> None:
    found = score(painting(style, seed=2), content_of(), painting(style))
    assert found.style is not None
    assert found.style > 0.7
    assert abs(found.content) < 0.25


def test_blends_have_more_style_and_less_content_the_more_there_is_of_it(style: str) -> None:
    painted, content = painting(style, seed=2), content_of()
    found = [
        score(share * painted + (1 - share) * content, content, painting(style))
        for share in (0, 0.25, 0.5, 0.75, 1)
    ]
    # A weak blend has less contrast than either picture, so it may begin slightly below 0.
    first, *styles = [each.style or 0 for each in found]
    assert styles == sorted(styles)
    assert styles[0] > first - 0.1
    contents = [each.content for each in found]
    assert contents == sorted(contents, reverse=True)


def test_blur_takes_the_style_away(style: str) -> None:
    painted = painting(style, seed=2)
    found = [
        score(gaussian_filter(painted, (width, width, 0)), content_of(), painting(style)).style or 0
        for width in (0, 1, 2, 4)
    ]
    assert found == sorted(found, reverse=True)


def test_noise_takes_both_away(style: str) -> None:
    content, painted = content_of(), painting(style, seed=2)
    draw = np.random.default_rng(0).normal(size=content.shape)

    def noisy(pixels: Pixels) -> list[Pixels]:
        widths = (0.1, 0.2, 0.4)
        return [np.clip(pixels + width * draw, 0, 1).astype(np.float32) for width in widths]

    styles = [score(each, content, painting(style)).style or 0 for each in noisy(painted)]
    assert styles == sorted(styles, reverse=True)
    contents = [score(each, content, painting(style)).content for each in noisy(content)]
    assert contents == sorted(contents, reverse=True)


def test_sizes_are_comparable() -> None:
    """The same pictures at 512 and at 256 pixels, each with a style of its own size."""
    found = []
    for side in (512, 256):
        half = 0.5 * painting("woodcut", 2, side) + 0.5 * content_of(side=side)
        found.append(score(half, content_of(side=side), painting("woodcut", side=side)))
    large, small = found
    assert large.style == pytest.approx(small.style, abs=0.02)
    assert large.content == pytest.approx(small.content, abs=0.02)


def test_a_style_is_judged_at_the_scale_at_which_it_was_used() -> None:
    style = painting("woodcut", 2, 256)
    result = style[:128, :128]
    used = score(result, content_of(), style, style_scale=2)
    assert used.style is not None
    assert used.style > 0.9
    assert used.style > (score(result, content_of(), style).style or 0) + 0.1


@pytest.mark.parametrize("side", [4, 12])
def test_pictures_without_room_for_patches_have_no_style_score(side: int) -> None:
    small = painting("woodcut", side=side)
    found = score(content_of(side=side), content_of(side=side), small)
    assert found.style is None
    assert found.content == pytest.approx(1)


def test_a_content_that_is_a_painting_of_the_style_has_no_way_to_go() -> None:
    assert score(painting("mosaic"), painting("mosaic"), painting("mosaic")).style is None


def test_plain_pictures_are_judged() -> None:
    plain = np.full((64, 64, 3), 0.5, np.float32)
    assert score(plain, plain, painting("woodcut")).content == 1
    found = score(plain, content_of(), painting("woodcut"))
    assert found.content == 0
    assert found.style is not None
    assert np.isfinite(found.style)


def test_the_distance_is_that_of_sorted_projections() -> None:
    """Compared with Wasserstein distances of all patches, without a grid of quantiles."""
    one, other = (patches.bands(painting(name, side=64), 3) for name in ("swirls", "mosaic"))
    units = patches.spreads(other)
    directions = patches._directions()
    expected = []
    for left, right, unit in zip(one, other, units, strict=True):
        rows = left.shape[0] - 6
        of_band = []
        for direction in directions[:20]:
            kernel = direction.reshape(3, 7, 7)
            sides = []
            for band in (left, right):
                values = [
                    (np.moveaxis(band[y : y + 7, x : x + 7] / unit, 2, 0) * kernel).sum()
                    for y in range(rows)
                    for x in range(rows)
                ]
                sides.append(np.sort(values))
            of_band.append(np.sqrt(np.mean((sides[0] - sides[1]) ** 2)))
        expected.append(np.mean(of_band))
    found = []
    for left, right, unit in zip(one, other, units, strict=True):
        differences = (patches._quantiles(left / unit) - patches._quantiles(right / unit))[:20]
        found.append(np.sqrt((differences**2).mean(axis=1)).mean())
    # The quantiles leave out half a 128th of the projections at each end.
    assert found == pytest.approx(expected, rel=0.05)
    assert directions.shape == (patches.DIRECTIONS, 147)
    assert np.linalg.norm(directions, axis=1) == pytest.approx(np.ones(patches.DIRECTIONS))


def test_bands_add_up_to_the_picture() -> None:
    picture = content_of(side=96)
    fine, rest = patches.bands(picture, 2)
    assert resize(rest.astype(np.float32), 96, 96) + fine == pytest.approx(picture, abs=1e-6)
    assert patches.possible_bands((6, 100)) == 0
    assert patches.possible_bands((7, 100)) == 1
    assert patches.possible_bands((28, 28)) == 3
    assert patches.possible_bands((500, 500)) == patches.LEVELS


def test_self_similarity_is_a_correlation_of_distances() -> None:
    draw = np.random.default_rng(0)
    one, other = (draw.uniform(size=(5, 6, 3)).astype(np.float32) for _ in range(2))
    from skimage.color import rgb2lab

    def distances(pixels: Pixels) -> list[float]:
        points = rgb2lab(pixels.astype(np.float64)).reshape(-1, 3)
        return [
            float(np.linalg.norm(points[i] - points[j]))
            for i in range(len(points))
            for j in range(i + 1, len(points))
        ]

    expected = pearsonr(distances(one), distances(other)).statistic
    assert structure.self_similarity_kept(one, other) == pytest.approx(expected, abs=1e-9)


def test_other_colors_keep_edges() -> None:
    content = content_of()
    darker = (content**1.5).astype(np.float32)
    assert structure.edges_kept(darker, content) > 0.9
    assert structure.edges_kept(content[:, ::-1], content) < 0.4
