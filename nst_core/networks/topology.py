"""Encoders without their weights: layers, preprocessing, and what follows from them."""

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from typing import Literal

PoolKind = Literal["average", "max"]
Pooling = Literal["trained", "average", "max"]
"""The user's choice for all pooling layers; `trained` means the kind used in training."""


@dataclass(frozen=True)
class Convolution:
    """A convolution plus bias; `name` is the tap before the ReLU.

    Attributes:
        channels: the number of channels of the result.
        kernel: height and width in positions; odd.
        stride: in positions; the result has ceil(side / stride) positions along each side.
        groups: the number of groups that the channels are split into, each convolved separately.
        edges: the padding: `mirrored` pixels, or `zeros` (as with TensorFlow's SAME).
    """

    name: str
    channels: int
    kernel: int = 3
    stride: int = 1
    groups: int = 1
    edges: Literal["mirrored", "zeros"] = "zeros"

    def result_side(self, side: int) -> int:
        """Return the number of positions of the result along a side."""
        return -(-side // self.stride)


@dataclass(frozen=True)
class Relu:
    """max(0, x); `name` is the tap after the ReLU."""

    name: str

    def result_side(self, side: int) -> int:
        """Return the number of positions of the result along a side."""
        return side


@dataclass(frozen=True)
class Pool:
    """Mean or maximum over squares; incomplete squares at the far edges are dropped."""

    name: str
    kind: PoolKind
    size: int = 2
    stride: int = 2

    def result_side(self, side: int) -> int:
        """Return the number of positions of the result along a side."""
        return (side - self.size) // self.stride + 1


@dataclass(frozen=True)
class LocalResponseNormalization:
    """x / (bias + alpha * sum of squares over channels within the radius) ** beta.

    See Krizhevsky et al. 2012, section 3.3. Alpha has TensorFlow's meaning (Caffe's alpha divided
    by its number of channels).
    """

    name: str
    radius: int = 2
    alpha: float = 2e-5
    beta: float = 0.75
    bias: float = 1.0

    def result_side(self, side: int) -> int:
        """Return the number of positions of the result along a side."""
        return side


Layer = Convolution | Relu | Pool | LocalResponseNormalization


@dataclass(frozen=True)
class Preprocessing:
    """How sRGB in [0, 1] becomes the input that a network was trained on.

    Attributes:
        order: the order of channels that the first convolution expects.
        scale: the factor that the pixels are multiplied by.
        means: the values that are then subtracted, in the order of the channels.
    """

    order: Literal["RGB", "BGR"] = "RGB"
    scale: float = 1.0
    means: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def neutral_color(self) -> tuple[float, float, float]:
        """The sRGB color in [0, 1] that becomes zero; mid-gray if nothing is subtracted."""
        if not any(self.means):
            return (0.5, 0.5, 0.5)
        first, second, third = (mean / self.scale for mean in self.means)
        return (third, second, first) if self.order == "BGR" else (first, second, third)


CAFFE = Preprocessing(order="BGR", scale=255.0, means=(103.939, 116.779, 123.68))
"""The preprocessing of the networks of Simonyan & Zisserman, as their authors published them."""


@dataclass(frozen=True)
class Topology:
    """A network without its weights.

    Attributes:
        name: the name used in settings and tables.
        layers: the layers, in the order in which they are applied to preprocessed pixels.
    """

    name: str
    layers: tuple[Layer, ...]
    preprocessing: Preprocessing = Preprocessing()

    @property
    def layer_names(self) -> tuple[str, ...]:
        """The names of all layers, starting at the pixels."""
        return tuple(layer.name for layer in self.layers)

    @property
    def convolutions(self) -> tuple[Convolution, ...]:
        """The layers that have weights."""
        return tuple(layer for layer in self.layers if isinstance(layer, Convolution))

    @cached_property
    def weight_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shapes of `<convolution>.weight` (height, width, in / groups, out) and its `.bias`."""
        shapes: dict[str, tuple[int, ...]] = {}
        channels = 3
        for layer in self.convolutions:
            shapes[f"{layer.name}.weight"] = (
                *(layer.kernel, layer.kernel),
                *(channels // layer.groups, layer.channels),
            )
            shapes[f"{layer.name}.bias"] = (layer.channels,)
            channels = layer.channels
        return shapes

    def with_pooling(self, pooling: Pooling) -> "Topology":
        """Return the same network with another kind of pooling; the weights stay as they are."""
        if pooling == "trained":
            return self
        layers = tuple(
            replace(layer, kind=pooling) if isinstance(layer, Pool) else layer
            for layer in self.layers
        )
        return replace(self, layers=layers)

    def check_taps(self, names: Iterable[str]) -> None:
        """Raise ValueError, which suggests a similar name, if a layer does not exist."""
        for name in names:
            if name not in self.layer_names:
                longer = [known for known in self.layer_names if known.startswith(name)]
                near = longer or get_close_matches(name, self.layer_names, n=1, cutoff=0.3)
                hint = f"; did you mean {near[0]!r}?" if near else "."
                raise ValueError(
                    f"encoder {self.name!r} has no layer {name!r}{hint} "
                    f"It has {', '.join(self.layer_names)}."
                )

    def up_to(self, taps: Iterable[str]) -> tuple[Layer, ...]:
        """Return the layers up to the deepest of these taps, in order."""
        wanted = set(taps)
        self.check_taps(wanted)
        deepest = max(map(self.layer_names.index, wanted))
        return self.layers[: deepest + 1]

    def blocks(self, taps: Iterable[str]) -> tuple[tuple[Layer, ...], ...]:
        """Return the layers up to the deepest tap, in blocks that begin with a convolution each."""
        blocks: list[tuple[Layer, ...]] = []
        for layer in self.up_to(taps):
            if not blocks or isinstance(layer, Convolution):
                blocks.append(())
            blocks[-1] += (layer,)
        return tuple(blocks)

    def channels(self, tap: str) -> int:
        """Return the number of channels of a layer's activations."""
        before = [layer for layer in self.up_to([tap]) if isinstance(layer, Convolution)]
        return before[-1].channels if before else 3

    def shapes(self, height: int, width: int, taps: Iterable[str]) -> dict[str, tuple[int, int]]:
        """Return height and width of these layers' activations for a picture of a size."""
        taps, shapes = set(taps), {}
        for layer in self.up_to(taps):
            height, width = layer.result_side(height), layer.result_side(width)
            if layer.name in taps:
                shapes[layer.name] = (height, width)
        return shapes

    def smallest_side(self, taps: Iterable[str]) -> int:
        """Return how many pixels a side must have to give two positions at each of these layers.

        With fewer positions, there is nothing beside the edge to mirror, and a Gram matrix over one
        position describes no texture.
        """
        layers = self.up_to(taps)

        def suffices(side: int) -> bool:
            for layer in layers:
                side = layer.result_side(side)
                if side < 2:
                    return False
            return True

        return next(filter(suffices, itertools.count(2)))

    def stride(self, tap: str) -> int:
        """Return how many pixels apart the positions of a layer are."""
        layers = self.up_to([tap])
        return math.prod(layer.stride for layer in layers if isinstance(layer, Convolution | Pool))

    def reach(self, taps: Iterable[str]) -> int:
        """Return how far the pixels are, at most, that change an activation at these layers.

        A position begins at the pixel whose coordinates are its own times the layer's stride.
        """
        reach, stride = 0, 1
        for layer in self.up_to(taps):
            if isinstance(layer, Convolution):
                reach += layer.kernel // 2 * stride
            elif isinstance(layer, Pool):
                reach += (layer.size - 1) * stride
            stride *= layer.stride if isinstance(layer, Convolution | Pool) else 1
        return reach

    def work_per_pixel(self, taps: Iterable[str]) -> float:
        """Return the number of multiplications in a forward pass per pixel of the picture."""
        work, channels, pixels_per_position = 0.0, 3, 1.0
        for layer in self.up_to(taps):
            if isinstance(layer, Convolution | Pool):
                pixels_per_position *= layer.stride**2
            if isinstance(layer, Convolution):
                products = layer.kernel**2 * channels // layer.groups * layer.channels
                work += products / pixels_per_position
                channels = layer.channels
        return work
