"""Encoders as data: a topology, weights, and a fingerprint of all that affects activations."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nst_core.networks.topology import Topology

Weights = Mapping[str, NDArray[np.float32]]
"""`<convolution>.weight` (height, width, in / groups, out) and `<convolution>.bias` (out,)."""


Precision = Literal["float32", "bfloat16", "float64"]
"""The type of numbers in which an encoder computes; what it returns has the type of its pixels."""


@dataclass(frozen=True, eq=False)
class Encoder:
    """A convolutional network whose activations describe a picture.

    Encoders with equal fingerprints are equal, so functions compiled for one of them are reused for
    any other that is loaded from the same weights.

    Attributes:
        weights: float32, with the shapes that the topology requires.
        precision: of its products and of what its layers pass on.
        fingerprint: SHA-256 of layers, preprocessing and weights; equal fingerprints mean equal
            activations.
    """

    topology: Topology
    weights: Weights
    precision: Precision = "float32"
    fingerprint: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "fingerprint", _fingerprint(self))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Encoder) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)


@cache
def in_bfloat16(encoder: Encoder) -> Encoder:
    """Return the same network with activations in bfloat16; see `Encoder.precision`."""
    return replace(encoder, precision="bfloat16")


def _fingerprint(encoder: Encoder) -> str:
    topology, weights = encoder.topology, encoder.weights
    digest = hashlib.sha256()
    layers = [[type(layer).__name__, *vars(layer).values()] for layer in topology.layers]
    digest.update(json.dumps([layers, asdict(topology.preprocessing)]).encode())
    for name in sorted(weights):
        digest.update(f"{name}{weights[name].shape}".encode())
        digest.update(np.ascontiguousarray(weights[name], dtype="<f4").tobytes())
    if encoder.precision != "float32":
        digest.update(encoder.precision.encode())
    return digest.hexdigest()
