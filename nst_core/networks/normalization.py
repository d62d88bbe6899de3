"""Scale each filter to a mean activation of 1, as Gatys et al. normalized VGG (2016, section 2).

In a network of convolutions, ReLUs and pooling, units can be scaled without changing what the
network computes, because each layer undoes the scaling of the layer before it.
"""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from nst_core.networks.encoder import Encoder, Weights
from nst_core.networks.forward import activations
from nst_core.networks.topology import Convolution, LocalResponseNormalization, Topology
from nst_core.quiet_tensorflow import tf

Means = Mapping[str, NDArray[np.float64]]
"""Each filter's mean activation after the ReLU, by convolution: float64 (channels,)."""


def check_can_be_normalized(topology: Topology) -> None:
    """Raise ValueError if the layers after a scaled layer could not undo the scaling."""
    if any(isinstance(layer, LocalResponseNormalization) for layer in topology.layers):
        raise ValueError(
            f"{topology.name} cannot be normalized: its local response normalization does not "
            "scale with its input; expected one of the VGG networks"
        )


def mean_activations(encoder: Encoder, pictures: Iterable[NDArray[np.float32]]) -> Means:
    """Return the mean of each filter after its ReLU, over all positions of all pictures.

    Args:
        encoder: an encoder whose weights are not normalized yet.
        pictures: sRGB in [0, 1], float32, (height, width, 3), each of any size.

    Raises:
        ValueError: there are no pictures, or the network cannot be normalized.
    """
    check_can_be_normalized(encoder.topology)
    relus = _relu_after(encoder.topology)
    seen = tf.function(
        lambda pixels: activations(encoder, pixels, relus.values()),
        input_signature=[tf.TensorSpec([None, None, 3], tf.float32)],
    )
    sums = {name: np.zeros(encoder.topology.channels(name)) for name in relus}
    counts = dict.fromkeys(relus, 0)
    for pixels in pictures:
        found = seen(tf.constant(pixels))
        for name, relu in relus.items():
            features = found[relu].numpy()
            sums[name] += features.sum(axis=(0, 1), dtype=np.float64)
            counts[name] += features.shape[0] * features.shape[1]
    if not all(counts.values()):
        raise ValueError("found no pictures to compute the mean activations from")
    return {name: total / counts[name] for name, total in sums.items()}


def _relu_after(topology: Topology) -> dict[str, str]:
    """Return, for each convolution, the name of the layer after it, which is its ReLU."""
    pairs = zip(topology.layers, topology.layers[1:], strict=False)
    return {layer.name: after.name for layer, after in pairs if isinstance(layer, Convolution)}


def rare_filters(means: Means, share: float = 0.01) -> int:
    """Count the filters that are hardly ever active, and would outweigh all others if scaled.

    Args:
        means: the result of `mean_activations`.
        share: a filter is counted if its mean activation is below this share of its layer's median.
    """
    return sum(int((mean < share * np.median(mean)).sum()) for mean in means.values())


def normalized(topology: Topology, weights: Weights, means: Means) -> Weights:
    """Return weights that give each filter a mean activation of 1 on the pictures of the means.

    Filters that are never active are not scaled.

    Args:
        topology: the topology of the network.
        weights: the weights that the means were computed with.
        means: the result of `mean_activations`.
    """
    scaled: dict[str, NDArray[np.float32]] = {}
    before = np.ones(3)
    for layer in topology.convolutions:
        mean = np.where(means[layer.name] > 0, means[layer.name], 1.0)
        weight, bias = weights[f"{layer.name}.weight"], weights[f"{layer.name}.bias"]
        scaled[f"{layer.name}.weight"] = (weight * before[:, None] / mean).astype(np.float32)
        scaled[f"{layer.name}.bias"] = (bias / mean).astype(np.float32)
        before = mean
    return scaled
