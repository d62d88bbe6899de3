"""Self-similarity as a content loss, against NumPy in float64 and by its properties."""

import numpy as np
import pytest
import tensorflow as tf

from nst_core.transfer.losses.self_similarity import self_similarity
from nst_core.transfer.memory import peak_memory
from nst_core.transfer.settings import Settings
from nst_core.transfer.style_losses.relative import relative_loss
from nst_core.transfer.styles.statistics import style_targets
from nst_core.transfer.stylize import Outcome, finish, iterates
from tests.encoders import TINY, random_pixels, tiny_encoder
from tests.gradients import check_slopes
from tests.reference import Array


def distances(features: Array) -> Array:
    """Return the cosine distances of positions, each row divided by its sum."""
    rows = features.reshape(-1, features.shape[2])
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    distances: Array = 1 - rows @ rows.T
    return distances / distances.sum(axis=1, keepdims=True)


def draw(height: int, width: int, seed: int) -> Array:
    return np.random.default_rng(seed).uniform(0, 1, (height, width, 5))


@pytest.mark.parametrize("shape", [(7, 9), (64, 5), (64, 96)])
def test_it_equals_the_reference(shape: tuple[int, int]) -> None:
    features = draw(*shape, 1)
    height, width = (min(side, 32) for side in shape)
    cells = features.reshape(height, shape[0] // height, width, shape[1] // width, 5)
    found = self_similarity(tf.constant(features, tf.float32)).numpy()
    np.testing.assert_allclose(found, distances(cells.mean(axis=(1, 3))), rtol=1e-3, atol=1e-7)


def test_it_keeps_relations_and_no_features() -> None:
    features = draw(6, 8, 1)
    turned = features[..., ::-1] * 3
    first, second = (
        self_similarity(tf.constant(of, tf.float32)).numpy() for of in (features, turned)
    )
    np.testing.assert_allclose(first, second, rtol=1e-3, atol=1e-7)


def test_the_gradient_equals_finite_differences() -> None:
    features, target = draw(6, 8, 1), distances(draw(6, 8, 2))
    point = tf.constant(features, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(point)
        loss = relative_loss(self_similarity(point), tf.constant(target, tf.float32))
    gradient = tape.gradient(loss, point).numpy().astype(np.float64)

    def value(at: Array) -> float:
        return float(((distances(at) - target) ** 2).sum() / (target**2).sum())

    assert float(loss) == pytest.approx(value(features), rel=1e-4)
    check_slopes(value, features, gradient, rel=2e-3)


def test_a_picture_without_structure_is_finite() -> None:
    for flat in (tf.zeros((4, 5, 3)), tf.ones((4, 5, 3))):
        with tf.GradientTape() as tape:
            tape.watch(flat)
            found = self_similarity(flat)
        assert np.abs(found).max() < 0.1
        assert np.isfinite(tape.gradient(found, flat).numpy()).all()


@pytest.mark.parametrize("rematerialize", [False, True])
def test_it_is_the_content_loss_if_the_settings_say_so(rematerialize: bool) -> None:
    settings = Settings(
        content_measure="self-similarity",
        content_layers="relu2_1",
        style_layers="relu1_1",
        size=40,
        octaves=1,
        steps=20,
        tolerance=0,
        match_colors=False,
        content_weight=1,
        style_weight=0,
        tv_weight=0,
    )
    encoder, content = tiny_encoder(), random_pixels(40, 32, 1)
    targets = style_targets(encoder, random_pixels(40, 40, 2), settings)

    def outcome(start: str) -> Outcome:
        chosen = settings.model_copy(update={"start": start})
        steps = iterates(encoder, content, targets, chosen, seed=0, rematerialize=rematerialize)
        return finish(steps)

    assert outcome("content").start_losses.content == pytest.approx(0, abs=1e-6)
    from_noise = outcome("noise")
    assert from_noise.losses.content < 0.7 * from_noise.start_losses.content


def test_the_estimate_of_memory_counts_the_similarities() -> None:
    small, large = (
        peak_memory(TINY, Settings(**layers, content_measure=measure), (512, 512))
        for layers in [{"content_layers": "relu2_1", "style_layers": "relu1_1"}]
        for measure in ("features", "self-similarity")
    )
    assert large > small + 32**4 * 4
