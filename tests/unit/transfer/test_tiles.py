"""Tiles: the losses, gradient and picture of large pictures, the same except for rounding."""

from functools import cache, partial
from typing import Any, get_args

import numpy as np
import pytest
import tensorflow as tf

from nst_core.networks import CATALOGUE
from nst_core.networks.encoder import Encoder
from nst_core.networks.forward import activations
from nst_core.networks.loading import load_encoder
from nst_core.networks.topology import Convolution, Pool, Relu, Topology
from nst_core.transfer.losses.loss_weights import loss_weights
from nst_core.transfer.losses.losses import Targets, loss_terms
from nst_core.transfer.settings import Normalization, Settings
from nst_core.transfer.style_losses.costs import COSTS
from nst_core.transfer.styles.statistics import content_targets, style_targets
from nst_core.transfer.styles.targets import StyleTargets
from nst_core.transfer.stylize import Outcome, finish, iterates
from nst_core.transfer.tiles.grid import Grid, Tiles, can_be_tiled, is_worth_it
from nst_core.transfer.tiles.losses import (
    CONTENT_FACTORS,
    TiledLosses,
    TiledTargets,
    tiled_content,
)
from nst_core.transfer.tiles.style import tiled_style_targets
from nst_core.transfer.tiles.sums import SUMMED
from nst_core.transfer.tiles.walk import core_of, tiles_of
from tests.encoders import TINY, random_encoder, random_pixels, tiny_encoder

LAYERS = {"style_layers": "relu1_1 conv2_1 relu2_1", "content_layers": "conv2_1 relu2_1"}
SETTINGS = Settings(size=64, octaves=2, steps=10, tolerance=0, **LAYERS)
ZEROS = Topology(
    "zeros",
    (
        Convolution("conv1_1", 4, kernel=5),
        Relu("relu1_1"),
        Pool("pool1", "max"),
        Convolution("conv2_1", 6, groups=2),
        Relu("relu2_1"),
        Pool("pool2", "average", size=3),
        Convolution("conv3_1", 8),
    ),
)
SHALLOW, DEEP = Tiles(16), Tiles(24)


@cache
def compact() -> Encoder:
    return load_encoder("compact", "trained")


def finest(style: StyleTargets) -> Any:
    """Return the targets of a style at its finest octave, by the names of the fields of targets."""
    arrays = {
        "grams": {**style.grams[-1]},
        "centers": {**style.centers[-1]},
        "others": style.others[-1] if style.others else {},
    }
    return tf.nest.map_structure(tf.constant, arrays)


def evaluate(
    encoder: Encoder,
    settings: Settings,
    shape: tuple[int, int] = (41, 47),
    tiles: Tiles | None = None,
) -> tuple[Any, np.ndarray]:
    """Return losses and gradient of a picture, at once or tile by tile."""
    style = style_targets(encoder, random_pixels(40, 37, 1), settings)
    content, array = random_pixels(*shape, 2), random_pixels(*shape, 3)
    weights, of_style, pixels = loss_weights(settings), finest(style), tf.constant(array)
    if tiles is None:
        layers = tuple(settings.content_layer_weights)
        targets = Targets(content_targets(encoder, content, layers), **of_style)
        with tf.GradientTape() as tape:
            tape.watch(pixels)
            losses = loss_terms(
                *(encoder, settings.normalization, pixels, targets, weights),
                tv_kind=settings.tv_kind,
            )
        return losses, tape.gradient(losses.total, pixels).numpy()
    grid = Grid.of(encoder.topology, settings, tiles)
    tiled = TiledLosses(encoder, settings.normalization, settings.tv_kind, grid)
    of_content = tiled_content(encoder, content, settings, grid)
    found = tiled.evaluation(array, TiledTargets(**of_content, **of_style), weights)
    again = tiled.terms(array, TiledTargets(**of_content, **of_style), weights)
    tf.nest.map_structure(
        partial(np.testing.assert_allclose, rtol=1e-6), found.terms, again, check_types=False
    )
    return found.terms, found.gradient


def assert_same(encoder: Encoder, settings: Settings, shape: tuple[int, int], tiles: Tiles) -> None:
    (plain, gradient), (tiled, same) = (
        evaluate(encoder, settings, shape, how) for how in (None, tiles)
    )
    tf.nest.map_structure(partial(np.testing.assert_allclose, rtol=1e-5), tiled, plain)
    assert np.linalg.norm(same - gradient) < 1e-5 * np.linalg.norm(gradient)
    np.testing.assert_allclose(same, gradient, atol=1e-5 * np.abs(gradient).max())


