"""Activations of VGG and AlexNet from every file format, against Keras's models and NumPy."""

from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from nst_core.networks import CATALOGUE, forward
from nst_core.networks.encoder import Encoder, Weights
from nst_core.networks.topology import Topology
from nst_core.networks.weight_files import read_weight_file, weights_for, write_weight_file
from tests import reference, weight_files
from tests.encoders import random_encoder, random_pixels

APPLICATIONS = {
    "vgg16": (keras.applications.VGG16, keras.applications.vgg16.preprocess_input),
    "vgg19": (keras.applications.VGG19, keras.applications.vgg19.preprocess_input),
}
Writer = Callable[[Path, keras.Model, Weights], object]
WRITERS: dict[str, Writer] = {
    "_notop.h5": lambda path, _, weights: weight_files.write_keras_1_hdf5(path, weights),
    ".h5": lambda path, model, _: model.save(path),
    ".weights.h5": lambda path, model, _: model.save_weights(path),
    ".keras": lambda path, model, _: model.save(path),
    "_weights.npz": lambda path, _, weights: weight_files.write_npz(path, weights),
    ".safetensors": lambda path, _, weights: write_weight_file(path, weights, {}),
}
PIXELS = random_pixels(64, 50, seed=7)


@pytest.fixture(autouse=True)
def _clear_tensors() -> Iterator[None]:
    yield
    forward.weights_on.cache_clear()


@pytest.fixture(scope="module", params=APPLICATIONS)
def vgg(request: pytest.FixtureRequest) -> Encoder:
    return random_encoder(CATALOGUE[request.param].topology, seed=3)


@pytest.fixture(scope="module")
def model(vgg: Encoder) -> keras.Model:
    """Return Keras's own model with the same weights."""
    build, _ = APPLICATIONS[vgg.topology.name]
    model = build(weights=None, include_top=False)
    for convolution in vgg.topology.convolutions:
        name = convolution.name
        model.get_layer(weight_files.keras_name(name)).set_weights(
            [vgg.weights[f"{name}.weight"], vgg.weights[f"{name}.bias"]]
        )
    return model


@pytest.fixture(scope="module")
def keras_activations(vgg: Encoder, model: keras.Model) -> dict[str, np.ndarray]:
    """Return the activations of all layers of Keras's model, after their ReLU, by our names."""
    _, preprocess = APPLICATIONS[vgg.topology.name]
    taps = {
        layer.name.replace("_", "").replace("block", "relu").replace("conv", "_"): layer.output
        for layer in model.layers[1:]
    }
    seen = keras.Model(model.input, taps)(preprocess(PIXELS[np.newaxis] * 255))
    pools = {f"relu{block}pool": f"pool{block}" for block in range(1, 6)}
    return {pools.get(name, name): np.asarray(features)[0] for name, features in seen.items()}


@pytest.mark.parametrize("suffix", WRITERS)
def test_vgg_has_the_activations_of_the_keras_model(
    vgg: Encoder,
    model: keras.Model,
    keras_activations: dict[str, np.ndarray],
    suffix: str,
    tmp_path: Path,
) -> None:
    path = tmp_path / f"{vgg.topology.name}{suffix}"
    WRITERS[suffix](path, model, vgg.weights)
    encoder = Encoder(vgg.topology, weights_for(vgg.topology, read_weight_file(path)))
    names = [name for name in vgg.topology.layer_names if not name.startswith("conv")]
    assert set(keras_activations) == set(names)
    seen = forward.activations(encoder, tf.constant(PIXELS), names)
    for name, features in keras_activations.items():
        assert_close(seen[name].numpy(), features)


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    """Compare all elements to within 1e-5 of the layer's largest activation."""
    assert found.shape == expected.shape
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("pooling", ["trained", "average"])
def test_vgg_before_and_after_the_relu_equals_the_reference(vgg: Encoder, pooling: str) -> None:
    encoder = Encoder(vgg.topology.with_pooling(pooling), vgg.weights)
    check_against_numpy(encoder)


def check_against_numpy(encoder: Encoder, pixels: np.ndarray = PIXELS) -> None:
    seen = forward.activations(encoder, tf.constant(pixels), encoder.topology.layer_names)
    expected = reference.activations(encoder, pixels.astype(np.float64))
    assert list(seen) == list(expected)
    for name, features in expected.items():
        assert_close(seen[name].numpy(), features)


@pytest.mark.parametrize("pooling", ["trained", "average"])
@pytest.mark.parametrize("python", [2, 3])
def test_alexnet_has_the_activations_of_the_reference(
    pooling: str, python: int, tmp_path: Path
) -> None:
    topology: Topology = CATALOGUE["alexnet"].topology
    path = tmp_path / "bvlc_alexnet.npy"
    weight_files.write_npy(path, random_encoder(topology, seed=5).weights, python=python)
    weights = weights_for(topology, read_weight_file(path))
    encoder = Encoder(topology.with_pooling(pooling), weights)
    check_against_numpy(encoder, random_pixels(110, 93, seed=8))


def test_colors_reach_the_network_in_its_own_order() -> None:
    """The first filter uses only its first channel, which is blue in BGR."""
    topology = CATALOGUE["vgg19"].topology
    weights = {name: np.zeros(shape, np.float32) for name, shape in topology.weight_shapes.items()}
    weights["conv1_1.weight"][1, 1, 0, 0] = 1
    pixels = np.zeros((4, 4, 3), np.float32)
    pixels[..., 2] = 1
    seen = forward.activations(Encoder(topology, weights), tf.constant(pixels), ["conv1_1"])
    np.testing.assert_allclose(seen["conv1_1"][..., 0], 255 - 103.939, rtol=1e-6)
