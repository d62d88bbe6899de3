"""The convolutions among the arrays of a file, and our names for them."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nst_core.networks.weight_files.weight_file import WeightsError

Stored = Mapping[str, Callable[[], NDArray[Any]]]
"""The path of an array in its file, such as `block1_conv1/kernel:0` -> a function that loads it."""

_LEAF = re.compile(r"(?:(?P<layer>.+)[._])?(?P<part>W|kernel|weight|b|bias)(?:_\d+)?(?::0)?")
_PARTS = {"W": "weight", "kernel": "weight", "weight": "weight", "b": "bias", "bias": "bias"}


def our_name(where: str) -> str | None:
    """Translate `vgg16/block1_conv2/kernel:0` to `conv1_2.weight`; None for anything else."""
    *groups, leaf = where.split("/")
    found = _LEAF.fullmatch(leaf)
    if not found:
        return None
    layers = [layer for layer in map(_our_layer, [*groups, found["layer"] or ""]) if layer]
    return f"{layers[-1]}.{_PARTS[found['part']]}" if layers else None


def _our_layer(name: str) -> str | None:
    """Return our name, without the number that Keras 1 and 2 append to repeated names."""
    found = re.fullmatch(r"block(\d+)_conv(\d+)(?:_\d+)?", name)
    if found:
        return f"conv{found[1]}_{found[2]}"
    return name if re.fullmatch(r"conv\d+(_\d+)?", name) else None


def convolutions_in(path: Path, stored: Stored) -> dict[str, NDArray[Any]]:
    """Read the arrays of all convolutions in a file, in the order of layers.

    Args:
        path: the file, for messages.
        stored: all arrays of the file.

    Returns:
        `conv1_1.weight`, `conv1_1.bias` ..., with their type in the file.

    Raises:
        WeightsError: there are none, or one occurs twice, or one contains no numbers.
    """
    places: dict[str, str] = {}
    for where in stored:
        name = our_name(where)
        if name in places:
            raise WeightsError(
                f"{path}: both {places[name]!r} and {where!r} could be {name}. Save the network "
                "that you want in a file of its own."
            )
        if name:
            places[name] = where
    if not places:
        some = ", ".join(map(repr, list(stored)[:5])) or "no arrays at all"
        raise WeightsError(
            f"{path}: it has no convolutions with known names (block1_conv1, conv1_1, conv1 ...); "
            f"found {some}. Expected weights of VGG or AlexNet."
        )
    return {
        name: _numbers(path, name, stored[places[name]]) for name in sorted(places, key=layer_order)
    }


def _numbers(path: Path, name: str, load: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    array = np.asarray(load())
    if array.dtype.kind not in "fiub":
        raise WeightsError(f"{path}: {name} has the type {array.dtype}, expected float32.")
    return array


def layer_order(name: str) -> tuple[list[int], bool]:
    """Return a sort key: by the numbers in a name, with weights before biases."""
    return [int(number) for number in re.findall(r"\d+", name)], name.endswith("bias")
