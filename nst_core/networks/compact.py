"""The compact encoder: a dictionary learned without labels, shipped with the package.

`tools/learn_compact.py` learns it (spherical k-means on whitened patches, layer by layer; Coates &
Ng, "Learning Feature Representations with K-means", 2012). Each unit is scaled to a mean activation
of 1, as Gatys et al. normalized VGG. `compact.data-card.md`, next to the weights, lists the sources
and the procedure; docs/compact-encoder.md describes what was tried.
"""

from nst_core.networks.catalogue import Network
from nst_core.networks.topology import Convolution, Layer, Pool, Relu, Topology

BLOCKS = ((32, 64), (96, 128), (192, 256), (384,))


def layers() -> tuple[Layer, ...]:
    """Return blocks of convolutions and ReLUs, with average pooling between them."""
    table: list[Layer] = []
    for block, widths in enumerate(BLOCKS, start=1):
        for position, channels in enumerate(widths, start=1):
            table += [
                # Zero padding would look like a frame to the network, and no style picture has one.
                Convolution(f"conv{block}_{position}", channels, edges="mirrored"),
                Relu(f"relu{block}_{position}"),
            ]
        if block < len(BLOCKS):
            table.append(Pool(f"pool{block}", "average"))
    return tuple(table)


NETWORK = Network(
    topology=Topology("compact", layers()),
    content_layers="relu3_2",
    style_layers="relu1_1 relu1_2 relu2_1 relu2_2 relu3_1 relu3_2 relu4_1",
    is_shipped=True,
)
