"""VGG-16 and VGG-19 up to their last convolution (Simonyan & Zisserman 2015, columns D and E).

With the weights that Keras publishes, activations after the ReLU equal those of Keras' models.
Gatys et al. used VGG-19 with each filter scaled to a mean activation of 1 (2016, section 2). This
is `vgg19-normalized`, which `nst_core.networks.normalization` makes from plain weights.
"""

from dataclasses import replace

from nst_core.networks.catalogue import Network, PublishedFile
from nst_core.networks.topology import CAFFE, Convolution, Layer, Pool, Relu, Topology

CONVOLUTIONS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
CHANNELS = (64, 128, 256, 512, 512)
KERAS = "https://storage.googleapis.com/tensorflow/keras-applications"

# The checksums and sizes are those of Keras 3, in keras/src/applications.
PUBLISHED = {
    "vgg16": PublishedFile(
        url=f"{KERAS}/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        md5="6d6bbae143d832006294945121d1f1fc",
        size=58_889_256,
    ),
    "vgg19": PublishedFile(
        url=f"{KERAS}/vgg19/vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
        md5="253f8cb515780f3b799900260a226db6",
        size=80_134_624,
    ),
}


def topology(name: str) -> Topology:
    """Return blocks of convolutions and ReLUs, with max pooling between them."""
    table: list[Layer] = []
    blocks = zip(CONVOLUTIONS[name], CHANNELS, strict=True)
    for block, (count, channels) in enumerate(blocks, start=1):
        for position in range(1, count + 1):
            table += [
                Convolution(f"conv{block}_{position}", channels),
                Relu(f"relu{block}_{position}"),
            ]
        table.append(Pool(f"pool{block}", "max"))
    return Topology(name, tuple(table), CAFFE)


def plain(name: str) -> Network:
    """Return the network with the weights that its authors trained, which Keras publishes."""
    published = PUBLISHED[name]
    return Network(
        topology=topology(name),
        content_layers="relu4_2",
        style_layers="relu1_1 relu2_1 relu3_1 relu4_1 relu5_1",
        file_names=(
            *(f"{name}{suffix}" for suffix in (".safetensors", ".weights.h5", ".keras", ".h5")),
            published.name,
            published.name.replace("_notop", ""),
            *(f"{name}.npz", f"{name}_weights.npz"),
        ),
        published=published,
    )


def normalized(name: str) -> Network:
    """Return the network with the weights that `nst-batch weights normalize` makes."""
    called = f"{name}-normalized"
    return replace(
        plain(name),
        topology=replace(topology(name), name=called),
        file_names=tuple(
            f"{called}{suffix}" for suffix in (".safetensors", ".weights.h5", ".keras", ".h5")
        ),
        published=None,
        advice=f"create them from the plain weights: nst-batch weights normalize {name} PICTURES, "
        "where PICTURES is a folder of a few dozen photographs",
    )


NETWORKS = (plain("vgg16"), plain("vgg19"), normalized("vgg16"), normalized("vgg19"))
