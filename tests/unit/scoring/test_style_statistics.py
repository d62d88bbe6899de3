"""What is kept of a style: it gives the same scores as the style itself, or is refused."""

import numpy as np
import pytest

from nst_core import score
from nst_core.scoring import scores, style
from nst_core.scoring.patches import DIRECTIONS, QUANTILES, possible_bands
from nst_core.scoring.style import StyleStatistics, statistics_key
from tests.unit.scoring.test_scores import content_of, painting


@pytest.fixture(scope="module")
def statistics() -> StyleStatistics:
    return StyleStatistics.of(painting("swirls"), 4)


@pytest.mark.parametrize("side", [40, 128, 300])
def test_a_style_from_its_file_gives_the_same_score(side: int) -> None:
    content, painted = content_of(side=side), painting("woodcut", side=side)
    result = 0.5 * painting("woodcut", 2, side) + 0.5 * content
    shape = scores.compared_shape(result.shape)
    of_style = scores.at_shape(painted, scores.compared_style_shape(painted.shape, side))
    kept = StyleStatistics.of(of_style, possible_bands(shape)).to_bytes()
    judged, original = (scores.at_shape(each, shape) for each in (result, content))
    found = scores.style_score(judged, original, StyleStatistics.from_bytes(kept))
    assert found == pytest.approx(score(result, content, painted).style, abs=1e-6)
    assert found is not None


def test_a_file_has_a_few_hundred_kilobytes(statistics: StyleStatistics) -> None:
    """It is independent of the size of pictures."""
    assert statistics.count == 4
    assert len(statistics.to_bytes()) == pytest.approx(4 * DIRECTIONS * QUANTILES * 4, rel=0.01)


def test_a_style_without_room_for_patches_can_be_kept() -> None:
    kept = StyleStatistics.from_bytes(StyleStatistics.of(painting("swirls", side=12), 4).to_bytes())
    assert kept.count == 0
    content = content_of(side=12)
    assert scores.style_score(content, content, kept) is None


def test_the_halves_decide_in_how_many_bands_a_style_is_compared() -> None:
    # Half of 40 pixels is 20, 10, and then 5, which is no room for 7.
    assert StyleStatistics.of(painting("swirls", side=40), 4).count == 2
    assert StyleStatistics.of(painting("swirls", side=40), 1).count == 1


def test_damaged_statistics_are_refused(statistics: StyleStatistics) -> None:
    kept = statistics.to_bytes()
    middle = len(kept) // 2
    flipped = kept[:middle] + bytes([kept[middle] ^ 1]) + kept[middle + 1 :]
    for data in (b"", b"something else", kept[:-1], flipped):
        with pytest.raises(ValueError, match=r"^found"):
            StyleStatistics.from_bytes(data)


def test_a_key_covers_picture_size_bands_and_version(monkeypatch: pytest.MonkeyPatch) -> None:
    key = statistics_key("a" * 64, (256, 170), 4)
    assert key == statistics_key("a" * 64, (256, 170), 4)
    others = [
        statistics_key("b" * 64, (256, 170), 4),
        statistics_key("a" * 64, (256, 171), 4),
        statistics_key("a" * 64, (256, 170), 3),
    ]
    monkeypatch.setattr(style, "VERSION", 2)
    others.append(statistics_key("a" * 64, (256, 170), 4))
    assert len({key, *others}) == 5


def test_rows_of_all_large_sizes_share_the_size_of_a_style() -> None:
    found = {scores.compared_style_shape((4000, 3000), side, 1.5) for side in (256, 512, 1024)}
    assert found == {(384, 288)}
    # A style that is smaller than the result keeps its size relative to it.
    assert scores.compared_style_shape((512, 512), 1024) == (128, 128)


def test_levels_are_judged_like_pixels() -> None:
    levels = np.round(255 * painting("mosaic", side=50)).astype(np.uint8)
    found = scores.at_shape(levels, (20, 30))
    assert found.dtype == np.float32
    assert found == pytest.approx(scores.at_shape((levels / 255).astype(np.float32), (20, 30)))
