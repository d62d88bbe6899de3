"""Normalized weights: mean activations of 1, and still the same network."""

import numpy as np
import pytest

from nst_core.networks import CATALOGUE
from nst_core.networks.encoder import Encoder
from nst_core.networks.normalization import mean_activations, normalized, rare_filters
from nst_core.networks.topology import CAFFE, Convolution, Pool, Relu, Topology
from tests import reference
from tests.encoders import random_encoder, random_pixels

SMALL = Topology(
    "small",
    (
        Convolution("conv1_1", 5),
        Relu("relu1_1"),
        Convolution("conv1_2", 4),
        Relu("relu1_2"),
        Pool("pool1", "max"),
        Convolution("conv2_1", 6),
        Relu("relu2_1"),
    ),
    CAFFE,
)
PICTURES = [random_pixels(16, 20, 1), random_pixels(12, 12, 2), random_pixels(24, 10, 3)]
RELUS = ("relu1_1", "relu1_2", "relu2_1")


def stacked(encoder: Encoder, layer: str) -> np.ndarray:
    """Return the activations at all positions of all pictures, in float64."""
    seen = [reference.activations(encoder, pixels.astype(np.float64)) for pixels in PICTURES]
    return np.concatenate(
        [picture[layer].reshape(-1, picture[layer].shape[-1]) for picture in seen]
    )


def test_means_are_over_all_positions_of_all_pictures() -> None:
    encoder = random_encoder(SMALL)
    means = mean_activations(encoder, PICTURES)
    assert list(means) == ["conv1_1", "conv1_2", "conv2_1"]
    for (_, mean), relu in zip(means.items(), RELUS, strict=True):
        np.testing.assert_allclose(mean, stacked(encoder, relu).mean(axis=0), rtol=1e-5)


@pytest.mark.parametrize("pooling", ["max", "average"])
def test_every_filter_has_a_mean_activation_of_one_and_nothing_else_changes(pooling: str) -> None:
    encoder = random_encoder(SMALL.with_pooling(pooling))
    means = mean_activations(encoder, PICTURES)
    scaled = Encoder(encoder.topology, normalized(encoder.topology, encoder.weights, means))
    assert {name: array.dtype for name, array in scaled.weights.items()} == dict.fromkeys(
        encoder.weights, np.dtype("float32")
    )
    for (_, mean), relu in zip(means.items(), RELUS, strict=True):
        before, after = stacked(encoder, relu), stacked(scaled, relu)
        np.testing.assert_allclose(after.mean(axis=0), np.ones(len(mean)), rtol=1e-5)
        np.testing.assert_allclose(after * mean, before, rtol=1e-4, atol=1e-4 * before.max())


def test_a_filter_that_never_fires_is_not_changed() -> None:
    encoder = random_encoder(SMALL)
    weights = {name: array.copy() for name, array in encoder.weights.items()}
    weights["conv1_2.weight"][..., 2] = 0
    weights["conv1_2.bias"][2] = -1
    silent = Encoder(SMALL, weights)
    means = mean_activations(silent, PICTURES)
    assert rare_filters(means) == 1
    scaled = normalized(SMALL, weights, means)
    assert all(np.isfinite(array).all() for array in scaled.values())
    assert scaled["conv1_2.bias"][2] == -1


def test_alexnet_is_refused() -> None:
    encoder = random_encoder(CATALOGUE["alexnet"].topology)
    with pytest.raises(ValueError, match="alexnet cannot be normalized"):
        mean_activations(encoder, PICTURES)


def test_an_empty_list_of_pictures_is_refused() -> None:
    with pytest.raises(ValueError, match="no pictures"):
        mean_activations(random_encoder(SMALL), [])


def test_filters_that_hardly_fire_are_counted() -> None:
    means = {"conv1_1": np.array([1.0, 2.0, 3.0, 0.019]), "conv1_2": np.array([5.0, 0.0, 7.0])}
    assert rare_filters(means) == 1
    assert rare_filters(means, share=0.02) == 2
