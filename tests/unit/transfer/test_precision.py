"""The precision of the encoder, against NumPy with the same rounding, and what it leaves alone."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from nst_core.devices import PrecisionError, tensor_float
from nst_core.networks.encoder import Encoder, in_bfloat16
from nst_core.networks.forward import activations
from nst_core.networks.loading import load_encoder
from nst_core.networks.topology import Convolution
from nst_core.transfer import stylize as module
from nst_core.transfer.identity import row_key, style_key
from nst_core.transfer.losses.losses import loss_terms
from nst_core.transfer.optimization.optimization import OctaveTask
from nst_core.transfer.settings import Settings
from nst_core.transfer.styles import statistics
from nst_core.transfer.styles.statistics import style_targets
from nst_core.transfer.stylize import iterates, stylize
from nst_core.transfer.tiles import style as tiled
from nst_core.transfer.tiles.grid import Tiles
from nst_core.transfer.tiles.style import tiled_style_targets
from tests import reference
from tests.encoders import random_pixels, tiny_encoder
from tests.unit.transfer.test_stylize import smooth_pixels

Array = NDArray[np.float64]
LAYERS = {"content_layers": "relu2_1", "style_layers": "relu1_1:1 relu2_1:3"}
CONTENT_LAYERS, STYLE_LAYERS = {"relu2_1": 1.0}, {"relu1_1": 0.25, "relu2_1": 0.75}
CONTENT, STYLE, PIXELS = (
    random_pixels(*shape) for shape in ((40, 36, 1), (32, 40, 2), (40, 36, 3))
)


def exactly(values: NDArray[np.float32]) -> Array:
    return values.astype(np.float64)


def settings_of(**choices: object) -> Settings:
    quick = {"size": 40, "octaves": 1, "color": "style", "gram": "raw", "steps": 10}
    return Settings.model_validate({**quick, **LAYERS, "precision": "bfloat16", **choices})


def task_of(settings: Settings, encoder: Encoder, tiles: Tiles | None = None) -> OctaveTask:
    targets = style_targets(encoder, STYLE, settings)
    shape = CONTENT.shape[:2]
    return OctaveTask.prepare(encoder, CONTENT, targets, settings, 0, shape, tiles=tiles)


def rounded(values: Array) -> Array:
    """Return the nearest numbers with 8 bits, of which the first is always 1; ties to even."""
    fractions, exponents = np.frexp(values)
    return np.ldexp(np.rint(fractions * 256), exponents - 8)


def in_numpy(encoder: Encoder, pixels: Array) -> dict[str, Array]:
    """Return activations of which all numbers that a layer takes or returns are rounded."""
    current, found = rounded(reference.preprocess(pixels, encoder.topology.preprocessing)), {}
    weights = {name: rounded(weight.astype(np.float64)) for name, weight in encoder.weights.items()}
    for layer in encoder.topology.layers:
        if isinstance(layer, Convolution):
            weight, bias = (weights[f"{layer.name}.{part}"] for part in ("weight", "bias"))
            shape = (layer.stride, layer.groups, layer.edges)
            sums = reference.convolve(current, weight, np.zeros_like(bias), *shape)
            current = rounded(sums) + bias
        else:
            current = reference.apply(layer, current, encoder)
        current = found[layer.name] = rounded(current)
    return found


def test_activations_in_bfloat16_are_those_of_numpy_with_the_same_rounding() -> None:
    encoder = tiny_encoder()
    found = activations(in_bfloat16(encoder), tf.constant(PIXELS), encoder.topology.layer_names)
    exact = reference.activations(encoder, exactly(PIXELS))
    for name, expected in in_numpy(encoder, exactly(PIXELS)).items():
        error = np.abs(found[name].numpy() - expected)
        # CPUs without products in bfloat16 also round within the sum of an average pooling.
        assert np.mean(error > 0) < (0.02 if name in ("conv1_1", "relu1_1") else 0.5)
        assert error.max() < 2**-7 * np.abs(expected).max()
        assert np.mean(np.abs(exact[name] - expected) > 0) > 0.1


def grams_in_numpy(encoder: Encoder) -> dict[str, Array]:
    style = reference.activations(encoder, exactly(STYLE))
    return {layer: reference.gram(style[layer]) for layer in STYLE_LAYERS}


def test_losses_of_rounded_activations_are_float32_and_so_are_their_targets() -> None:
    """The optimizer's losses are those of rounded activations and of targets that are not."""
    encoder = tiny_encoder()
    task, pixels = task_of(settings_of(), encoder), tf.constant(PIXELS)
    found = loss_terms(in_bfloat16(encoder), "relative", pixels, task.targets, task.weights)
    seen = activations(in_bfloat16(encoder), pixels, STYLE_LAYERS)
    features = {name: layer.numpy().astype(np.float64) for name, layer in seen.items()}
    content, grams = reference.activations(encoder, exactly(CONTENT)), grams_in_numpy(encoder)
    expected = {
        "content": reference.layer_loss(features["relu2_1"], content["relu2_1"], "relative"),
        "style": sum(
            weight * reference.layer_loss(reference.gram(features[name]), grams[name], "relative")
            for name, weight in STYLE_LAYERS.items()
        ),
    }
    for term, loss in expected.items():
        assert float(found.terms[term]) == pytest.approx(loss, rel=1e-4)


