"""The targets of a style: a value, which can be saved as a file.

This module loads no TensorFlow.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from nst_core.transfer.colors.colors import ColorStatistics
from nst_core.transfer.masks.mask_colors import Color, as_color, as_text

Array = NDArray[np.float32]
LossTargets = Mapping[str, Mapping[str, Mapping[str, Array]]]
"""The targets of style losses at one octave, by loss, layer and name of the array."""


@dataclass(frozen=True)
class StyleTargets:
    """The targets of a style, by octave and layer, and its colors.

    Attributes:
        grams: one mapping per octave, coarse to fine; layer name -> float32 (channels, channels).
        centers: likewise; the vectors to subtract from activations first, float32 (channels,).
        colors: statistics of the style at its largest working size.
        others: likewise; the targets of the style losses besides `gram`, if the settings name any.
        regions: the targets of each region of a color-coded mask, by its color. Everything else is
            then that of all regions together.
    """

    grams: tuple[Mapping[str, Array], ...]
    centers: tuple[Mapping[str, Array], ...]
    colors: ColorStatistics
    others: tuple[LossTargets, ...] = ()
    regions: Mapping[Color, "StyleTargets"] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Return a safetensors file.

        Its arrays are `<octave>.<layer>.gram` and `.center`, `<octave>.<layer>.<loss>/<array>` for
        other style losses, and `colors.<statistic>`. For each region, there is such a file as an
        array of bytes, `#<color>`.
        """
        arrays = {
            f"{octave}.{layer}.{kind}": array
            for kind, octaves in (("gram", self.grams), ("center", self.centers))
            for octave, layers in enumerate(octaves)
            for layer, array in layers.items()
        }
        arrays |= {
            f"{octave}.{layer}.{loss}/{name}": array
            for octave, losses in enumerate(self.others)
            for loss, layers in losses.items()
            for layer, named in layers.items()
            for name, array in named.items()
        }
        arrays |= {f"colors.{name}": array for name, array in self.colors._asdict().items()}
        files = {as_text(color): region.to_bytes() for color, region in self.regions.items()}
        arrays |= {name: np.frombuffer(file, np.uint8) for name, file in files.items()}
        return safetensors.numpy.save(
            {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> "StyleTargets":
        """Read the targets that `to_bytes` wrote."""
        arrays = safetensors.numpy.load(data)
        colors = {name: arrays.pop(f"colors.{name}") for name in ColorStatistics._fields}
        regions = {
            as_color(name): cls.from_bytes(arrays.pop(name).tobytes())
            for name in [*arrays]
            if name.startswith("#")
        }
        grams: dict[int, dict[str, Array]] = {}
        centers: dict[int, dict[str, Array]] = {}
        others: dict[int, dict[str, dict[str, dict[str, Array]]]] = {}
        for name, array in arrays.items():
            octave, layer, kind = name.split(".")
            loss, _, part = kind.partition("/")
            if part:
                losses = others.setdefault(int(octave), {})
                losses.setdefault(loss, {}).setdefault(layer, {})[part] = array
            else:
                {"gram": grams, "center": centers}[kind].setdefault(int(octave), {})[layer] = array
        return cls(
            *(_in_order(grams), _in_order(centers), ColorStatistics(**colors), _in_order(others)),
            regions=regions,
        )

    def with_colors_of(self, other: "StyleTargets") -> "StyleTargets":
        """Return these targets with the colors of others of the same style, in all regions."""
        regions = {
            color: region.with_colors_of(other.regions[color])
            for color, region in self.regions.items()
        }
        return replace(self, colors=other.colors, regions=regions)


Item = TypeVar("Item")


def _in_order(octaves: Mapping[int, Item]) -> tuple[Item, ...]:
    return tuple(octaves[octave] for octave in sorted(octaves))
