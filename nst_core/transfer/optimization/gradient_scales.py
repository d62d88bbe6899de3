"""Scales of the loss terms by their gradients, so that weights mean the same with all losses."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nst_core.images.pixels import Pixels
from nst_core.quiet_tensorflow import tf
from nst_core.transfer.losses.loss_weights import LossWeights
from nst_core.transfer.optimization.compiled import Compiled

STEP = 0.05
"""How far the content moves toward the style before gradients are measured: the root mean square of
the change of its pixels, which lie between 0 and 1."""

UNIT = "style"
"""The term whose scale is 1."""

SHARES = {"content": 0.4, "tv": 0.01, "temporal": 0.015}
"""The size of each scaled term's gradient as a share of that of the style loss; 1 for other terms.

Measured with the default losses on the sample pictures, where 0.3 to 1.3 and 0.006 to 0.05 were
found, and on the sample moving picture, where 0.010 to 0.022 were, so that the default weights mean
about the same with scales as without.
"""


def with_scales(
    compiled: Compiled, content: Pixels, targets: Any, weights: LossWeights
) -> LossWeights:
    """Return weights with scales, by which the sizes of all gradients are as in `SHARES`.

    At the content itself, the content loss has no gradient. All gradients are therefore measured
    at the content after one step of steepest descent on the style loss, of length `STEP`. This
    depends on the two pictures and the losses alone: neither on the weights, nor on the picture
    that the optimization starts from.

    The size of a gradient is its root mean square. A term without a gradient keeps the scale 1.

    Args:
        compiled: the functions of the octave.
        content: sRGB in [0, 1], at the octave's height and width, as it is optimized.
        targets: those of the octave.
        weights: without scales.
    """

    def gradient_of(term: str, pixels: Pixels) -> NDArray[np.float32]:
        found = compiled.gradient(tf.constant(pixels), targets, weights.alone(term))
        return np.asarray(found)

    style = gradient_of(UNIT, content)
    moved = content - np.float32(STEP / (size_of(style) or 1)) * style
    sizes = {term: size_of(gradient_of(term, moved)) for term in weights.terms}
    return weights._replace(scales=_scales(sizes))


def size_of(gradient: NDArray[np.float32]) -> float:
    """Return the root mean square of a gradient."""
    return float(np.sqrt(np.mean(np.square(gradient, dtype=np.float64))))


def _scales(sizes: Mapping[str, float]) -> dict[str, Any]:
    unit = sizes[UNIT]
    usable = {
        term for term, size in sizes.items() if all(0 < found < np.inf for found in (size, unit))
    }
    return {
        term: tf.constant(_scale(term, unit, sizes[term]) if term in usable else 1.0, tf.float32)
        for term in sizes
    }


def _scale(term: str, unit: float, size: float) -> float:
    return 1.0 if term == UNIT else SHARES.get(term, 1.0) * unit / size
