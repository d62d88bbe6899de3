"""Optical flow, its files, its reliability and warping, against known motions and NumPy."""

import struct
from pathlib import Path

import numpy as np
import pytest

from nst_core.images.resize import resize
from nst_core.motion.flo_files import UNKNOWN_AS_WRITTEN, FlowError, encode_flow, read_flow
from nst_core.motion.flow import optical_flow, resized_flow
from nst_core.motion.reliability import consistent, motion_boundaries, reliable
from nst_core.motion.warping import warped
from nst_core.samples.moving import moving_picture
from nst_core.samples.photographs import photograph

MOST = 10_000


def photo(height: int, width: int) -> np.ndarray:
    """Return a real photograph as sRGB in [0, 1]."""
    return resize(photograph("cat") / 255, height, width)


def random_flow(height: int, width: int, spread: float = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, spread, (height, width, 2)).astype(np.float32)


@pytest.mark.parametrize("shift", [(3, -2), (-1.5, 0.75)])
def test_the_flow_of_a_known_shift_is_found_to_half_a_pixel(shift: tuple[float, float]) -> None:
    whole = photo(320, 480)
    right, down = shift
    moved = np.broadcast_to(np.float32([4 * right, 4 * down]), (*whole.shape[:2], 2))
    now, before = resize(whole, 80, 120), resize(warped(whole, -moved), 80, 120)
    flow = optical_flow(now, before)[12:-12, 12:-12]
    error = np.abs(flow - np.float32([right, down]))
    assert np.quantile(error, 0.99) < 0.5
    assert error.mean() < 0.1


def test_a_warp_is_the_bilinear_mean_of_four_pixels() -> None:
    values = np.random.default_rng(1).uniform(0, 1, (9, 12, 3)).astype(np.float32)
    flow = random_flow(9, 12)
    expected = np.zeros(values.shape)
    for row, column in np.ndindex(9, 12):
        y = np.clip(row + float(flow[row, column, 1]), 0, 8)
        x = np.clip(column + float(flow[row, column, 0]), 0, 11)
        top, left = min(int(y), 7), min(int(x), 10)
        down, right = y - top, x - left
        for at, share in (
            ((top, left), (1 - down) * (1 - right)),
            ((top + 1, left), down * (1 - right)),
            ((top, left + 1), (1 - down) * right),
            ((top + 1, left + 1), down * right),
        ):
            expected[row, column] += share * values[at].astype(np.float64)
    np.testing.assert_allclose(warped(values, flow), expected, atol=1e-6)


def test_nothing_moves_where_flow_is_unknown() -> None:
    values = np.random.default_rng(1).uniform(0, 1, (5, 6, 3)).astype(np.float32)
    np.testing.assert_array_equal(warped(values, np.full((5, 6, 2), np.nan, np.float32)), values)


def test_a_flow_at_another_size_has_scaled_vectors() -> None:
    flow = np.broadcast_to(np.float32([6, -4]), (30, 40, 2))
    np.testing.assert_allclose(resized_flow(flow, 15, 10), np.broadcast_to([1.5, -2], (15, 10, 2)))
    assert resized_flow(flow, 30, 40) is flow


def test_what_depends_on_an_unknown_displacement_is_unknown_at_another_size() -> None:
    flow = np.ones((16, 16, 2), np.float32)
    flow[3, 5] = np.nan
    smaller = resized_flow(flow, 8, 8)
    assert np.isnan(smaller[1, 2]).all()
    assert np.isfinite(smaller[5:, 5:]).all()
    np.testing.assert_allclose(smaller[5:, 5:], 0.5, atol=1e-6)


def test_consistency_and_boundaries_are_the_formulas_of_the_article() -> None:
    backward, forward = random_flow(11, 13, 0.8, seed=2), random_flow(11, 13, 0.8, seed=3)
    there = warped(forward, backward).astype(np.float64)
    b = backward.astype(np.float64)
    agree, steep = consistent(backward, forward), motion_boundaries(backward)
    assert 0.05 < agree.mean() < 0.95
    for place in np.ndindex(11, 13):
        lengths = np.sum(there[place] ** 2) + np.sum(b[place] ** 2)
        assert agree[place] == (np.sum((there[place] + b[place]) ** 2) <= 0.01 * lengths + 0.5)
    for row in range(1, 10):
        for column in range(1, 12):
            across = (b[row, column + 1] - b[row, column - 1]) / 2
            along = (b[row + 1, column] - b[row - 1, column]) / 2
            slope = np.sum(across**2) + np.sum(along**2)
            limit = 0.01 * np.sum(b[row, column] ** 2) + 0.002
            assert steep[row, column] == (slope > limit)


