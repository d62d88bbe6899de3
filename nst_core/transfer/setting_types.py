"""Types of settings: numbers and weights in one canonical form, and weights of layers."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

SMALLEST_WEIGHT, LARGEST_WEIGHT = 1e-15, 1e15
"""Limits of nonzero weights of losses and layers, because weighted losses are summed in float32."""

_RANGE = f"0, or a number from {SMALLEST_WEIGHT:g} to {LARGEST_WEIGHT:g}".replace("e+", "e")


def parse_layer_weights(text: str) -> dict[str, float]:
    """Parse `relu1_1:1 relu2_1:0.5` to layer name -> weight; a name alone has weight 1.

    Raises:
        ValueError: no layer, a layer named twice, or a weight that is not a number or out of range.
    """
    weights: dict[str, float] = {}
    for item in text.replace(",", " ").split():
        name, _, weight = item.partition(":")
        if not name:
            raise ValueError(f"{item!r} names no layer (expected, for example, relu1_1:0.5)")
        if name in weights:
            raise ValueError(f"layer {name!r} is named twice")
        try:
            weights[name] = float(weight or 1)
        except ValueError:
            raise ValueError(
                f"{weight!r} is not a number (expected, for example, {name}:0.5)"
            ) from None
    if not weights:
        raise ValueError("expected layers such as 'relu3_2' or 'relu1_1:1 relu2_1:0.5'")
    if not all(map(_is_weight, weights.values())) or not any(weights.values()):
        raise ValueError(f"layer weights must be {_RANGE}, and at least one must be above 0")
    return {name: _plain_zero(weight) for name, weight in weights.items()}


def _is_weight(weight: float) -> bool:
    return weight == 0 or SMALLEST_WEIGHT <= weight <= LARGEST_WEIGHT


def _plain_zero(number: float) -> float:
    """Turn -0 into 0, so that a row has the same key however it is written."""
    return number + 0.0


def _weight(number: float) -> float:
    if not _is_weight(number):
        raise ValueError(f"expected {_RANGE}")
    return _plain_zero(number)


def _canonical_layer_weights(text: str) -> str:
    return " ".join(f"{name}:{weight:.12g}" for name, weight in parse_layer_weights(text).items())


LayerWeights = Annotated[str, AfterValidator(_canonical_layer_weights)]
Number = Annotated[float, AfterValidator(_plain_zero)]
Weight = Annotated[
    float,
    AfterValidator(_weight),
    # JSON Schema cannot express the gap above 0, so `allowed` describes it for the documents.
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": LARGEST_WEIGHT, "allowed": _RANGE}),
]


def sum_to_one(weights: Mapping[str, float]) -> dict[str, float]:
    """Return the same weights divided by their sum."""
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}
