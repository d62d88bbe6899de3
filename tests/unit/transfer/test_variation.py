"""The kinds of total variation, against NumPy in float64 and known properties."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.ndimage import correlate

from nst_core.transfer.losses.conventions import CONVENTIONS, convention_of
from nst_core.transfer.losses.variation import VARIATIONS
from nst_core.transfer.settings import Normalization, TvKind
from tests.encoders import random_pixels

KINDS: list[TvKind] = ["l1", "9-point"]


def in_numpy(kind: str, pixels: np.ndarray) -> float:
    """Return a variation, added up neighbor by neighbor."""
    height, width, _ = pixels.shape
    total = 0.0
    steps = {(0, 1): 2 / 3, (1, 0): 2 / 3, (1, 1): 1 / 6, (1, -1): 1 / 6}
    for (down, right), weight in steps.items():
        squares = []
        for row in range(height):
            for column in range(width):
                if row + down < height and 0 <= column + right < width:
                    squares.append((pixels[row + down, column + right] - pixels[row, column]) ** 2)
        values = np.array(squares)
        if kind == "l1":
            if down + right == 1 and 0 in (down, right):
                total += (np.sqrt(values + 255.0**-2) - 1 / 255).mean()
        else:
            total += weight * values.mean()
    return total


def value_and_gradient(kind: TvKind, pixels: np.ndarray) -> tuple[float, np.ndarray]:
    point = tf.constant(pixels)
    with tf.GradientTape() as tape:
        tape.watch(point)
        value = VARIATIONS[kind](point)
    return float(value), tape.gradient(value, point).numpy()


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_sum_over_neighbors(kind: TvKind) -> None:
    pixels = random_pixels(7, 9).astype(np.float64)
    assert value_and_gradient(kind, pixels)[0] == pytest.approx(in_numpy(kind, pixels), rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_is_that_of_finite_differences(kind: TvKind) -> None:
    pixels = random_pixels(5, 6).astype(np.float64)
    pixels[2] = pixels[1]  # equal neighbors, where an absolute value has no gradient
    _, gradient = value_and_gradient(kind, pixels)
    for place in np.ndindex(pixels.shape):
        change = np.zeros_like(pixels)
        change[place] = 1e-6
        slope = (in_numpy(kind, pixels + change) - in_numpy(kind, pixels - change)) / 2e-6
        assert gradient[place] == pytest.approx(slope, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_flat_pictures_have_none_and_even_there_the_gradient_is_finite(kind: TvKind) -> None:
    value, gradient = value_and_gradient(kind, np.full((6, 6, 3), 0.4))
    assert value == pytest.approx(0, abs=1e-15)
    assert np.abs(gradient).max() == pytest.approx(0, abs=1e-15)


def test_the_gradient_of_nine_points_is_the_nine_point_laplacian() -> None:
    pixels = random_pixels(40, 40).astype(np.float64)
    _, gradient = value_and_gradient("9-point", pixels)
    stencil = np.array([[1, 4, 1], [4, -20, 4], [1, 4, 1]]) / 6
    laplacian = correlate(pixels, stencil[..., None])
    inside = (slice(2, -2), slice(2, -2))
    expected = -2 * laplacian[inside] / pixels.size
    # The means over edges and diagonals are over slightly different numbers of pairs.
    np.testing.assert_allclose(gradient[inside], expected, atol=0.06 * np.abs(expected).max())


def test_nine_points_see_waves_of_all_directions_nearly_alike() -> None:
    rows, columns = np.mgrid[:64, :64]
    frequency = 2 * np.pi / 8
    straight = np.sin(frequency * columns)
    turned = np.sin(frequency * (rows + columns) / np.sqrt(2))

    def ratio(kind: str) -> float:
        waves = [np.repeat(wave[..., None], 3, axis=2) for wave in (straight, turned)]
        if kind == "9-point":
            values = [value_and_gradient("9-point", wave)[0] for wave in waves]
        else:
            values = [float(CONVENTIONS["relative"].variation(tf.constant(w))) for w in waves]
        return values[0] / values[1]

    assert abs(ratio("9-point") - 1) < 0.4 * abs(ratio("l2") - 1)


def test_one_large_step_costs_less_than_many_small_ones_only_in_squares() -> None:
    """L2 spreads an edge over many pixels; L1 does not care, so it keeps edges."""
    step = np.repeat((np.arange(32) >= 16)[None, :, None] * 1.0, 8, axis=0) * np.ones(3)
    ramp = np.repeat(np.linspace(0, 1, 32)[None, :, None], 8, axis=0) * np.ones(3)
    sharp, soft = (float(VARIATIONS["l1"](tf.constant(each))) for each in (step, ramp))
    assert sharp == pytest.approx(soft, rel=0.15)
    squares = [float(CONVENTIONS["relative"].variation(tf.constant(e))) for e in (step, ramp)]
    assert squares[0] > 10 * squares[1]


@pytest.mark.parametrize("normalization", CONVENTIONS)
def test_l2_leaves_each_convention_as_it_is_and_others_change_its_variation_alone(
    normalization: Normalization,
) -> None:
    convention = CONVENTIONS[normalization]
    assert convention_of(normalization, "l2") is convention
    for kind in KINDS:
        other = convention_of(normalization, kind)
        assert (other.content, other.style) == (convention.content, convention.style)
        assert other.variation is VARIATIONS[kind]
        assert not other.in_network_units
