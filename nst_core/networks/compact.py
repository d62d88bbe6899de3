"""The compact encoder: a dictionary learned without labels, shipped with the package.

It is learned by `tools/learn_compact.py` (spherical k-means on whitened patches, layer by layer;
Coates & Ng, "Learning Feature Representations with K-means", 2012), each unit scaled to a mean
activation of 1 as Gatys et al. normalized VGG. `compact.data-card.md` beside the weights has the
sources and the procedure, docs/compact-encoder.md what was tried.
"""

from importlib import resources

import numpy as np
import safetensors.numpy

from nst_core.networks.encoder import AveragePool, Convolution, Encoder, Layer, Relu

BLOCKS = ((32, 64), (96, 128), (192, 256), (384,))


def layers() -> tuple[Layer, ...]:
    """Blocks of convolutions and ReLUs with average pooling between them."""
    table: list[Layer] = []
    for block, widths in enumerate(BLOCKS, start=1):
        for position, channels in enumerate(widths, start=1):
            table += [
                Convolution(f"conv{block}_{position}", channels),
                Relu(f"relu{block}_{position}"),
            ]
        if block < len(BLOCKS):
            table.append(AveragePool(f"pool{block}"))
    return tuple(table)


def load() -> Encoder:
    """The encoder with the weights that ship in the package (kept in half precision)."""
    shipped = resources.files("nst_core.networks").joinpath("compact.safetensors").read_bytes()
    weights = safetensors.numpy.load(shipped)
    return Encoder(
        name="compact",
        layers=layers(),
        weights={name: array.astype(np.float32) for name, array in weights.items()},
    )
