"""An encoder is data: layers, weights, and a fingerprint of everything that shapes activations."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Convolution:
    """3x3, stride 1, edges mirrored by one pixel, plus bias; `name` is a tap before the ReLU."""

    name: str
    channels: int


@dataclass(frozen=True)
class Relu:
    """max(0, x); `name` is a tap after the ReLU."""

    name: str


@dataclass(frozen=True)
class AveragePool:
    """Mean over 2x2 squares, stride 2; an odd last row or column is dropped."""

    name: str


Layer = Convolution | Relu | AveragePool


@dataclass(frozen=True, eq=False)
class Encoder:
    """A convolutional network whose activations describe a picture.

    Compared and hashed by identity, so that compiled functions can be kept per encoder.

    Attributes:
        name: its name in settings and tables.
        layers: applied in turn to sRGB pixels in [0, 1].
        weights: float32; `<convolution>.weight` (3, 3, in, out) and `<convolution>.bias` (out,).
        fingerprint: SHA-256 over topology and weights; equal fingerprints, equal activations.
    """

    name: str
    layers: tuple[Layer, ...]
    weights: Mapping[str, NDArray[np.float32]]
    fingerprint: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "fingerprint", _fingerprint(self.layers, self.weights))

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Every tap, from the pixels inward."""
        return tuple(layer.name for layer in self.layers)

    def check_taps(self, names: Iterable[str]) -> None:
        """Raise ValueError with the nearest right name where the encoder lacks a layer."""
        for name in names:
            if name not in self.layer_names:
                near = get_close_matches(name, self.layer_names, n=1, cutoff=0.3)
                hint = f"; did you mean {near[0]!r}?" if near else "."
                raise ValueError(
                    f"encoder {self.name!r} has no layer {name!r}{hint} "
                    f"It has {', '.join(self.layer_names)}."
                )

    def channels(self, tap: str) -> int:
        """How many channels the activations of a layer have."""
        self.check_taps([tap])
        channels = 0
        for layer in self.layers:
            channels = layer.channels if isinstance(layer, Convolution) else channels
            if layer.name == tap:
                break
        return channels

    def smallest_side(self, taps: Iterable[str]) -> int:
        """How many pixels a side must have for these layers: two positions of the deepest.

        With fewer there is nothing beside the edge that could be mirrored.
        """
        wanted = set(taps)
        self.check_taps(wanted)
        pools = 0
        deepest = 0
        for layer in self.layers:
            pools += isinstance(layer, AveragePool)
            deepest = pools if layer.name in wanted else deepest
        return int(2 * 2**deepest)


def _fingerprint(layers: tuple[Layer, ...], weights: Mapping[str, NDArray[np.float32]]) -> str:
    digest = hashlib.sha256()
    topology = [[type(layer).__name__, *vars(layer).values()] for layer in layers]
    digest.update(json.dumps(topology).encode())
    for name in sorted(weights):
        digest.update(f"{name}{weights[name].shape}".encode())
        digest.update(np.ascontiguousarray(weights[name], dtype="<f4").tobytes())
    return digest.hexdigest()
