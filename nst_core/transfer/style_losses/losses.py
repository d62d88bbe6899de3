"""All style losses but that of Gram matrices, by name."""

from collections.abc import Mapping
from typing import Any

from nst_core.networks.encoder import Encoder
from nst_core.networks.forward import activations
from nst_core.quiet_tensorflow import tf
from nst_core.transfer.style_losses.histogram import HISTOGRAM
from nst_core.transfer.style_losses.moments import MOMENTS
from nst_core.transfer.style_losses.neighbors import NEIGHBORS
from nst_core.transfer.style_losses.shifted_gram import SHIFTED_GRAM
from nst_core.transfer.style_losses.sliced import SLICED
from nst_core.transfer.style_losses.style_loss import StyleLoss
from nst_core.transfer.style_losses.wasserstein import WASSERSTEIN

STYLE_LOSSES: Mapping[str, StyleLoss] = {
    "moments": MOMENTS,
    "wasserstein": WASSERSTEIN,
    "shifted-gram": SHIFTED_GRAM,
    "sliced": SLICED,
    "histogram": HISTOGRAM,
    "neighbors": NEIGHBORS,
}
"""The style losses besides `gram`, whose formula is that of the convention."""


Targets = Mapping[str, Mapping[str, Mapping[str, tf.Tensor]]]
"""The targets of style losses, by loss, layer and name."""


def is_renewed(targets: Targets) -> bool:
    """Return whether any of these losses has targets that are renewed every few steps."""
    return any(STYLE_LOSSES[name].renewed for name in targets)


def renewed(
    encoder: Encoder, pixels: tf.Tensor, targets: Targets, weights: Mapping[str, tf.Tensor]
) -> Targets:
    """Return targets with what depends on the picture and stays the same for a few steps.

    Args:
        encoder: the feature network.
        pixels: sRGB in [0, 1], float32, (height, width, 3).
        targets: those of the style.
        weights: of the style layers.
    """
    result: dict[str, Any] = {**targets}
    for name, of_style in targets.items():
        loss = STYLE_LOSSES[name]
        if loss.renewed:
            features = activations(encoder, pixels, of_style)
            statistics = {
                layer: loss.statistic(features[layer], target) for layer, target in of_style.items()
            }
            result[name] = loss.renewed(statistics, of_style, weights)
    return result
