"""Gradients of the program against central differences of an independent computation."""

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from nst_core.networks.encoder import Encoder
from nst_core.transfer.losses.loss_weights import loss_weights
from nst_core.transfer.losses.losses import LossTerms, Targets, loss_terms
from nst_core.transfer.settings import Settings

Array = NDArray[np.float64]

STEP = 1e-5


def check_slopes(
    value: Callable[[Array], float], at: Array, gradient: Array, *, rel: float, seed: int = 0
) -> None:
    """Check a gradient of float32 arithmetic along a few directions, by a function in float64.

    Args:
        value: the function.
        at: the point.
        gradient: that of the function at the point, in its shape.
        rel: by how much slopes may differ, as a share of each.
        seed: of the directions.
    """
    assert gradient.shape == at.shape
    along = gradient / np.linalg.norm(gradient)
    draw = np.random.default_rng(seed)
    for _ in range(4):
        direction = draw.normal(size=at.shape)
        # The gradient's share makes the slope larger than the error of rounding.
        direction = direction / np.linalg.norm(direction) + along
        ahead, behind = (value(at + step * direction) for step in (STEP, -STEP))
        slope = (ahead - behind) / (2 * STEP)
        assert (gradient * direction).sum() == pytest.approx(slope, rel=rel)


def loss_and_gradient(
    encoder: Encoder, at: Array, targets: Targets, settings: Settings, *, rematerialize: bool
) -> tuple[LossTerms, Array]:
    """Return the losses of pixels, and the gradient of their sum, from one compiled function."""

    @tf.function(autograph=False)
    def evaluated(pixels: tf.Tensor) -> tuple[LossTerms, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(pixels)
            terms = loss_terms(
                *(encoder, settings.normalization, pixels, targets, loss_weights(settings)),
                rematerialize=rematerialize,
            )
        return terms, tape.gradient(terms.total, pixels)

    terms, gradient = evaluated(tf.constant(at))
    return terms, gradient.numpy()
