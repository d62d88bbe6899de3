"""The terms of the loss: their names and weights, which follow from `Settings`, and their values.

This module loads no TensorFlow; `losses` computes the terms.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from nst_core.transfer.settings import Settings

LOSS_TERMS: tuple[str, ...] = tuple(
    name.removesuffix("_weight") for name in Settings.model_fields if name.endswith("_weight")
)
"""The names of the terms, in the order in which they are added up, stored and shown."""

FIRST_TERMS = ("content", "style", "tv")
"""The terms of version 0.1.0, which are in all keys, records, loss curves and tables; a file of an
earlier version may lack any other term."""

FRAME_TERMS = ("temporal",)
"""The terms of frames that follow another one (`frames`). No other picture has such a loss."""


def terms_of(*, is_frame: bool) -> tuple[str, ...]:
    """Return the names of the terms that a picture has.

    Args:
        is_frame: whether it follows another frame and is compared with it.
    """
    return tuple(term for term in LOSS_TERMS if is_frame or term not in FRAME_TERMS)


def weight_name(term: str) -> str:
    """Return the name of a term's weight in settings and tables, such as `tv_weight`."""
    return f"{term}_weight"


def loss_name(term: str) -> str:
    """Return the name of a term's loss in records, loss curves and tables, such as `tv_loss`."""
    return f"{term}_loss"


def term_weights(settings: Settings) -> dict[str, float]:
    """Return the weight of each term, by its name."""
    return {term: getattr(settings, weight_name(term)) for term in LOSS_TERMS}


def weights_at_strength(weights: Mapping[str, float], strength: float) -> dict[str, float]:
    """Return weights by term, with those of all terms but the content multiplied by a strength."""
    return {
        term: weight if term == "content" else weight * strength for term, weight in weights.items()
    }


@dataclass(frozen=True)
class Losses:
    """The losses of one picture.

    Attributes:
        total: the sum of the terms, each times its weight.
        terms: the terms before their weights, by the names in `LOSS_TERMS`, without those that
            the picture does not have.
        style_layers: relative losses by layer name.
    """

    total: float
    terms: Mapping[str, float]
    style_layers: dict[str, float]

    @property
    def content(self) -> float:
        """The content loss, before its weight."""
        return self.terms["content"]

    @property
    def style(self) -> float:
        """The style loss, before its weight."""
        return self.terms["style"]

    @property
    def tv(self) -> float:
        """The total variation loss, before its weight."""
        return self.terms["tv"]
