"""An estimate of the memory that a stylization needs at its peak, from its settings and size.

This module loads no TensorFlow. The peak comes with the gradient at the finest octave, whose arrays
have four times the size of those of the octave before. docs/benchmarks.md compares the estimate
with what was measured.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from nst_core.networks.topology import Convolution, Topology
from nst_core.transfer.settings import OptimizerName, Settings

BYTES = 4
"""The size of a number: everything is float32."""

GRAM_ARRAYS = 2
"""Arrays of the size of a style layer that exist for the gradient of its Gram matrix: the centered
activations and the result, which TensorFlow computes for all layers once the loss is known."""

CONTENT_ARRAYS = 2
"""Arrays of the size of a content layer that exist for its loss: the target, the difference."""

PASSING_ARRAYS = 3.0
"""Arrays of the size of the largest layer that exist only for a moment, while the gradient is
computed."""

PICTURES: dict[OptimizerName, float] = {"adam": 12, "lbfgs": 70}
"""Arrays of the size of the picture that the optimizer holds: its state before and during a call,
and while it changes. With L-BFGS, most are its history."""

COMPILED: dict[OptimizerName, float] = {"adam": 200e6, "lbfgs": 260e6}
"""Bytes that compiling takes on a CPU, mostly for graphs; a GPU does not hold them."""

COPIES_OF_WEIGHTS = 2
"""On a CPU, the weights exist as NumPy arrays and as tensors; a GPU holds only tensors."""


@dataclass(frozen=True)
class _Block:
    """The numbers in the arrays of a block of layers, which begins with a convolution.

    Attributes:
        given: in what the block is given.
        kept: in what its gradient needs: the results of all its layers but the convolution.
        style, content: in its style layers, and in its content layers.
        largest: in its largest array.
    """

    given: int
    kept: int
    style: int
    content: int
    largest: int


def peak_memory(
    topology: Topology,
    settings: Settings,
    shape: tuple[int, int],
    *,
    on_gpu: bool = False,
    rematerialize: bool = False,
) -> int:
    """Return the estimated peak memory of a stylization in bytes.

    Args:
        topology: the encoder.
        settings: determine layers and optimizer.
        shape: height and width of the result, in pixels.
        on_gpu: whether it runs on a GPU, whose memory holds only arrays. On a CPU, the peak is
            that of the process, without what it takes to import this package and TensorFlow.
        rematerialize: as in `iterates`.
    """
    blocks = [*_blocks(topology, settings, shape)]
    features = _rematerialized(blocks) if rematerialize else _kept(blocks)
    content = CONTENT_ARRAYS * sum(block.content for block in blocks)
    passing = PASSING_ARRAYS * max(block.largest for block in blocks)
    pictures = PICTURES[settings.optimizer] * math.prod(shape) * 3
    weights = sum(map(math.prod, topology.weight_shapes.values()))
    numbers = features + content + passing + pictures
    if on_gpu:
        return round(BYTES * (numbers + weights))
    return round(BYTES * (numbers + COPIES_OF_WEIGHTS * weights) + COMPILED[settings.optimizer])


def _kept(blocks: list[_Block]) -> int:
    """Return the numbers that exist for the gradient if all activations are kept for it."""
    return sum(block.kept + GRAM_ARRAYS * block.style for block in blocks)


def _rematerialized(blocks: list[_Block]) -> int:
    """Return the numbers that exist for the gradient if the activations of each block are computed
    again: what this block and those before it are given, and what this block alone needs.
    """
    given = largest = 0
    for block in blocks:
        given += block.given
        largest = max(largest, given + block.given + block.kept + block.style)
    return largest


def _blocks(topology: Topology, settings: Settings, shape: tuple[int, int]) -> Iterator[_Block]:
    """Yield the blocks of layers that are used."""
    style, content = settings.style_layer_weights, settings.content_layer_weights
    height, width = shape
    channels = 3
    for layers in topology.blocks({*content, *style}):
        given = height * width * channels
        sizes = {}
        for layer in layers:
            height, width = layer.result_side(height), layer.result_side(width)
            channels = layer.channels if isinstance(layer, Convolution) else channels
            sizes[layer] = height * width * channels
        yield _Block(
            given=given,
            # The gradient of a convolution needs its weights, and not what it was given.
            kept=sum(size for layer, size in sizes.items() if not isinstance(layer, Convolution)),
            style=sum(size for layer, size in sizes.items() if layer.name in style),
            content=sum(size for layer, size in sizes.items() if layer.name in content),
            largest=max(sizes.values()),
        )
