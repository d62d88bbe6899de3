"""Encoders as data: taps, strides, fingerprints, and the one that ships."""

import hashlib
from dataclasses import replace
from importlib import resources

import numpy as np
import pytest

from nst_core.networks import load_encoder
from nst_core.networks.encoder import Convolution, Encoder, Relu
from tests.encoders import tiny_encoder


def test_the_smallest_side_is_that_of_the_deepest_tap() -> None:
    encoder = tiny_encoder()
    assert encoder.smallest_side(["relu1_1"]) == 2
    assert encoder.smallest_side(["conv2_1", "relu1_1"]) == 4


def test_channels() -> None:
    encoder = tiny_encoder()
    assert [encoder.channels(name) for name in encoder.layer_names] == [4, 4, 4, 6, 6]


def test_equal_data_have_equal_fingerprints() -> None:
    assert tiny_encoder().fingerprint == tiny_encoder().fingerprint


def test_the_fingerprint_covers_every_weight_and_the_topology() -> None:
    encoder = tiny_encoder()
    others = [tiny_encoder(seed=1), replace(encoder, layers=encoder.layers[:-1])]
    for name, array in encoder.weights.items():
        changed = array.copy()
        changed.flat[-1] = np.nextafter(changed.flat[-1], np.float32(9))
        others.append(replace(encoder, weights={**encoder.weights, name: changed}))
    fingerprints = {other.fingerprint for other in others}
    assert len(fingerprints) == len(others)
    assert encoder.fingerprint not in fingerprints


def test_the_same_encoder_each_time() -> None:
    assert load_encoder("compact") is load_encoder("compact")


def test_an_unknown_encoder_is_told_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="'vgg99'; there are compact"):
        load_encoder("vgg99")


def test_the_compact_encoder_has_the_weights_that_its_layers_need() -> None:
    encoder = load_encoder("compact")
    channels = 3
    expected = {}
    for layer in encoder.layers:
        if isinstance(layer, Convolution):
            expected[f"{layer.name}.weight"] = (3, 3, channels, layer.channels)
            expected[f"{layer.name}.bias"] = (layer.channels,)
            channels = layer.channels
    assert {name: array.shape for name, array in encoder.weights.items()} == expected
    assert all(np.isfinite(array).all() for array in encoder.weights.values())


def test_the_data_card_names_the_weights_that_ship() -> None:
    folder = resources.files("nst_core.networks")
    digest = hashlib.sha256(folder.joinpath("compact.safetensors").read_bytes()).hexdigest()
    assert digest in folder.joinpath("compact.data-card.md").read_text()


def test_encoders_are_told_apart_by_identity() -> None:
    layers = (Convolution("conv1_1", 1), Relu("relu1_1"))
    assert Encoder("same", layers, {}) != Encoder("same", layers, {})
