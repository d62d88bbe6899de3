"""The values that a setting or an option may have, in words, from its JSON schema."""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic_core import ErrorDetails

SWITCH = "expected true or false (or yes or no, on or off, 1 or 0)"


def counted(count: int, noun: str) -> str:
    """Return a number of things, such as `1 row` or `2 rows`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def counted_were(count: int, noun: str) -> str:
    """Return a number of things and the verb that fits, such as `1 row was` or `2 rows were`."""
    return f"{counted(count, noun)} {'was' if count == 1 else 'were'}"


def plain_schema(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of a field without null, which an optional field may be, too."""
    kinds = schema.get("anyOf", [schema])
    return next(kind for kind in kinds if kind.get("type") != "null")


def allowed(schema: Mapping[str, Any]) -> str:
    """Return the values that a field may have, such as `whole number from 16 to 8192`."""
    schema = plain_schema(schema)
    if "allowed" in schema:
        return str(schema["allowed"])
    if "enum" in schema:
        return one_of(schema["enum"])
    kind = schema.get("type")
    if kind == "boolean":
        return "true or false"
    if kind in ("integer", "number"):
        return _number(schema)
    return "path" if schema.get("format") == "path" else "text"


def one_of(values: Sequence[object]) -> str:
    """Return values as a choice, such as `'a', 'b' or 'c'`."""
    *first, last = map(repr, values)
    return f"{', '.join(first)} or {last}" if first else last


def _number(schema: Mapping[str, Any]) -> str:
    text = "whole number" if schema["type"] == "integer" else "number"
    if "multipleOf" in schema:
        text = f"multiple of {schema['multipleOf']}"
    words = {
        "minimum": " from" if "maximum" in schema else ", at least",
        "exclusiveMinimum": " above",
        "maximum": " to" if "minimum" in schema else ", at most",
        "exclusiveMaximum": ", below",
    }
    return text + "".join(
        f"{word} {schema[key]:.10g}" for key, word in words.items() if key in schema
    )


def expected_by(fault: ErrorDetails, schema: Mapping[str, Any]) -> str:
    """Return what a field expects, as a clause in our words, from an error of pydantic's.

    Args:
        fault: the error.
        schema: the JSON schema of the field.
    """
    if fault["type"] in ("value_error", "assertion_error"):
        # This is a message of ours.
        return fault["msg"].split(", ", 1)[1]
    schema = plain_schema(schema)
    if schema.get("type") == "boolean":
        return SWITCH
    expected = allowed(schema)
    if "enum" in schema and "allowed" not in schema:
        return f"expected {expected}{did_you_mean(str(fault['input']), schema['enum'])}"
    article = "a " if schema.get("type") in ("integer", "number", "string") else ""
    hint = _share_hint(str(fault["input"])) if schema.get("maximum") == 1 else ""
    return f"expected {article if not expected[0].isdigit() else ''}{expected}{hint}"


def _share_hint(typed: str) -> str:
    """Return `; write 0.5` for `50%`, and nothing for other texts."""
    percent = re.fullmatch(r"(\d{1,2}|100)\s?%", typed.strip())
    return f"; write {int(percent[1]) / 100:g}" if percent else ""


def did_you_mean(typed: str, known: Sequence[str]) -> str:
    """Return `; did you mean ...?` with the known word that is most like a typed one, if any is."""
    near = nearest(typed, known)
    return f"; did you mean {near!r}?" if near else ""


def nearest(typed: str, known: Sequence[str]) -> str:
    """Return the known word that is most like a typed one; empty if none is much like it."""
    by_case = {word.lower(): word for word in known}
    near = get_close_matches(typed.strip().lower(), by_case, n=1, cutoff=0.66)
    if not near and len(typed) > 2:
        near = [word for word in by_case if word.startswith(typed.strip().lower())][:1]
    return by_case[near[0]] if near else ""
