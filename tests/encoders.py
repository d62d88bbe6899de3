"""Tiny encoders for tests."""

import numpy as np

from nst_core.networks.encoder import AveragePool, Convolution, Encoder, Relu

LAYERS = (
    Convolution("conv1_1", 4),
    Relu("relu1_1"),
    AveragePool("pool1"),
    Convolution("conv2_1", 6),
    Relu("relu2_1"),
)


def tiny_encoder(seed: int = 0) -> Encoder:
    """Two convolutions with random weights."""
    draw = np.random.default_rng(seed)
    weights = {}
    channels = 3
    for layer in LAYERS:
        if isinstance(layer, Convolution):
            shape = (3, 3, channels, layer.channels)
            weights[f"{layer.name}.weight"] = draw.normal(0, 0.4, shape).astype(np.float32)
            weights[f"{layer.name}.bias"] = draw.normal(0, 0.2, shape[3]).astype(np.float32)
            channels = layer.channels
    return Encoder(name="tiny", layers=LAYERS, weights=weights)


def random_pixels(height: int, width: int, seed: int = 0) -> np.ndarray:
    """sRGB in [0, 1], float32."""
    return np.random.default_rng(seed).uniform(0, 1, (height, width, 3)).astype(np.float32)
