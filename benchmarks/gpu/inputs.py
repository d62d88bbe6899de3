"""What an exported folder holds, and the arrays that its programs take; NumPy only.

`export.py` writes the folder on a machine with TensorFlow; `programs.py` and `peer.py` read it on
a machine with a GPU, which need not have TensorFlow.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SEED = 19
"""The seed of random weights, which stand for VGG-19's where only time and memory matter."""

MEMORY = 10
"""How many moves L-BFGS remembers."""


@dataclass(frozen=True)
class Program:
    """One exported program.

    Attributes:
        name: unique in the folder, and the name of its result.
        kind: `step` (the loss and its gradient) or `descent` (many steps of L-BFGS).
        text: the file with its StableHLO.
        network: the name of a network in the folder.
        side: height and width of the picture, in pixels.
        batch: how many pictures one call takes.
        precision: `float32`, `tf32` (the same text, with lower precision allowed) or `bfloat16`.
        variant: `plain`, or `rematerialized` where activations are computed again.
        parameters: what each parameter is, in order.
        constants: the values of those parameters that are single numbers.
    """

    name: str
    kind: str
    text: str
    network: str
    side: int
    batch: int
    precision: str
    variant: str
    parameters: tuple[str, ...]
    constants: Mapping[str, float]


def programs_in(folder: Path) -> list[Program]:
    """Return the programs of a folder, the most important first."""
    listed = json.loads((folder / "programs.json").read_text())["programs"]
    return [Program(**one | {"parameters": tuple(one["parameters"])}) for one in listed]


def network_in(folder: Path, name: str) -> dict[str, Any]:
    """Return a network's layers, preprocessing, and layers with targets, as JSON has them."""
    found: dict[str, Any] = json.loads((folder / "programs.json").read_text())["networks"][name]
    return found


@cache
def weights_in(folder: Path, name: str) -> dict[str, Array]:
    """Return a network's weights, float32, by name; random ones if the folder has none."""
    path = folder / f"{name}.npz"
    if path.exists():
        with np.load(path) as stored:
            return dict(stored)
    return random_weights(network_in(folder, name)["shapes"])


def random_weights(shapes: Mapping[str, list[int]]) -> dict[str, Array]:
    """Return weights that keep the variance of activations (He et al. 2015), and no biases."""
    draw = np.random.default_rng(SEED)
    found = {}
    for name, shape in shapes.items():
        fan_in = np.prod(shape[:-1])
        scale = np.sqrt(2 / fan_in) if name.endswith(".weight") else 0
        found[name] = (draw.standard_normal(shape) * scale).astype(np.float32)
    return found


def picture(folder: Path, name: str, side: int) -> Array:
    """Return a square picture in [0, 1], float32 (side, side, 3): means over blocks of pixels."""
    with np.load(folder / "pictures.npz") as stored:
        levels = stored[name]
    if side > len(levels):
        levels = levels.repeat(side // len(levels), axis=0).repeat(side // len(levels), axis=1)
    block = len(levels) // side
    blocks = levels.reshape(side, block, side, block, 3).astype(np.float64) / 255
    return blocks.mean(axis=(1, 3)).astype(np.float32)


def arguments(
    program: Program, folder: Path, targets: Mapping[str, Array], start: Array, steps: int
) -> list[Array]:
    """Return the arrays that a program takes, in order.

    Args:
        program: the program.
        folder: the exported folder.
        targets: `content/LAYER`, `grams/LAYER` and `centers/LAYER` of one picture and style.
        start: the picture, float32 (side, side, 3).
        steps: how many steps a descent takes.
    """
    weights = weights_in(folder, program.network)
    special = {"pixels": start, "steps": np.int32(steps), "step_size": np.float32(0.05)}

    def value(name: str) -> Array:
        if name in program.constants:
            return np.asarray(program.constants[name], np.float32)
        if name in special:
            found = np.asarray(special[name])
        elif name in weights:
            return weights[name]
        else:
            found = targets[name]
        per_picture = name == "pixels" or name.startswith("content/")
        if program.batch > 1 and per_picture:
            return np.repeat(found[np.newaxis], program.batch, axis=0)
        return found

    return [value(name) for name in program.parameters]
