"""Profile the convolutions of a network one by one, in a process of its own.

    python -m benchmarks.bench.layers FOLDER NETWORK SIDE tensorflow|torch [--seconds 0.3]

For each convolution, it prints the seconds of the forward pass, and of the gradient for its input,
which is all that a step needs. Inputs are random; edges are padded outside of what is timed.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from inputs import network_in

from benchmarks.bench.measuring import until

Runs = tuple[Callable[[], object], Callable[[], object]]
"""The forward pass of a convolution, and the gradient for its input."""


class Shape(NamedTuple):
    """A convolution; `side` is that of its result, in positions."""

    name: str
    side: int
    kernel: int
    given: int
    channels: int

    @property
    def operations(self) -> int:
        """Floating-point operations of the forward pass; the gradient takes as many."""
        return 2 * self.side**2 * self.kernel**2 * self.given * self.channels


def convolutions(about: dict[str, Any], side: int) -> Iterator[Shape]:
    """Yield the convolutions of a network of `inputs.py`, for a square picture."""
    for layer in about["layers"]:
        if layer["kind"] == "pool":
            side //= 2
        elif layer["kind"] == "convolution":
            kernel, _, given, channels = about["shapes"][f"{layer['name']}.weight"]
            yield Shape(layer["name"], side, kernel, given, channels)


def arrays(shape: Shape) -> tuple[Any, Any, Any]:
    """Return a padded input, a kernel and a gradient of the result, as TensorFlow has them."""
    draw = np.random.default_rng(0)
    padded = shape.side + shape.kernel - 1
    sizes = (
        (1, padded, padded, shape.given),
        (shape.kernel, shape.kernel, shape.given, shape.channels),
        (1, shape.side, shape.side, shape.channels),
    )
    first, second, third = (draw.standard_normal(size, np.float32) for size in sizes)
    return first, second, third


def with_tensorflow(shape: Shape) -> Runs:
    """Return the functions with TensorFlow."""
    from nst_core.quiet_tensorflow import tf

    pixels, kernel, gradient = map(tf.constant, arrays(shape))

    forward = tf.function(lambda values: tf.nn.conv2d(values, kernel, 1, "VALID"))
    backward = tf.function(
        lambda values: tf.raw_ops.Conv2DBackpropInput(
            input_sizes=tf.shape(pixels),
            filter=kernel,
            out_backprop=values,
            strides=[1, 1, 1, 1],
            padding="VALID",
        )
    )
    return lambda: forward(pixels).numpy(), lambda: backward(gradient).numpy()


def with_torch(shape: Shape) -> Runs:
    """Return the functions with PyTorch, with channels last."""
    import torch

    of_pixels, of_kernel, of_gradient = map(torch.from_numpy, arrays(shape))
    pixels = of_pixels.permute(0, 3, 1, 2)
    kernel = of_kernel.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)
    gradient = of_gradient.permute(0, 3, 1, 2)

    def backward() -> Any:
        return torch.nn.grad.conv2d_input(pixels.shape, kernel, gradient)

    return lambda: torch.nn.functional.conv2d(pixels, kernel), backward


def seconds_of(run: Callable[[], object], seconds: float) -> float:
    """Return the median time of a call."""

    def once() -> int:
        run()
        return 1

    once()
    return median(until(seconds, once))


def main() -> None:
    """Print a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("network")
    parser.add_argument("side", type=int)
    parser.add_argument("package", choices=["tensorflow", "torch"])
    parser.add_argument("--seconds", type=float, default=0.3)
    options = parser.parse_args()
    runs_of = with_torch if options.package == "torch" else with_tensorflow
    found = []
    for shape in convolutions(network_in(options.folder, options.network), options.side):
        forward, backward = (seconds_of(run, options.seconds) for run in runs_of(shape))
        line = {**shape._asdict(), "operations": shape.operations}
        found.append({**line, "forward": forward, "backward": backward})
    print(json.dumps({"layers": found}))


if __name__ == "__main__":
    main()