def loss_in_numpy(encoder: Encoder) -> tuple[Array, Array]:
    """Return content and style loss of the picture in float64."""
    return reference.losses(
        *(encoder, exactly(PIXELS), exactly(CONTENT), grams_in_numpy(encoder)),
        *(CONTENT_LAYERS, STYLE_LAYERS, "relative"),
    )


@pytest.mark.parametrize("tiles", [None, Tiles(16)], ids=["whole", "tiles"])
def test_reported_losses_are_those_of_float32(tiles: Tiles | None) -> None:
    """So rows of different precision compare."""
    encoder = tiny_encoder()
    found = task_of(settings_of(), encoder, tiles).losses_of(PIXELS)
    content, style, variation = loss_in_numpy(encoder)
    assert found.terms["content"] == pytest.approx(content, rel=1e-4)
    assert found.terms["style"] == pytest.approx(style, rel=1e-4)
    assert found.terms["tv"] == pytest.approx(variation, rel=1e-5)


def first_gradient(encoder: Encoder, tiles: Tiles | None, **choices: object) -> Any:
    """Return the gradient with which the optimizer begins."""
    task = task_of(settings_of(**choices), encoder, tiles)
    pixels: Any = PIXELS if tiles else tf.constant(PIXELS)
    state = task.compiled.start(pixels, task.targets, task.weights, tf.constant(0.05))
    return np.asarray(state.gradient, np.float64)


@pytest.mark.parametrize("tiles", [None, Tiles(16)], ids=["whole", "tiles"])
@pytest.mark.parametrize("encoder", [tiny_encoder(), load_encoder("compact")], ids=["tiny", "all"])
def test_the_gradient_is_within_the_documented_bound(encoder: Encoder, tiles: Tiles | None) -> None:
    layers = {"content_layers": "relu2_1", "style_layers": "relu1_1 relu2_1"}
    exact, low = (
        first_gradient(encoder, tiles, precision=precision, **layers)
        for precision in ("float32", "bfloat16")
    )
    error = np.linalg.norm(low - exact) / np.linalg.norm(exact)
    assert 1e-3 < error < 0.15


def test_tiles_compare_with_content_that_is_not_rounded() -> None:
    """The gradient is that of the whole picture, which has such targets."""
    whole, tiles = (
        first_gradient(tiny_encoder(), how, content_weight=5) for how in (None, Tiles(16))
    )
    # With content that is rounded, too, the difference is 0.01.
    assert np.linalg.norm(tiles - whole) < 5e-3 * np.linalg.norm(whole)


