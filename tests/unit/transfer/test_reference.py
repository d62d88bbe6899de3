"""The reference itself, against SciPy, explicit loops, finite differences and manual results."""

from collections.abc import Callable, Sequence
from math import prod

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal

from nst_core.networks.encoder import Encoder
from nst_core.networks.topology import (
    CAFFE,
    Convolution,
    Layer,
    LocalResponseNormalization,
    Pool,
    PoolKind,
    Preprocessing,
    Relu,
    Topology,
)
from tests import recipes, reference
from tests.recipes import Weights
from tests.reference import Array

UNCHANGED = Preprocessing()


def drawn(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


def picture(height: int, width: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).uniform(0, 1, (height, width, 3))


def encoder_of(layers: Sequence[Layer], preprocessing: Preprocessing = UNCHANGED) -> Encoder:
    topology = Topology("small", tuple(layers), preprocessing)
    draw = np.random.default_rng(7)
    weights = {
        name: draw.normal(0, prod(shape[:-1]) ** -0.5, shape).astype(np.float32)
        for name, shape in topology.weight_shapes.items()
    }
    return Encoder(topology, weights)


def check_gradient(value: Callable[[Array], float], at: Array, gradient: Array) -> None:
    """Check a gradient by central differences along random directions and along itself."""
    assert gradient.shape == at.shape
    tolerance = 1e-7 * float(np.linalg.norm(gradient))
    assert tolerance > 0
    for direction in (*(drawn(*at.shape, seed=seed) for seed in range(4)), gradient):
        step = 1e-6 * direction / np.linalg.norm(direction)
        difference = (value(at + step) - value(at - step)) / 2e-6
        assert (gradient * step).sum() / 1e-6 == pytest.approx(difference, rel=0, abs=tolerance)


@pytest.mark.parametrize(("edges", "mode"), [("mirrored", "mirror"), ("zeros", "constant")])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_a_convolution_equals_that_of_scipy(edges: reference.Edges, mode: str, kernel: int) -> None:
    features, weight, bias = drawn(9, 6, 2), drawn(kernel, kernel, 2, 3, seed=1), drawn(3, seed=2)
    result = reference.convolve(features, weight, bias, edges=edges)
    for channel in range(3):
        expected = bias[channel] + sum(
            scipy.ndimage.correlate(features[..., given], weight[..., given, channel], mode=mode)
            for given in range(2)
        )
        np.testing.assert_allclose(result[..., channel], expected, atol=1e-12)


def test_groups_are_independent() -> None:
    features, weight = drawn(7, 6, 4), drawn(3, 3, 2, 6, seed=1)
    result = reference.convolve(features, weight, np.zeros(6), groups=2, edges="zeros")
    for channel, seen in enumerate([(0, 1), (0, 1), (0, 1), (2, 3), (2, 3), (2, 3)]):
        expected = sum(
            scipy.signal.correlate2d(features[..., given], weight[..., place, channel], "same")
            for place, given in enumerate(seen)
        )
        np.testing.assert_allclose(result[..., channel], expected, atol=1e-12)


# Computed by hand: half of what the last window lacks, rounded down, is in front.
@pytest.mark.parametrize(
    ("side", "kernel", "stride", "positions", "zeros_in_front"),
    [
        (8, 3, 1, 8, 1),
        (8, 3, 2, 4, 0),
        (7, 3, 2, 4, 1),
        (8, 5, 2, 4, 1),
        (10, 5, 3, 4, 2),
        (9, 3, 4, 3, 1),
        (8, 1, 2, 4, 0),
        (16, 3, 4, 4, 0),
        (11, 11, 4, 3, 4),
        (64, 11, 4, 16, 3),
    ],
)
def test_a_strided_convolution_equals_explicit_loops(
    side: int, kernel: int, stride: int, positions: int, zeros_in_front: int
) -> None:
    features, weight = drawn(side, side, 2), drawn(kernel, kernel, 2, 3, seed=1)
    expected = np.zeros((positions, positions, 3))
    for row, column, down, right in np.ndindex(positions, positions, kernel, kernel):
        at = (row * stride + down - zeros_in_front, column * stride + right - zeros_in_front)
        if min(at) >= 0 and max(at) < side:
            expected[row, column] += features[at] @ weight[down, right]
    result = reference.convolve(features, weight, np.zeros(3), stride, edges="zeros")
    np.testing.assert_allclose(result, expected, atol=1e-12)


def test_height_and_width_are_padded_independently() -> None:
    features, weight = drawn(8, 7, 2), drawn(3, 3, 2, 4, seed=1)
    result = reference.convolve(features, weight, np.zeros(4), 2, edges="zeros")
    assert result.shape == (4, 4, 4)
    first_window = features[:3, :2]
    expected = np.einsum("hwi,hwio->o", first_window, weight[:, 1:])
    np.testing.assert_allclose(result[0, 0], expected, atol=1e-12)


@pytest.mark.parametrize(("kind", "of_square"), [("average", np.mean), ("max", np.max)])
@pytest.mark.parametrize(
    ("size", "stride", "shape"), [(2, 2, (5, 4)), (3, 2, (5, 3)), (2, 3, (4, 3)), (3, 1, (9, 6))]
)
def test_pooling_equals_explicit_loops(
    kind: PoolKind,
    of_square: Callable[..., Array],
    size: int,
    stride: int,
    shape: tuple[int, int],
) -> None:
    features = drawn(11, 8, 3)
    result = reference.pool(features, size, stride, kind)
    assert result.shape == (*shape, 3)
    for row, column in np.ndindex(shape):
        top, left = row * stride, column * stride
        square = features[top : top + size, left : left + size]
        np.testing.assert_allclose(result[row, column], of_square(square, axis=(0, 1)), atol=1e-14)


def test_the_first_of_equal_maxima_gets_the_gradient() -> None:
    gradient = reference.pool_gradient(np.full((1, 2, 1), 5.0), np.ones((3, 4, 1)), kind="max")
    assert gradient[..., 0].tolist() == [[5, 0, 5, 0], [0, 0, 0, 0], [0, 0, 0, 0]]


def test_local_response_normalization_of_three_channels_by_hand() -> None:
    result = reference.normalize(np.array([[[1.0, 2.0, 3.0]]]), 1, alpha=2, beta=1, bias=5)
    np.testing.assert_allclose(result, [[[1 / 15, 2 / 33, 3 / 31]]])


@pytest.mark.parametrize("radius", [0, 1, 2, 7])
def test_local_response_normalization_equals_explicit_loops(radius: int) -> None:
    features = drawn(2, 3, 6)
    result = reference.normalize(features, radius, alpha=0.3, beta=0.75, bias=0.7)
    for row, column, channel in np.ndindex(features.shape):
        near = features[row, column, max(channel - radius, 0) : channel + radius + 1]
        scale = 0.7 + 0.3 * sum(float(value) ** 2 for value in near)
        expected = features[row, column, channel] / scale**0.75
        assert result[row, column, channel] == pytest.approx(expected)


def test_preprocessing_of_orange_by_hand() -> None:
    orange = np.array([[[1.0, 0.5, 0.0]]])
    np.testing.assert_allclose(
        reference.preprocess(orange, CAFFE), [[[-103.939, 127.5 - 116.779, 255 - 123.68]]]
    )
    plain = Preprocessing(order="RGB", scale=2, means=(0.1, 0.2, 0.3))
    np.testing.assert_allclose(reference.preprocess(orange, plain), [[[1.9, 0.8, -0.3]]])


def test_layers_are_applied_in_order() -> None:
    encoder = encoder_of(
        [
            Convolution("conv", 4, kernel=5, stride=2),
            Relu("relu"),
            LocalResponseNormalization("lrn", radius=1, alpha=0.3, beta=0.6, bias=0.7),
            Pool("pool", "max", size=3, stride=1),
            Convolution("deep", 6, kernel=1, groups=2, edges="mirrored"),
        ],
        CAFFE,
    )
    weights = {name: array.astype(np.float64) for name, array in encoder.weights.items()}
    pixels = picture(11, 8)
    seen = reference.activations(encoder, pixels)
    assert list(seen) == ["conv", "relu", "lrn", "pool", "deep"]
    raw = reference.preprocess(pixels, CAFFE)
    expected = reference.convolve(
        raw, weights["conv.weight"], weights["conv.bias"], 2, edges="zeros"
    )
    np.testing.assert_array_equal(seen["conv"], expected)
    np.testing.assert_array_equal(seen["relu"], np.where(expected < 0, 0, expected))
    np.testing.assert_array_equal(seen["lrn"], reference.normalize(seen["relu"], 1, 0.3, 0.6, 0.7))
    np.testing.assert_array_equal(seen["pool"], reference.pool(seen["lrn"], 3, 1, "max"))
    left, right = seen["pool"][..., :2], seen["pool"][..., 2:]
    weight = weights["deep.weight"][0, 0]
    halves = [left @ weight[:, :3], right @ weight[:, 3:]]
    expected = np.concatenate(halves, axis=2) + weights["deep.bias"]
    np.testing.assert_allclose(seen["deep"], expected, atol=1e-12)


FIRST = Convolution("first", 4)
STRONG = LocalResponseNormalization("lrn", radius=1, alpha=0.9, beta=0.75, bias=0.4)


@pytest.mark.parametrize(
    "layers",
    [
        pytest.param([Convolution("conv", 4, edges="mirrored")], id="mirrored"),
        pytest.param([Convolution("conv", 4, kernel=5, edges="mirrored")], id="mirrored, 5"),
        pytest.param([Convolution("conv", 4)], id="zeros"),
        pytest.param([Convolution("conv", 4, kernel=1, stride=2)], id="stride over kernel"),
        pytest.param([Convolution("conv", 4, stride=2)], id="stride 2"),
        pytest.param([Convolution("conv", 4, kernel=11, stride=4)], id="stride 4"),
        pytest.param([Convolution("conv", 6, groups=3)], id="groups"),
        pytest.param([FIRST, Convolution("conv", 6, 5, 3, groups=2)], id="groups and stride"),
        pytest.param([FIRST, Relu("relu")], id="relu"),
        pytest.param([FIRST, Pool("pool", "average")], id="average"),
        pytest.param([FIRST, Pool("pool", "average", size=3)], id="average, overlapping"),
        pytest.param([FIRST, Pool("pool", "max")], id="max"),
        pytest.param([FIRST, Pool("pool", "max", size=3)], id="max, overlapping"),
        pytest.param([FIRST, Pool("pool", "max", size=2, stride=3)], id="max, with gaps"),
        pytest.param([FIRST, STRONG], id="normalization"),
        pytest.param([FIRST, Relu("relu"), STRONG, Pool("pool", "max", size=3)], id="together"),
    ],
)
@pytest.mark.parametrize(
    "preprocessing",
    [UNCHANGED, Preprocessing(order="BGR", scale=3.0, means=(1.1, 1.4, 1.6))],
    ids=["unchanged", "BGR"],
)
def test_the_gradient_of_each_layer_equals_finite_differences(
    layers: list[Layer], preprocessing: Preprocessing
) -> None:
    encoder = encoder_of(layers, preprocessing)
    pixels = picture(11, 8)
    seen = reference.activations(encoder, pixels)
    factors = {name: drawn(*features.shape, seed=5) for name, features in seen.items()}

    def value(at: Array) -> float:
        features = reference.activations(encoder, at)
        return sum(float((factors[name] * features[name] ** 2).sum()) for name in features)

    derivatives = {name: 2 * factors[name] * features for name, features in seen.items()}
    check_gradient(value, pixels, reference.gradient(encoder, pixels, derivatives))


def test_the_gradient_of_one_tap_ignores_deeper_layers() -> None:
    encoder = encoder_of([FIRST, Relu("relu"), Convolution("deep", 5)])
    pixels, derivative = picture(6, 7), drawn(6, 7, 4)
    gradient = reference.gradient(encoder, pixels, {"first": derivative})
    weight = encoder.weights["first.weight"].astype(np.float64)
    expected = [
        sum(
            scipy.signal.convolve2d(derivative[..., given], weight[..., color, given], "same")
            for given in range(4)
        )
        for color in range(3)
    ]
    np.testing.assert_allclose(gradient, np.stack(expected, axis=2), atol=1e-12)


@pytest.mark.parametrize(
    ("tap", "text"), [("firts", "a layer that there is not"), ("first", "another shape at first")]
)
def test_derivatives_that_fit_no_layer_are_refused(tap: str, text: str) -> None:
    with pytest.raises(AssertionError, match=text):
        reference.gradient(encoder_of([FIRST]), picture(6, 7), {tap: np.zeros((6, 7, 1))})


# Computed by hand for two positions of three channels: G = [[10, 2, 3], [2, 4, 0], [3, 0, 1]] and
# A = diag(1, 1, 0). The squares of F - P sum up to 7, those of G - A to 117; N = 3, M = 2.
F = np.array([[[1.0, 2.0, 0.0], [3.0, 0.0, 1.0]]])
P = np.ones((1, 2, 3))
S = np.array([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
# The squares across are 1, 4; 0, 9, those down are 4, 1, 4; without the last row and column, they
# are 1, 4 and 4, 1.
RAW = np.zeros((2, 3, 3))
RAW[..., 1] = [[0, 1, 3], [2, 2, 5]]


@pytest.mark.parametrize(
    ("losses_of", "weights", "content", "style", "tv"),
    [
        (recipes.article_losses, Weights(1, 10, 100), 7, 117 / 36, 11.5),
        (recipes.paper_losses, Weights(1, 10), 3.5, 117 / 144, 0),
        (recipes.neural_style_losses, Weights(1, 10, 100), 7 / 6, 117 / 36 / 9, 5),
    ],
)
def test_the_losses_of_each_recipe_by_hand(
    losses_of: Callable[..., recipes.Differentiated],
    weights: Weights,
    content: float,
    style: float,
    tv: float,
) -> None:
    features = ({"a": F, "b": F}, {"a": P, "b": P}, {"a": S, "b": S})
    once, _, _ = losses_of(*features, RAW, ["a"], ["b"], weights)
    assert once == pytest.approx((content, style, tv, content + 10 * style + 100 * tv))
    twice, _, _ = losses_of(*features, RAW, ["a", "b"], ["a", "b"], weights)
    sums_style_layers = losses_of is recipes.neural_style_losses
    assert twice.content == pytest.approx(2 * content)
    assert twice.style == pytest.approx(style * (2 if sums_style_layers else 1))


def test_the_recipes_have_their_published_weights() -> None:
    features = ({"a": F}, {"a": P}, {"a": S})
    article, _, _ = recipes.article_losses(*features, RAW, ["a"], ["a"])
    assert article.total == pytest.approx(7 + 1000 * 117 / 36)
    paper, _, _ = recipes.paper_losses(*features, RAW, ["a"], ["a"])
    assert paper.total == pytest.approx(1e-3 * 3.5 + 117 / 144)
    neural_style, _, _ = recipes.neural_style_losses(*features, RAW, ["a"], ["a"])
    assert neural_style.total == pytest.approx(5 * 7 / 6 + 100 * 117 / 36 / 9 + 1e-3 * 5)


def test_neural_style_accepts_a_style_picture_of_any_size() -> None:
    tiled = np.tile(S, (3, 2, 1))
    losses = [
        recipes.neural_style_losses({"a": F}, {}, {"a": style}, RAW, [], ["a"])[0].style
        for style in (S, tiled)
    ]
    assert losses[0] == pytest.approx(losses[1])


def test_raw_pixels_of_orange_by_hand() -> None:
    raw = recipes.raw_pixels(np.array([[[1.0, 0.5, 0.0]]]))
    np.testing.assert_allclose(raw, [[[255 - 123.68, 127.5 - 116.779, -103.939]]])


CONTENT_ONLY, STYLE_ONLY, TV_ONLY = Weights(1, 0), Weights(0, 1), Weights(0, 0, 1)
RECIPES = {
    "article": (recipes.article, recipes.ARTICLE_WEIGHTS),
    "paper": (recipes.paper, recipes.PAPER_WEIGHTS),
    "neural-style": (recipes.neural_style, recipes.NEURAL_STYLE_WEIGHTS),
}


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        *((name, published) for name, (_, published) in RECIPES.items()),
        *((name, alone) for name in RECIPES for alone in (CONTENT_ONLY, STYLE_ONLY)),
        *((name, TV_ONLY) for name in ("article", "neural-style")),
    ],
)
def test_the_gradient_of_each_recipe_equals_finite_differences(name: str, weights: Weights) -> None:
    encoder = encoder_of(
        [
            Convolution("conv1", 4, edges="mirrored"),
            Relu("relu1"),
            LocalResponseNormalization("lrn1", alpha=1e-4),
            Pool("pool1", "max", size=3),
            Convolution("conv2", 6, groups=2),
            Relu("relu2"),
            Pool("pool2", "average"),
        ],
        CAFFE,
    )
    pixels, content, style = (picture(11, 8, seed) for seed in range(3))
    layers = (["relu1", "conv2"], ["relu1", "pool2"])
    recipe, _ = RECIPES[name]

    def value(at: Array) -> float:
        return recipe(encoder, at, content, style, *layers, weights)[0].total

    losses, gradient = recipe(encoder, pixels, content, style, *layers, weights)
    assert losses.total == pytest.approx(np.dot(weights, losses[:3]))
    check_gradient(value, pixels, gradient)
