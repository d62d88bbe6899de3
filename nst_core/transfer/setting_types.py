"""Types of settings: numbers and weights in one canonical form, and weights of layers."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Annotated

from pydantic import (
    AfterValidator,
    PlainSerializer,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)
from pydantic.json_schema import JsonSchemaValue

from nst_core.transfer.style_losses.costs import COSTS

SMALLEST_WEIGHT, LARGEST_WEIGHT = 1e-15, 1e15
"""Limits of nonzero weights of losses and layers, because weighted losses are summed in float32."""

ROTATIONS = (1, 2, 4)
"""Into how many directions a style may be turned: evenly distributed ones, from its own."""

SMALLEST_SIZE, LARGEST_SIZE = 16, 8192
"""Limits of the longest side of a result, in pixels."""

ORIGINAL = "original"
"""The size that stands for the content's own."""

ORIGINAL_SIZE = 0
"""The number that stands for it in settings; nobody can enter it as a number."""

_SIZES = f"{SMALLEST_SIZE} to {LARGEST_SIZE}, or {ORIGINAL}"

_ROTATIONS_TEXT = ", ".join(map(str, ROTATIONS[:-1])) + f" or {ROTATIONS[-1]}"
_RANGE = f"0, or a number from {SMALLEST_WEIGHT:g} to {LARGEST_WEIGHT:g}".replace("e+", "e")


def parse_layer_weights(text: str) -> dict[str, float]:
    """Parse `relu1_1:1 relu2_1:0.5` to layer name -> weight; a name alone has weight 1.

    Raises:
        ValueError: no layer, a layer named twice, or a weight that is not a number or out of range.
    """
    examples = ("relu3_2", "relu1_1:0.5", "relu1_1:1 relu2_1:0.5")
    return {**_parse_weights(text, "layer", examples)}


def parse_style_losses(text: str) -> dict[str, float]:
    """Parse `gram:1 moments:0.5` to style loss -> weight; a name alone has weight 1.

    Returns:
        The losses with a weight above 0, always in the same order.

    Raises:
        ValueError: a loss is unknown, or as in `parse_layer_weights`.
    """
    weights = _parse_weights(text, "style loss", ("gram", "gram:0.5", "gram:1 moments:0.5"))
    if unknown := weights.keys() - COSTS.keys():
        raise ValueError(f"no style loss is called {min(unknown)!r}; expected {', '.join(COSTS)}")
    return {name: weights[name] for name in COSTS if weights.get(name)}


def parse_style_blend(text: str) -> tuple[float, ...]:
    """Parse `1; 3` to the weights of styles, in the order of the styles; an empty text has none.

    Raises:
        ValueError: a weight is not a number or out of range, or all are 0.
    """
    if not text.strip():
        return ()
    weights = []
    for item in text.split(";"):
        try:
            weights.append(float(item))
        except ValueError:
            raise ValueError(
                f"{item.strip()!r} is not a number (expected weights such as '1; 3')"
            ) from None
    if not all(map(_is_weight, weights)) or not any(weights):
        raise ValueError(f"weights of styles must be {_RANGE}, and at least one must be above 0")
    return tuple(map(_plain_zero, weights))


def style_blend_text(weights: Iterable[float]) -> str:
    """Return weights of styles as a text that `parse_style_blend` takes."""
    return "; ".join(f"{weight:.12g}" for weight in weights)


@lru_cache
def _parse_weights(text: str, noun: str, examples: tuple[str, str, str]) -> Mapping[str, float]:
    """Parse names with weights.

    Args:
        text: what the user wrote.
        noun: what the names are called in errors.
        examples: a name, a name with a weight, and two names with weights.
    """
    weights: dict[str, float] = {}
    for item in text.replace(",", " ").split():
        name, _, weight = item.partition(":")
        if not name:
            raise ValueError(f"{item!r} names no {noun} (expected, for example, {examples[1]})")
        if name in weights:
            raise ValueError(f"{noun} {name!r} is named twice")
        try:
            weights[name] = float(weight or 1)
        except ValueError:
            raise ValueError(
                f"{weight!r} is not a number (expected, for example, {name}:0.5)"
            ) from None
    if not weights:
        plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
        raise ValueError(f"expected {plural} such as {examples[0]!r} or {examples[2]!r}")
    if not all(map(_is_weight, weights.values())) or not any(weights.values()):
        raise ValueError(f"{noun} weights must be {_RANGE}, and at least one must be above 0")
    return MappingProxyType({name: _plain_zero(weight) for name, weight in weights.items()})


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
    return _as_text(parse_layer_weights(text))


def _canonical_style_losses(text: str) -> str:
    """Return the losses in one form, so that a row has the same key however they are written."""
    weights = parse_style_losses(text)
    return next(iter(weights)) if len(weights) == 1 else _as_text(weights)


def _canonical_style_blend(text: str) -> str:
    return style_blend_text(parse_style_blend(text))


def _rotations(number: int) -> int:
    if number not in ROTATIONS:
        raise ValueError(f"expected {_ROTATIONS_TEXT}")
    return number


def _size(found: object, as_integer: ValidatorFunctionWrapHandler) -> int:
    if isinstance(found, str) and found.strip().lower() == ORIGINAL:
        return ORIGINAL_SIZE
    pixels: int = as_integer(found)
    if not SMALLEST_SIZE <= pixels <= LARGEST_SIZE:
        raise ValueError(f"expected a whole number from {_SIZES}")
    return pixels


def _written_size(pixels: int | None) -> int | str | None:
    return ORIGINAL if pixels == ORIGINAL_SIZE else pixels


def _as_text(weights: Mapping[str, float]) -> str:
    return " ".join(f"{name}:{weight:.12g}" for name, weight in weights.items())


def one_type(schema: JsonSchemaValue) -> JsonSchemaValue:
    """Return the JSON schema of an optional field without null, as its type or as its default.

    Forms then have one input for it, which may stay empty. They would otherwise ask which of two
    types is meant: that of its values, or null.
    """
    kinds = [kind for kind in schema.get("anyOf", ()) if kind.get("type") != "null"]
    plain = {**kinds[0], **schema} if len(kinds) == 1 else {**schema}
    if len(kinds) == 1:
        del plain["anyOf"]
    if plain.get("default", ...) is None:
        del plain["default"]
    return plain


LayerWeights = Annotated[str, AfterValidator(_canonical_layer_weights)]
StyleLosses = Annotated[str, AfterValidator(_canonical_style_losses)]
StyleBlend = Annotated[str, AfterValidator(_canonical_style_blend)]
Rotations = Annotated[
    int,
    AfterValidator(_rotations),
    WithJsonSchema({"type": "integer", "enum": [*ROTATIONS], "allowed": _ROTATIONS_TEXT}),
]
Size = Annotated[
    int,
    WrapValidator(_size),
    PlainSerializer(_written_size),
    WithJsonSchema(
        # Without a type: Prefect's form fails at a list of types, and would ask which of several
        # schemas is meant. It has an input for JSON instead, and the server accepts both forms.
        {
            "multipleOf": 1,
            "minimum": SMALLEST_SIZE,
            "maximum": LARGEST_SIZE,
            "pattern": f"^{ORIGINAL}$",
            "allowed": f"a whole number from {_SIZES}",
        }
    ),
]
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
