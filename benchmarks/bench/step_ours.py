"""Measure one step of nst-batch, in a process of its own.

    python -m benchmarks.bench.step_ours FOLDER NETWORK SIDE [--seconds 4] [--memory 8]

It uses the compiled functions that a row uses, and prints a line of JSON: seconds per evaluation of
loss and gradient with L-BFGS's own work (`step`), without it (`evaluation`), and of the loss alone
(`forward`); the peak memory; and the rate of matrix products at the same moment. With `--memory`,
it computes the picture in the fastest way whose estimated memory is below this number of GB.
"""

import argparse
import json
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from export import encoder_of, settings_of
from inputs import picture

from benchmarks.bench.measuring import MATRIX_SIDE, matrix_rate, peak_mb, steps_in_call, until
from nst_core.networks.topology import Topology
from nst_core.quiet_tensorflow import tf
from nst_core.transfer.memory import peak_memory
from nst_core.transfer.optimization.optimization import OctaveTask
from nst_core.transfer.settings import Settings
from nst_core.transfer.styles.statistics import style_targets
from nst_core.transfer.tiles.grid import Tiles
from nst_core.transfer.tiles.style import tiled_style_targets

WAYS: dict[str, dict[str, Any]] = {
    "whole": {},
    "rematerialization": {"rematerialize": True},
    "tiles": {"tiles": Tiles()},
}

IMPORTS_GB = 0.8
"""What a process takes besides the estimate."""


def operations(topology: Topology, settings: Settings, side: int) -> float:
    """Return the floating-point operations in the products of one evaluation.

    These are the products of convolutions and Gram matrices, forward and backward. Backward takes
    as many as forward, because only activations have gradients: weights are fixed.
    """
    taps = {*settings.content_layer_weights, *settings.style_layer_weights}
    products = topology.work_per_pixel(taps) * side**2
    shapes = topology.shapes(side, side, settings.style_layer_weights)
    products += sum(
        height * width * topology.channels(layer) ** 2 for layer, (height, width) in shapes.items()
    )
    return 2 * 2 * products


def prepared(folder: Path, network: str, side: int, way: str) -> OctaveTask:
    """Return the task of a square picture at one size."""
    encoder = encoder_of(network, "float32")
    settings = settings_of(network).model_copy(
        update={"size": side, "octaves": 1, "steps": 10_000, "tolerance": 0}
    )
    style = picture(folder, "swirls", side)
    if way == "tiles":  # as rows do it
        targets = tiled_style_targets(encoder, style, settings, Tiles())
    else:
        targets = style_targets(encoder, style, settings)
    content = picture(folder, "astronaut", side)
    return OctaveTask.prepare(encoder, content, targets, settings, 0, (side, side), **WAYS[way])


def way_within(network: str, side: int, gigabytes: float) -> str:
    """Return the fastest way whose process takes less memory, by the estimate that rows use."""
    settings, topology = settings_of(network), encoder_of(network, "float32").topology
    for way, saving in WAYS.items():
        if peak_memory(topology, settings, (side, side), **saving) / 1e9 + IMPORTS_GB < gigabytes:
            return way
    raise SystemExit(f"{network} at {side} pixels does not fit into {gigabytes:g} GB")


def steps(task: OctaveTask, start: Any, seconds: float) -> dict[str, Any]:
    """Return the seconds per evaluation of steps of L-BFGS, and the loss at the start."""
    compiled, targets, weights = task.compiled, task.targets, task.weights
    state = compiled.start(start, targets, weights, tf.constant(task.settings.learning_rate))
    value = float(state.best.value)

    def advance(count: int) -> int:
        nonlocal state
        before = int(state.evaluations)
        state = compiled.advance(state, targets, weights, tf.constant(count))
        return int(state.evaluations) - before

    advance(1)
    count = steps_in_call(seconds, partial(advance, 1))
    return {"value": value, "step": median(until(seconds, partial(advance, count)))}


def parts(task: OctaveTask, start: Any, seconds: float) -> dict[str, float]:
    """Return the seconds of one evaluation alone, and of the loss alone."""

    def evaluate() -> int:
        np.asarray(task.compiled.gradient(start, task.targets, task.weights))
        return 1

    def forward() -> int:
        float(task.compiled.measure(start, task.targets, task.weights).total)
        return 1

    evaluate()
    forward()
    return {
        "evaluation": median(until(seconds, evaluate)),
        "forward": median(until(seconds / 2, forward)),
    }


def main() -> None:
    """Print the line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("network")
    parser.add_argument("side", type=int)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--memory", type=float, default=float("inf"), help="in GB")
    options = parser.parse_args()
    network, side = options.network, options.side
    tf.zeros([]).numpy()
    imports = peak_mb()
    way = way_within(network, side, options.memory)
    task = prepared(options.folder, network, side, way)
    start = np.roll(picture(options.folder, "astronaut", side), 3, axis=1)
    given = start if way == "tiles" else tf.constant(start)
    found = steps(task, given, options.seconds)
    found |= {"peak_mb": peak_mb(), "imports_mb": imports, "way": way}
    if way == "whole":
        found |= parts(task, given, options.seconds / 2)
    matrix = tf.random.uniform([MATRIX_SIDE, MATRIX_SIDE])
    found["matrix_rate"] = matrix_rate(lambda: tf.matmul(matrix, matrix).numpy())
    found["operations"] = operations(encoder_of(network, "float32").topology, task.settings, side)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
