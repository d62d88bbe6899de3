"""Tiny encoders for tests."""

import numpy as np

from nst_core.networks.encoder import Encoder
from nst_core.networks.topology import Convolution, Pool, Relu, Topology

LAYERS = (
    Convolution("conv1_1", 4, edges="mirrored"),
    Relu("relu1_1"),
    Pool("pool1", "average"),
    Convolution("conv2_1", 6, edges="mirrored"),
    Relu("relu2_1"),
)
TINY = Topology("tiny", LAYERS)


def random_encoder(topology: Topology, seed: int = 0) -> Encoder:
    """Return an encoder whose random weights keep activations at about the same scale."""
    draw = np.random.default_rng(seed)
    weights = {}
    for name, shape in topology.weight_shapes.items():
        inputs = int(np.prod(shape[:-1])) if len(shape) > 1 else 25
        weights[name] = draw.normal(0, (2 / inputs) ** 0.5, shape).astype(np.float32)
    return Encoder(topology, weights)


def tiny_encoder(seed: int = 0) -> Encoder:
    """Return an encoder of two convolutions with random weights."""
    return random_encoder(TINY, seed)


def random_pixels(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Return random sRGB values in [0, 1] (height, width, 3), as float32."""
    return np.random.default_rng(seed).uniform(0, 1, (height, width, 3)).astype(np.float32)
