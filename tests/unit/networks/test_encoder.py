"""Encoders as data: fingerprints, and the encoder in the package."""

import hashlib
from dataclasses import replace
from importlib import resources

import numpy as np
import pytest

from nst_core.networks import CATALOGUE
from nst_core.networks.encoder import Encoder
from nst_core.networks.loading import load_encoder
from nst_core.networks.topology import (
    Convolution,
    LocalResponseNormalization,
    Pool,
    Preprocessing,
)
from tests.encoders import TINY, tiny_encoder


def test_equal_data_have_equal_fingerprints() -> None:
    assert tiny_encoder().fingerprint == tiny_encoder().fingerprint


def test_encoders_are_equal_by_fingerprint_so_that_compiled_functions_are_shared() -> None:
    assert tiny_encoder() == tiny_encoder()
    assert len({tiny_encoder(), tiny_encoder(), tiny_encoder(seed=1)}) == 2
    assert tiny_encoder() != tiny_encoder().fingerprint


def test_the_fingerprint_covers_every_weight() -> None:
    encoder = tiny_encoder()
    others = [tiny_encoder(seed=1)]
    for name, array in encoder.weights.items():
        changed = array.copy()
        changed.flat[-1] = np.nextafter(changed.flat[-1], np.float32(9))
        others.append(replace(encoder, weights={**encoder.weights, name: changed}))
    fingerprints = {other.fingerprint for other in others}
    assert len(fingerprints) == len(others)
    assert encoder.fingerprint not in fingerprints


def test_the_fingerprint_covers_the_precision() -> None:
    encoder = tiny_encoder()
    assert replace(encoder, precision="float32") == encoder
    assert replace(encoder, precision="bfloat16") != encoder


def test_the_fingerprint_covers_topology_pooling_and_preprocessing() -> None:
    encoder = tiny_encoder()
    convolution = encoder.topology.layers[0]
    assert isinstance(convolution, Convolution)
    rest = encoder.topology.layers[1:]
    layers = [
        rest,
        (replace(convolution, edges="zeros"), *rest),
        (replace(convolution, stride=2), *rest),
        (replace(convolution, groups=2), *rest),
        (convolution, LocalResponseNormalization("n"), *rest),
        (convolution, LocalResponseNormalization("n", alpha=1e-4), *rest),
        encoder.topology.with_pooling("max").layers,
    ]
    topologies = [
        *(replace(TINY, layers=other) for other in layers),
        replace(TINY, preprocessing=Preprocessing(order="BGR")),
        replace(TINY, preprocessing=Preprocessing(scale=255.0)),
        replace(TINY, preprocessing=Preprocessing(means=(1.0, 2.0, 3.0))),
    ]
    fingerprints = {Encoder(topology, encoder.weights).fingerprint for topology in topologies}
    assert len(fingerprints) == len(topologies)
    assert encoder.fingerprint not in fingerprints


def test_a_name_is_not_part_of_the_fingerprint() -> None:
    encoder = tiny_encoder()
    renamed = replace(encoder, topology=replace(TINY, name="other"))
    assert renamed.fingerprint == encoder.fingerprint


def test_loading_an_encoder_again_returns_the_same_object() -> None:
    assert load_encoder("compact") is load_encoder("compact")
    assert load_encoder("compact", "max") is not load_encoder("compact")
    pools = [
        layer for layer in load_encoder("compact", "max").topology.layers if "pool" in layer.name
    ]
    assert {layer.kind for layer in pools if isinstance(layer, Pool)} == {"max"}


def test_an_unknown_encoder_is_reported_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'vgg99'; expected one of compact, vgg16"):
        load_encoder("vgg99")


def test_the_compact_encoder_has_the_weights_that_its_layers_need() -> None:
    encoder = load_encoder("compact")
    shapes = {name: array.shape for name, array in encoder.weights.items()}
    assert shapes == dict(CATALOGUE["compact"].topology.weight_shapes)
    assert all(np.isfinite(array).all() for array in encoder.weights.values())


def test_the_data_card_names_the_weights_in_the_package() -> None:
    folder = resources.files("nst_core.networks")
    digest = hashlib.sha256(folder.joinpath("compact.safetensors").read_bytes()).hexdigest()
    assert digest in folder.joinpath("compact.data-card.md").read_text()