@pytest.mark.parametrize(
    ("normalization", "gram"),
    [
        *(("relative", "raw"), ("relative", "centered"), ("gatys", "centered")),
        *(
            pytest.param(each, "centered", marks=pytest.mark.nights)
            for each in ("mean", "article", "neural-style")
        ),
    ],
)
def test_losses_and_gradient_are_those_of_the_whole_picture(normalization: str, gram: str) -> None:
    settings = SETTINGS.model_copy(update={"normalization": normalization, "gram": gram})
    assert_same(tiny_encoder(), settings, (41, 47), SHALLOW)


@pytest.mark.parametrize(
    ("shape", "tiles"),
    [
        ((33, 17), DEEP),
        *(
            pytest.param(*each, marks=pytest.mark.nights)
            for each in (((24, 71), DEEP), ((19, 20), SHALLOW))
        ),
    ],
)
def test_sides_need_not_be_multiples_of_anything(shape: tuple[int, int], tiles: Tiles) -> None:
    layers = {"style_layers": "relu1_1 relu2_1 conv3_1", "content_layers": "relu2_1"}
    settings = SETTINGS.model_copy(update={**layers, "tv_kind": "9-point"})
    assert_same(random_encoder(ZEROS), settings, shape, tiles)


def test_with_the_layers_of_compact() -> None:
    assert_same(compact(), Settings(size=64), (45, 50), DEEP)


@pytest.mark.parametrize(
    "measure",
    [
        *("gram moments", "shifted-gram"),
        *(pytest.param(each, marks=pytest.mark.nights) for each in ("moments", "wasserstein")),
    ],
)
def test_style_losses_that_are_sums(measure: str) -> None:
    settings = SETTINGS.model_copy(update={"style_measure": measure})
    assert_same(tiny_encoder(), settings, (37, 50), SHALLOW)


def test_the_gradient_equals_finite_differences() -> None:
    encoder, settings = (
        tiny_encoder(),
        SETTINGS.model_copy(update={"style_measure": "gram moments"}),
    )
    style = style_targets(encoder, random_pixels(40, 37, 1), settings)
    grid = Grid.of(encoder.topology, settings, SHALLOW)
    content, pixels = random_pixels(41, 47, 2), random_pixels(41, 47, 3)
    targets = TiledTargets(**tiled_content(encoder, content, settings, grid), **finest(style))
    tiled = TiledLosses(encoder, "relative", "l2", grid)
    weights = loss_weights(settings)
    gradient = tiled.evaluation(pixels, targets, weights).gradient
    # Along the gradient, the slope is its norm, which is larger than the error of rounding.
    direction = gradient / np.linalg.norm(gradient)
    step = 0.02
    ahead, behind = (
        float(tiled.terms(pixels + np.float32(way * step) * direction, targets, weights).total)
        for way in (1, -1)
    )
    assert (ahead - behind) / (2 * step) == pytest.approx(np.linalg.norm(gradient), rel=2e-3)