@pytest.mark.parametrize("rematerialize", [True, False])
def test_a_picture_in_bfloat16_is_as_good_as_in_float32(*, rematerialize: bool) -> None:
    encoder, content, style = (
        load_encoder("compact"),
        smooth_pixels(64, 56, 4),
        smooth_pixels(60, 64, 5),
    )
    outcomes = {}
    for precision in ("float32", "bfloat16"):
        settings = Settings(size=64, octaves=1, steps=30, tolerance=0, precision=precision)
        targets = style_targets(encoder, style, settings)
        steps = iterates(encoder, content, targets, settings, seed=0, rematerialize=rematerialize)
        outcomes[precision] = module.finish(steps)
    exact, low = outcomes["float32"], outcomes["bfloat16"]
    assert low.start_losses == exact.start_losses
    assert low.losses.total == pytest.approx(exact.losses.total, rel=0.05)
    assert low.losses.total < 0.5 * low.start_losses.total
    assert not np.array_equal(low.pixels, exact.pixels)


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_on_a_cpu_the_default_is_float32(optimizer: str) -> None:
    default, exact = (
        stylize(
            smooth_pixels(48, 40, 4),
            STYLE,
            Settings(size=48, steps=6, optimizer=optimizer, **precision),
        )
        for precision in ({}, {"precision": "float32"})
    )
    np.testing.assert_array_equal(default.pixels, exact.pixels)
    assert default.losses == exact.losses


def test_scales_of_gradients_are_those_of_float32() -> None:
    low, exact = (
        task_of(settings_of(normalize_gradients=True, precision=precision), tiny_encoder())
        for precision in ("bfloat16", "float32")
    )
    assert {**low.weights.scales} == {**exact.weights.scales}


def test_targets_without_tf32_are_shared_and_the_default_s_keys_are_as_before() -> None:
    default, exact, low = (
        settings_of(precision=precision) for precision in ("tf32", "float32", "bfloat16")
    )
    keys = [style_key("s", settings, "encoder") for settings in (default, exact, low)]
    assert keys[1] == keys[2] != keys[0]
    assert len({row_key("c", "style", settings) for settings in (default, exact, low)}) == 3
    assert "precision" not in default.model_dump_json()
    assert "precision" in exact.model_dump_json()


@pytest.fixture
def decided(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Return what is decided about TF32 by a process that seems to compute on a GPU."""
    seen: list[bool] = []
    for name in (module, statistics, tiled):
        monkeypatch.setattr(name, "current_device", lambda: "/job:localhost/device:GPU:0")
    monkeypatch.setattr(tensor_float, "_decided", seen)
    monkeypatch.setattr(tensor_float, "_forbid_tf32", lambda: None)
    return seen


@pytest.mark.parametrize("precision", ["tf32", "float32", "bfloat16"])
def test_on_a_gpu_whatever_computes_first_decides_about_tf32(
    decided: list[bool], precision: str
) -> None:
    encoder, settings = tiny_encoder(), settings_of(precision=precision)
    other = settings_of(precision="float32" if precision == "tf32" else "tf32")
    targets = style_targets(encoder, STYLE, settings)
    assert decided == [precision == "tf32"]
    decided.clear()
    tiled_style_targets(encoder, STYLE, settings, Tiles(16))
    assert decided == [precision == "tf32"]
    decided.clear()
    next(iterates(encoder, CONTENT, targets, settings, seed=0))
    assert decided == [precision == "tf32"]
    with pytest.raises(PrecisionError, match=r"^precision: found precision = "):
        style_targets(encoder, STYLE, other)
    with pytest.raises(PrecisionError, match=r"^precision: found precision = "):
        tiled_style_targets(encoder, STYLE, other, Tiles(16))
    with pytest.raises(PrecisionError, match=r"^precision: found precision = "):
        next(iterates(encoder, CONTENT, targets, other, seed=0))
