"""The weights of the loss as tensors, which follow from `Settings`."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from nst_core.quiet_tensorflow import tf
from nst_core.transfer.losses.terms import term_weights, terms_of
from nst_core.transfer.settings import Settings
from nst_core.transfer.style_losses.costs import GRAM

NOTHING: Mapping[str, Any] = {}
"""A dictionary, because TensorFlow cannot take other mappings apart and build them again."""


class LossWeights(NamedTuple):
    """The weights as tensors, so that different weights need no new compilation.

    Attributes:
        terms: of the terms that the picture has, by the names in `LOSS_TERMS`.
        content_layers, style_layers: by layer name.
        style_losses: by the names of style losses; empty if `gram` is the only one.
        scales: factors of the same terms before their weights; empty if the terms are as they are.
    """

    terms: dict[str, tf.Tensor]
    content_layers: dict[str, tf.Tensor]
    style_layers: dict[str, tf.Tensor]
    style_losses: Mapping[str, tf.Tensor] = NOTHING
    scales: Mapping[str, tf.Tensor] = NOTHING

    def alone(self, term: str) -> "LossWeights":
        """Return weights with which the total is this term, as it is."""
        terms = {name: tf.constant(float(name == term)) for name in self.terms}
        return self._replace(terms=terms, scales={})

    @property
    def merged(self) -> "LossWeights":
        """Weights without scales, with which the total is the same."""
        return self._replace(terms=self.scaled(self.terms), scales={})

    def scaled(self, losses: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Return losses, by term, multiplied by the scales."""
        if not self.scales:
            return {**losses}
        return {term: self.scales[term] * loss for term, loss in losses.items()}


def loss_weights(settings: Settings, *, is_frame: bool = False) -> LossWeights:
    """Return the weights of these settings as float32 tensors; `is_frame` as in `terms_of`."""
    style_losses, weights = settings.style_loss_weights, term_weights(settings)
    return LossWeights(
        terms=_as_tensors({term: weights[term] for term in terms_of(is_frame=is_frame)}),
        content_layers=_as_tensors(settings.content_layer_weights),
        style_layers=_as_tensors(settings.style_layer_weights),
        style_losses={} if [*style_losses] == [GRAM] else _as_tensors(style_losses),
    )


def _as_tensors(weights: dict[str, float]) -> dict[str, tf.Tensor]:
    return {name: tf.constant(weight, tf.float32) for name, weight in weights.items()}
