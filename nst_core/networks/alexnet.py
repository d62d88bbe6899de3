"""AlexNet (Krizhevsky et al. 2012) as trained with Caffe (BVLC), up to its last pooling layer.

The weights are those of `bvlc_alexnet.npy` (M. Guerzhoy, University of Toronto).
"""

from nst_core.networks.catalogue import Network
from nst_core.networks.topology import (
    Convolution,
    LocalResponseNormalization,
    Pool,
    Preprocessing,
    Relu,
    Topology,
)

TOPOLOGY = Topology(
    name="alexnet",
    layers=(
        Convolution("conv1", 96, kernel=11, stride=4),
        Relu("relu1"),
        LocalResponseNormalization("lrn1"),
        Pool("pool1", "max", size=3),
        Convolution("conv2", 256, kernel=5, groups=2),
        Relu("relu2"),
        LocalResponseNormalization("lrn2"),
        Pool("pool2", "max", size=3),
        Convolution("conv3", 384),
        Relu("relu3"),
        Convolution("conv4", 384, groups=2),
        Relu("relu4"),
        Convolution("conv5", 256, groups=2),
        Relu("relu5"),
        Pool("pool5", "max", size=3),
    ),
    preprocessing=Preprocessing(order="BGR", scale=255.0, means=(104.0, 117.0, 123.0)),
)

NETWORK = Network(
    topology=TOPOLOGY,
    content_layers="relu4",
    style_layers="relu1 relu2 relu3 relu4 relu5",
    file_names=("alexnet.safetensors", "alexnet.npy", "bvlc_alexnet.npy"),
    advice="get bvlc_alexnet.npy (its authors publish no checksum, so it is not downloaded for "
    "you); use it with --weights, or store it with: nst-batch weights convert bvlc_alexnet.npy",
)