@pytest.mark.parametrize("encoder", [tiny_encoder(), random_encoder(ZEROS)])
@pytest.mark.parametrize("shape", [(41, 47), (16, 33), (13, 64)])
def test_the_tiles_have_the_activations_of_the_whole_picture_each_once(
    encoder: Encoder, shape: tuple[int, int]
) -> None:
    topology = encoder.topology
    names = [layer.name for layer in topology.layers]
    settings = SETTINGS.model_copy(update={"style_layers": names[-1], "content_layers": names[0]})
    grid = Grid.of(topology, settings, Tiles(8))
    pixels = random_pixels(*shape)
    whole = activations(encoder, tf.constant(pixels), names)
    found = {name: np.zeros(features.shape) for name, features in whole.items()}

    tiles = [*tiles_of(pixels, grid)]
    assert len(tiles) == np.prod([-(-side // grid.core) for side in shape])
    for tile in tiles:
        features = activations(encoder, tf.constant(tile.of(pixels)), names)
        for name in names:
            stride = topology.stride(name)
            core = core_of(features[name], tile, stride)
            top, left = (span.begin // stride for span in tile)
            height, width = int(core.height), int(core.width)
            found[name][top : top + height, left : left + width] += core.features
    for name in names:
        np.testing.assert_allclose(found[name], whole[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("topology", [TINY, ZEROS])
def test_a_layer_sees_no_further_than_its_reach(topology: Topology) -> None:
    encoder = random_encoder(topology)
    name = topology.layers[-1].name
    stride, reach = topology.stride(name), topology.reach([name])
    pixels, middle = random_pixels(48, 48), 24
    features = activations(encoder, tf.constant(pixels), [name])[name].numpy()
    pixels[middle] = 1 - pixels[middle]
    changed = activations(encoder, tf.constant(pixels), [name])[name].numpy() != features
    rows = np.flatnonzero(changed.any(axis=(1, 2))) * stride
    assert np.abs(rows - middle).max() <= reach
    assert len(rows) > 1


@pytest.mark.parametrize("optimizer", ["adam", pytest.param("lbfgs", marks=pytest.mark.nights)])
def test_the_picture_is_the_same_and_has_no_seams(optimizer: str) -> None:
    encoder, content = tiny_encoder(), random_pixels(61, 47, 2)
    settings = SETTINGS.model_copy(update={"optimizer": optimizer})
    targets = style_targets(encoder, random_pixels(40, 40, 1), settings)

    def run(tiles: Tiles | None) -> Outcome:
        return finish(iterates(encoder, content, targets, settings, seed=0, tiles=tiles))

    plain, tiled = run(None), run(SHALLOW)
    assert (tiled.steps, tiled.stop_reason) == (plain.steps, plain.stop_reason)
    assert tiled.losses.total == pytest.approx(plain.losses.total, rel=2e-3)
    assert tiled.start_losses.total == pytest.approx(plain.start_losses.total, rel=1e-5)
    difference = tiled.pixels.astype(int) - plain.pixels
    assert np.abs(difference).mean() < 0.1
    assert np.abs(difference).max() <= 3
    steps = np.abs(np.diff(difference, axis=1)).mean(axis=(0, 2))
    seams = np.zeros(len(steps), bool)
    seams[15::16] = True
    assert steps[seams].mean() <= steps[~seams].mean() + 0.05


def test_each_convention_has_a_content_factor_and_each_sum_a_style_loss() -> None:
    assert set(CONTENT_FACTORS) == set(get_args(Normalization))
    assert {name for name, cost in COSTS.items() if cost.is_summed} == set(SUMMED)


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        ({}, True),
        ({"style_measure": "gram:1 moments:2"}, True),
        ({"style_measure": "gram:1 sliced:2"}, False),
        ({"style_measure": "histogram"}, False),
        ({"style_measure": "neighbors"}, False),
        ({"content_measure": "self-similarity"}, False),
        ({"encoder": "vgg19"}, True),
        ({"encoder": "alexnet"}, False),
    ],
)
def test_which_rows_can_be_tiled(choices: dict[str, str], expected: bool) -> None:
    settings = Settings.model_validate(choices)
    assert can_be_tiled(CATALOGUE[settings.encoder].topology, settings) is expected


def test_the_margins_are_as_wide_as_what_the_layers_see() -> None:
    topology = CATALOGUE["compact"].topology
    # 29 pixels: one for each of two convolutions and a pooling, twice and four times that, and
    # eight for the last convolution; rounded up to a multiple of eight.
    assert topology.reach(["relu4_1"]) == 2 + 1 + 4 + 2 + 8 + 4 + 8
    assert Grid.of(topology, Settings()) == Grid(512, 32)
    shifted = Settings(style_measure="shifted-gram")
    assert Grid.of(topology, shifted, Tiles(20)) == Grid(24, 64)
    assert not is_worth_it(topology, Settings(), (576, 1152))
    assert is_worth_it(topology, Settings(), (576, 1153))


@pytest.mark.parametrize("gram", ["centered", pytest.param("raw", marks=pytest.mark.nights)])
def test_the_targets_of_a_style_are_those_of_the_whole_picture(gram: str) -> None:
    encoder, style = tiny_encoder(), random_pixels(53, 61)
    measure = " ".join(SUMMED)
    settings = SETTINGS.model_copy(update={"style_measure": measure, "gram": gram})
    whole = style_targets(encoder, style, settings)
    tiled = tiled_style_targets(encoder, style, settings, SHALLOW)
    close = partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-5)
    tf.nest.map_structure(close, tiled.grams, whole.grams)
    tf.nest.map_structure(close, tiled.centers, whole.centers)
    tf.nest.map_structure(close, tiled.others, whole.others)
    np.testing.assert_array_equal(tiled.colors.covariance, whole.colors.covariance)
    again = StyleTargets.from_bytes(tiled.to_bytes())
    assert again.to_bytes() == tiled.to_bytes()
    plain = SETTINGS.model_copy(update={"gram": gram})
    assert tiled_style_targets(encoder, style, plain, SHALLOW).others == ()
