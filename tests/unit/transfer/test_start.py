"""What an optimization starts from: blends with noise, and any picture."""

import numpy as np
import pytest

from nst_core.images.resize import resize
from nst_core.transfer.pictures.start import Pictures, starting_picture
from nst_core.transfer.presets import resolve
from nst_core.transfer.settings import Settings
from nst_core.transfer.styles.statistics import style_targets
from nst_core.transfer.stylize import finish, iterates
from tests.encoders import random_pixels, tiny_encoder

SHAPE = (30, 40)
CONTENT, STYLE, INIT = random_pixels(*SHAPE, 1), random_pixels(20, 50, 2), random_pixels(60, 40, 3)
ENCODER = tiny_encoder()


def start_of(seed: int = 5, init: np.ndarray | None = None, **choices: object) -> np.ndarray:
    pictures = Pictures(CONTENT, [[STYLE]], init)
    return starting_picture(ENCODER, pictures, resolve(choices), SHAPE, seed)


@pytest.mark.parametrize("start", ["content", "style", "gray"])
@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_a_blend_is_the_weighted_mean_of_the_start_and_of_noise(start: str, share: float) -> None:
    plain = start_of(start=start).astype(np.float64)
    noise = np.random.default_rng(5).uniform(0, 1, (*SHAPE, 3))
    blended = start_of(start=start, start_blend=share)
    np.testing.assert_allclose(blended, (1 - share) * plain + share * noise, atol=1e-6)
    assert blended.dtype == np.float32


def test_without_a_blend_the_start_is_what_it_was_and_with_all_of_it_only_noise() -> None:
    np.testing.assert_array_equal(start_of(), CONTENT)
    np.testing.assert_array_equal(start_of(start_blend=1), start_of(start="noise"))
    assert np.abs(start_of(4, start_blend=1) - start_of(5, start_blend=1)).mean() > 0.2


@pytest.mark.parametrize("start", ["content", "style", "noise", "gray"])
def test_any_picture_fills_the_shape_without_being_stretched(start: str) -> None:
    np.testing.assert_allclose(start_of(init=INIT, start=start), INIT[15:45], atol=1e-6)
    wide = random_pixels(15, 60, 4)
    expected = resize(wide, 30, 120)[:, 40:80]
    np.testing.assert_allclose(start_of(init=wide, start=start), expected, atol=1e-6)


def test_a_stylization_starts_from_the_picture_and_keeps_the_content_as_its_target() -> None:
    layers = {"content_layers": "relu2_1", "style_layers": "relu1_1 relu2_1"}
    weights = {"content_weight": 1, "style_weight": 0, "tv_weight": 0}
    settings = Settings(size=40, steps=10, octaves=1, color="style", **weights, **layers)
    targets = style_targets(ENCODER, STYLE, settings)
    steps = iterates(ENCODER, CONTENT, targets, settings, seed=0, init=INIT)
    first = next(steps)
    np.testing.assert_allclose(first.pixels, INIT[15:45], atol=1e-6)
    assert first.losses.content > 0.03
    assert finish(steps).losses.content < 0.5 * first.losses.content


def test_anything_but_a_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="init: found an array of shape"):
        Pictures.of(CONTENT, STYLE, np.zeros(5))