def test_only_what_the_frame_before_shows_is_reliable() -> None:
    """A square moves 6 pixels to the right over a still ground, and uncovers what was behind it."""
    forward, backward = np.zeros((2, 40, 60, 2), np.float32)
    forward[10:30, 10:30, 0] = 6
    backward[10:30, 16:36, 0] = -6
    mask = reliable(backward, forward)
    assert mask[12:28, 20:34].all(), "the square itself"
    assert not mask[12:28, 10:15].any(), "what it uncovers"
    assert mask[:8].all()
    assert mask[:, 40:].all()
    out = np.zeros((40, 60, 2), np.float32)
    out[..., 0] = -5
    seen = reliable(out, -out)
    assert not seen[:, :5].any(), "it comes from outside the frame before"
    assert seen[:, 5:].all()
    backward[35, 50] = np.nan
    assert not reliable(backward, forward)[35, 50]


def test_a_file_is_written_in_the_format_of_middlebury_and_read_back(tmp_path: Path) -> None:
    flow = random_flow(3, 5)
    flow[1, 2] = np.nan
    data = encode_flow(flow)
    assert struct.unpack("<fii", data[:12]) == (202021.25, 5, 3)
    assert struct.unpack("<2f", data[12 + 8 * 5 : 12 + 8 * 6]) == tuple(flow[1, 0])
    (tmp_path / "a.flo").write_bytes(data)
    found = read_flow(tmp_path / "a.flo", max_pixels=MOST)
    np.testing.assert_array_equal(found.flow, flow)
    assert encode_flow(found.flow) == data


VALID = encode_flow(np.zeros((3, 5, 2), np.float32))
ALL_UNKNOWN = encode_flow(np.full((3, 5, 2), UNKNOWN_AS_WRITTEN))


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        (b"", "found an empty file, expected a file of optical flow, which begins with b'PIEH'"),
        (VALID[:7], "found b'PIEH', expected"),
        (b"\x89PNG" + VALID[4:], r"found b'\\x89PNG', expected a file of optical flow"),
        (VALID[:-1], "found 131 bytes, expected 132 for 5 x 3 pixels: the file is cut off"),
        (VALID + b"abc", "found 135 bytes, expected 132 for 5 x 3 pixels"),
        (b"PIEH" + struct.pack("<ii", 0, 3), "found 0 x 3 pixels, expected at least 1 x 1"),
        (b"PIEH" + struct.pack("<ii", -5, 3), "found -5 x 3 pixels"),
        (b"PIEH" + struct.pack("<ii", 101, 100), "101 x 100 = 10,100 pixels, more than the 10,000"),
        (ALL_UNKNOWN, "found no known displacement at any pixel"),
    ],
)
def test_a_file_that_is_no_flow_is_refused_by_name(tmp_path: Path, data: bytes, wrong: str) -> None:
    path = tmp_path / "a.flo"
    path.write_bytes(data)
    with pytest.raises(FlowError, match=rf"a\.flo: .*{wrong}"):
        read_flow(path, max_pixels=MOST)


def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(FlowError, match=r"none\.flo: expected a \.flo file .*No such file"):
        read_flow(tmp_path / "none.flo", max_pixels=MOST)
    with pytest.raises(FlowError, match=r"expected a \.flo file that can be read"):
        read_flow(tmp_path, max_pixels=MOST)


def test_the_flow_between_two_real_views_of_a_scene_is_that_of_their_depths() -> None:
    """The stereo pair of Middlebury that scikit-image contains, with measured disparities."""
    import skimage.data

    left, right, disparity = skimage.data.stereo_motorcycle()
    height, width = 100, 148
    scale = width / left.shape[1]
    now, before = (resize(view / 255, height, width) for view in (left, right))
    known = resize(np.isfinite(disparity), height, width) > 0.999
    expected = resize(np.where(np.isfinite(disparity), disparity, 0), height, width) * scale
    flow, back = optical_flow(now, before), optical_flow(before, now)
    trusted = reliable(flow, back) & known
    trusted[:, :14] = False  # the largest disparity leads out of the other view
    error = np.hypot(flow[..., 0] + expected, flow[..., 1])
    assert trusted.mean() > 0.3
    assert np.median(error[trusted]) < 0.5
    assert np.median(error[trusted]) < 0.5 * np.median(error[~trusted & known])


def test_a_sample_moves_as_its_flow_says_and_shows_what_was_hidden() -> None:
    first, second = moving_picture(2, 64, 96)
    now, before = (frame.picture / np.float32(255) for frame in (second, first))
    difference = np.abs(warped(before, second.flow) - now).mean(axis=-1)
    seen = second.is_seen
    assert 0.9 < seen.mean() < 0.99
    assert difference[seen].mean() < 0.02
    assert difference[~seen].mean() > 5 * difference[seen].mean()
    flow, back = optical_flow(now, before), optical_flow(before, now)
    assert np.median(np.linalg.norm(flow - second.flow, axis=-1)[seen]) < 0.3
    mask = reliable(flow, back)
    assert mask[~seen].mean() < 0.15, "what was hidden is not reliable"
    assert mask[seen].mean() > 0.7
