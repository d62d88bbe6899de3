"""An estimate of the memory that a stylization needs at its peak, from its settings and size.

This module loads no TensorFlow. The peak comes with the gradient at the finest octave, whose arrays
have four times the size of those of the octave before, or with the file of the result, if that is
enlarged. docs/benchmarks.md compares the estimate with what was measured.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from nst_core.networks.topology import Convolution, Topology
from nst_core.transfer.optimizers.learning_rate import is_extended
from nst_core.transfer.settings import OptimizerName, Settings
from nst_core.transfer.style_losses.costs import COSTS, GRAM
from nst_core.transfer.tiles.grid import Grid, Tiles

BYTES = 4
"""The size of a number in float32. Activations in bfloat16 have half of it, but on a CPU rows with
`precision = bfloat16` took from a fifth less to an eighth more memory, so all count the same."""

PASSING_ARRAYS = 2.5
"""Arrays of the size of a layer that exist for a moment while its gradient is computed: those that
come from the next layer and from its Gram matrix, and their sum. This number, and those of pictures
and compiled bytes, were fitted to what was measured."""

CONTENT_ARRAYS = 2
"""Arrays of the size of a content layer that exist for its loss: the target, the difference."""

SIMILARITIES = 5 * 32**4
"""Numbers in the self-similarities of a content layer and their gradients, at most."""

PICTURES: dict[OptimizerName, float] = {"adam": 12, "lbfgs": 44}
"""Arrays of the size of the picture that the optimizer holds: its state before and during a call,
and while it changes. With L-BFGS, most are its history."""

AVERAGE = 2
"""Arrays of the size of the picture that an average of Adam's iterates adds, before and after a
call."""

GUIDED_ARRAYS = 2
"""Arrays of the size of a style layer that exist for a moment for guided Gram matrices. They are as
many with several regions, because these follow one after the other."""

ARRAYS_OF_REGION = 0.2
"""Arrays of the size of all style layers that each further region adds nevertheless; rounded up
from what was measured with 1 and 8 regions at 512 px."""

WEIGHTS_OF_REGION = 4
"""Arrays of one channel of the size of the picture that the weights of a region take: at the size
of the result, and at each style layer."""

TILED_PICTURES: dict[OptimizerName, float] = {"adam": 13.5, "lbfgs": 12}
"""The same for rows that are computed tile by tile, without the history of L-BFGS. There, these
arrays are nearly all of the memory, so the number was measured apart: with Adam at 8192 px, where
the peak comes as the last octave begins. The history of L-BFGS is still empty at that moment."""

PAIRS = 10
"""How many earlier steps L-BFGS remembers, unless memory is short."""

PAIR = 2
"""Arrays of the size of the picture that each of them adds if the row is tiled."""

STYLE_ARRAYS, STYLE_PICTURES = 3, 8
"""Arrays of the size of the largest layer, and of the picture, that exist at once while the targets
of a style are computed; counted, not measured."""

FRAME = 4
"""Arrays of the size of the picture that the temporal loss adds: the frame before, moved, with its
mask; and differences in the gradient. Optical flow takes more, but before the optimization, which
takes more than that."""

COMPILED: dict[OptimizerName, float] = {"adam": 240e6, "lbfgs": 245e6}
"""Bytes that compiling takes on a CPU, mostly for graphs; a GPU does not hold them."""

TILED_COMPILED = 120e6
"""The same for the smaller functions of a tile."""

FILE_BYTES = {8: 44, 16: 60}
"""Bytes for each pixel of the result's file, by its depth, that exist at once while it is written:
the pixels before they are rounded, which results of 16 bits and enlarged ones keep; what enlarging
them takes; their levels; and the file itself. The most that was measured of any format."""

COPIES_OF_WEIGHTS = 2
"""On a CPU, the weights exist as NumPy arrays and as tensors; a GPU holds only tensors."""


@dataclass(frozen=True)
class _Block:
    """The numbers in the arrays of a block of layers, which begins with a convolution.

    Attributes:
        given: in what the block is given.
        unrolled: in the array of all values under the kernel at each position, which the gradient
            of the convolution needs on a CPU.
        largest: in the block's largest array.
        kept: in what the gradient needs: the results of all its layers but the convolution.
        style: in what the gradients of the style losses need, besides the style layers themselves.
        others: the part of it that is for style losses besides `gram`.
        lasting: in what rematerialization keeps for style losses that need all layers at once.
        content: in its content layers.
        of_style: in its style layers.
    """

    given: int
    unrolled: int
    largest: int
    kept: int
    style: float
    others: float
    lasting: float
    content: int
    of_style: int


def peak_memory(
    topology: Topology,
    settings: Settings,
    shape: tuple[int, int],
    *,
    on_gpu: bool = False,
    rematerialize: bool = False,
    regions: int = 0,
    tiles: Tiles | None = None,
    is_frame: bool = False,
    file_shape: tuple[int, int] | None = None,
) -> int:
    """Return the estimated peak memory of a stylization in bytes.

    Args:
        topology: the encoder.
        settings: determine layers and optimizer.
        shape: height and width of the result, in pixels.
        on_gpu: whether it runs on a GPU, whose memory holds only arrays. On a CPU, the peak is
            that of the process, without what it takes to import this package and TensorFlow.
        rematerialize, tiles: as in `iterates`.
        regions: of the content's mask; 0 if there is none.
        is_frame: whether it has a temporal loss.
        file_shape: height and width of the result's file; None if they are those of the result.
    """
    grid = Grid.of(topology, settings, tiles) if tiles else None
    blocks = [*_blocks(topology, settings, grid.shape(*shape) if grid else shape, regions)]
    gradient = _rematerialized(blocks) if rematerialize else _kept(blocks, on_gpu=on_gpu)
    content = CONTENT_ARRAYS * sum(block.content for block in blocks)
    if settings.content_measure == "self-similarity":
        content += SIMILARITIES * len(settings.content_layer_weights)
    held = _pictures(settings.optimizer, tiles)
    held += AVERAGE if is_extended(settings) else 0
    held += FRAME if is_frame else 0
    pictures = held * math.prod(shape) * 3 + WEIGHTS_OF_REGION * regions * math.prod(shape)
    further = ARRAYS_OF_REGION * max(regions - 1, 0) * sum(block.of_style for block in blocks)
    weights = sum(map(math.prod, topology.weight_shapes.values()))
    numbers = gradient + content + pictures + further
    if on_gpu:
        # With tiles, whole pictures stay in the computer's memory.
        return round(BYTES * (numbers - (pictures if tiles else 0) + weights))
    compiled = TILED_COMPILED if tiles else COMPILED[settings.optimizer]
    # Once the file is written, the arrays of the gradient are gone, and the graphs are not.
    file = FILE_BYTES[settings.depth] * math.prod(file_shape or shape)
    return round(max(BYTES * numbers, file) + BYTES * COPIES_OF_WEIGHTS * weights + compiled)


def style_memory(
    topology: Topology,
    settings: Settings,
    shape: tuple[int, int],
    *,
    on_gpu: bool = False,
    tiles: Tiles | None = None,
) -> int:
    """Return the estimated peak memory of the targets of a style in bytes.

    Args:
        topology, settings, on_gpu: as in `peak_memory`.
        shape: height and width of the style at its largest working size, in pixels.
        tiles: those in which activations are computed; None for all at once.
    """
    grid = Grid.of(topology, settings, tiles) if tiles else None
    blocks = [*_blocks(topology, settings, grid.shape(*shape) if grid else shape, regions=0)]
    # Without tiles, the activations of all octaves exist at once.
    octaves = 1 if tiles else sum(4.0**-octave for octave in range(settings.octaves))
    kept = octaves * sum(block.style for block in blocks)
    passing = STYLE_ARRAYS * max(block.largest for block in blocks)
    pictures = STYLE_PICTURES * math.prod(shape) * 3
    weights = COPIES_OF_WEIGHTS * sum(map(math.prod, topology.weight_shapes.values()))
    return round(BYTES * (kept + passing + (0 if on_gpu and tiles else pictures) + weights))


def _pictures(optimizer: OptimizerName, tiles: Tiles | None) -> float:
    """Return how many arrays of the size of the picture the optimizer holds."""
    if not tiles:
        return PICTURES[optimizer]
    pairs = PAIRS if tiles.pairs is None else tiles.pairs
    return TILED_PICTURES[optimizer] + (PAIR * pairs if optimizer == "lbfgs" else 0)


def _kept(blocks: list[_Block], *, on_gpu: bool) -> float:
    """Return the most numbers that exist for the gradient if all activations are kept for it.

    It goes back from the last block to the first. For its Gram matrix, a style layer is kept twice,
    once minus its center.
    """
    before, largest = 0.0, 0.0
    for block in blocks:
        convolution = block.given + block.largest + (0 if on_gpu else block.unrolled)
        others = block.kept + block.style + PASSING_ARRAYS * block.largest
        largest = max(largest, before + max(convolution, others))
        before += block.kept + block.style
    return largest


def _rematerialized(blocks: list[_Block]) -> float:
    """Return the most numbers that exist for the gradient if each block is computed again.

    What a block and those before it are given is kept, and the block itself is given a copy.
    """
    given, largest = 0.0, 0.0
    for block in blocks:
        given += block.given + block.lasting
        passing = PASSING_ARRAYS * block.largest
        within = block.given + block.kept + block.others
        largest = max(largest, given + within + passing)
    return largest


def _blocks(
    topology: Topology, settings: Settings, shape: tuple[int, int], regions: int
) -> Iterator[_Block]:
    """Yield the blocks of layers that are used."""
    style, content = settings.style_layer_weights, settings.content_layer_weights
    arrays = {
        name: COSTS[name].arrays * (1 if name == GRAM else max(regions, 1))
        for name in settings.style_loss_weights
    }
    guided = GUIDED_ARRAYS if regions else 0
    height, width = shape
    channels = 3
    for layers in topology.blocks({*content, *style}):
        given, unrolled = height * width * channels, 0
        sizes = {}
        for layer in layers:
            height, width = layer.result_side(height), layer.result_side(width)
            if isinstance(layer, Convolution):
                unrolled = layer.kernel**2 * channels // layer.groups * height * width
                channels = layer.channels
            sizes[layer] = height * width * channels
        of_style = sum(size for layer, size in sizes.items() if layer.name in style)
        yield _Block(
            given=given,
            unrolled=unrolled,
            largest=max(sizes.values()),
            # The gradient of a convolution needs its weights, and not what it was given.
            kept=sum(size for layer, size in sizes.items() if not isinstance(layer, Convolution)),
            style=of_style * sum(arrays.values()),
            others=of_style
            * (guided + sum(count for name, count in arrays.items() if name != GRAM)),
            lasting=of_style * sum(arrays[name] for name in arrays if not COSTS[name].is_local),
            content=sum(size for layer, size in sizes.items() if layer.name in content),
            of_style=of_style,
        )
