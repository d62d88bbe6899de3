import sys
from collections.abc import Callable
from functools import cache
from subprocess import run

import numpy as np
import pytest

from nst_core.samples.paintings import PAINTINGS
from nst_core.samples.paintings.fields import Picture, Reals, scattered
from nst_core.samples.paintings.strokes import Strokes, brush_widths, cover, follow

SIZE = 96


@cache
def painted(name: str, size: int = SIZE, seed: int = 1) -> Picture:
    return PAINTINGS[name](size, seed)


def correlation(picture: Picture, twice_as_large: Picture) -> float:
    side = len(picture)
    halved = twice_as_large.reshape(side, 2, side, 2, 3).mean(axis=(1, 3))
    return float(np.corrcoef(picture.ravel(), halved.ravel())[0, 1])


@pytest.fixture(params=sorted(PAINTINGS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_is_a_square_rgb_picture(name: str) -> None:
    picture = painted(name)
    assert picture.shape == (SIZE, SIZE, 3)
    assert picture.dtype == np.uint8


def test_same_seed_gives_same_pixels(name: str) -> None:
    np.random.seed(7)
    np.testing.assert_array_equal(PAINTINGS[name](SIZE, 1), painted(name))


def test_other_seed_gives_other_picture(name: str) -> None:
    difference = np.abs(painted(name).astype(float) - painted(name, seed=2))
    assert difference.mean() > 15


def test_has_contrast_and_color(name: str) -> None:
    picture = painted(name).astype(float)
    chroma = picture.max(axis=-1) - picture.min(axis=-1)
    assert picture.std() > 45
    assert np.quantile(chroma, 0.9) > 75


def test_has_detail_everywhere(name: str) -> None:
    tiles = painted(name, size=2 * SIZE).reshape(8, 2 * SIZE // 8, 8, 2 * SIZE // 8, 3)
    assert tiles.std(axis=(1, 3)).max(axis=-1).min() > 10


def test_composition_does_not_depend_on_size(name: str) -> None:
    assert correlation(painted(name), painted(name, size=2 * SIZE)) > 0.8


def test_accepts_odd_sizes(name: str) -> None:
    assert painted(name, size=65).shape == (65, 65, 3)


def test_painting_loads_no_tensorflow() -> None:
    program = "import sys, nst_core.samples.paintings; sys.exit('tensorflow' in sys.modules)"
    assert run([sys.executable, "-c", program], check=False).returncode == 0


def test_scattered_points_are_spread_evenly() -> None:
    points = scattered(np.random.default_rng(0), 4000)
    counts, _ = np.histogramdd(points, bins=10, range=[(-0.05, 1.05)] * 2)
    assert counts.sum() == 4000
    assert counts.min() > 35
    assert counts.max() < 45


def flowing(direction: float) -> Callable[[Reals, Reals], Reals]:
    return lambda x, _: np.full_like(x, direction)


def test_paths_follow_the_flow_for_their_length() -> None:
    path = follow(flowing(np.pi / 2), np.array([[0.5, 0.2]]), np.array([0.3]))
    np.testing.assert_allclose(path[0, -1], [0.5, 0.5])


def test_paths_turn_in_circles_around_a_vortex() -> None:
    starts = np.array([[0.6, 0.5]])
    circle = follow(lambda x, y: np.arctan2(x - 0.5, 0.5 - y), starts, np.array([0.6]))
    np.testing.assert_allclose(np.linalg.norm(circle[0] - 0.5, axis=-1), 0.1, rtol=0.03)


def test_later_strokes_lie_on_top() -> None:
    starts = np.array([[0.2, 0.5], [0.2, 0.5], [0.2, 0.1]])
    paths = follow(flowing(0.0), starts, np.full(3, 0.6))
    coverage = cover(Strokes(paths, brush_widths(np.full(3, 0.1)), np.zeros((3, 3))), 50)
    assert set(np.unique(coverage.stroke)) == {-1, 1, 2}
    assert coverage.stroke[25, 25] == 1


def test_a_stroke_has_no_pinholes_and_is_as_wide_as_asked() -> None:
    paths = follow(flowing(0.0), np.array([[0.1, 0.5]]), np.array([0.8]))
    widths = np.full(paths.shape[:2], 0.2)
    covered = cover(Strokes(paths, widths, np.zeros((1, 3))), 100).stroke == 0
    assert covered[41:59, 11:89].all()
    assert not covered[:38].any()
    assert not covered[62:].any()
