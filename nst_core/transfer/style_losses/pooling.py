"""Targets of several pictures: those of one style, and those of several styles.

* Pictures of one style are samples of the same distributions. They are pooled: the targets describe
  the features of all of them, each picture with the same weight, whatever its size is.
* Several styles are blended: the targets are between theirs. A blend of distributions is not their
  mixture, which would have the structure of one style here and of another there.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nst_core.quiet_tensorflow import tf

Array = NDArray[np.float32]

Samples = Iterable[Mapping[str, tf.Tensor]]
"""Features by layer of each picture of a style, float32 (height, width, channels). It is iterated
several times, and computes the features of one picture after the other, so that only these are in
memory."""

Named = Mapping[str, Array]
"""A target of a style at one layer, by the names of its arrays."""

Shares = Mapping[str, Sequence[float]]
"""The share of each style by layer; they add up to 1."""


def measured(
    samples: Samples, measure: Callable[[str, tf.Tensor], tf.Tensor]
) -> dict[str, list[tf.Tensor]]:
    """Return what is measured of each picture, by layer.

    Args:
        samples: the pictures of a style.
        measure: function of a layer's name and its features.
    """
    found: dict[str, list[tf.Tensor]] = {}
    for features in samples:
        for layer, of_layer in features.items():
            found.setdefault(layer, []).append(measure(layer, of_layer))
    return found


def means(samples: Samples, measure: Callable[[str, tf.Tensor], tf.Tensor]) -> dict[str, tf.Tensor]:
    """Return the mean of what is measured of each picture, by layer; see `measured`."""
    return {layer: tf.add_n(each) / len(each) for layer, each in measured(samples, measure).items()}


def weighted_mean(arrays: Sequence[Array], shares: Sequence[float]) -> Array:
    """Return the weighted mean of arrays of one shape, computed in float64, as float32.

    Args:
        arrays: of any shape.
        shares: their weights, which add up to 1; if one of them is 1, its array is returned as is.
    """
    used = [(array, share) for array, share in zip(arrays, shares, strict=True) if share]
    if len(used) == 1:
        return used[0][0]
    total = sum(np.asarray(array, np.float64) * share for array, share in used)
    return np.asarray(total, np.float32)


def mean_of_each(targets: Sequence[Named], shares: Sequence[float]) -> dict[str, Array]:
    """Return the weighted mean of each array of the targets of several styles at a layer."""
    return {
        name: weighted_mean([target[name] for target in targets], shares) for name in targets[0]
    }


def blended_by_layer(
    blend: Callable[[Sequence[Named], Sequence[float]], Mapping[str, Array]],
    targets: Sequence[Mapping[str, Named]],
    shares: Shares,
) -> dict[str, Mapping[str, Array]]:
    """Blend the targets of several styles layer by layer.

    Args:
        blend: function of the targets of some styles at a layer, and of their shares, none of which
            is 0.
        targets: of each style, by layer.
        shares: of each style, by layer.
    """
    result: dict[str, Mapping[str, Array]] = {}
    for layer in targets[0]:
        of_layer = zip(targets, shares[layer], strict=True)
        used = [(target[layer], share) for target, share in of_layer if share]
        named, weights = zip(*used, strict=True)
        result[layer] = named[0] if len(used) == 1 else blend(named, weights)
    return result
