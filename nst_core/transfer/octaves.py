"""The sizes at which a picture is optimized, coarse to fine, each twice the one before."""

from nst_core.images.resize import fit
from nst_core.networks.topology import Topology
from nst_core.transfer.setting_types import ORIGINAL_SIZE
from nst_core.transfer.settings import Settings

SMALLEST_SIDE = 32
"""In pixels; at a smaller octave, the encoder sees too little to be worth the steps."""

REPORT_EVERY = 10
"""After this many steps, the host reads the device's state; a plateau lasts two such intervals."""


def sized(settings: Settings, shape: tuple[int, ...]) -> Settings:
    """Return settings whose size is a number, for a content of this height and width."""
    if settings.size != ORIGINAL_SIZE:
        return settings
    return settings.model_copy(update={"size": max(shape[:2])})


def style_sides(settings: Settings) -> tuple[int, ...]:
    """Return the longest side of the style picture at each octave, coarse to fine, in pixels.

    They depend only on the settings, so that one style's targets serve contents of any shape.

    Raises:
        ValueError: the size is that of a content, which is not known here.
    """
    if settings.size == ORIGINAL_SIZE:
        raise ValueError(
            "size: found 'original', expected a number: the longest side of the content in pixels"
        )
    return tuple(
        max(1, round(settings.size * settings.style_scale / 2**halvings))
        for halvings in reversed(range(settings.octaves))
    )


def octave_shapes(height: int, width: int, octaves: int) -> dict[int, tuple[int, int]]:
    """Return height and width of each useful octave, by the octave's index, coarse to fine.

    Args:
        height, width: size of the result, in pixels.
        octaves: how many are requested; octaves with a side below `SMALLEST_SIDE` are left out, but
            never the last one, which has the result's own size.
    """
    shapes = {}
    for index in range(octaves):
        scale = 2 ** (octaves - 1 - index)
        shape = (max(1, round(height / scale)), max(1, round(width / scale)))
        if min(shape) >= SMALLEST_SIDE or scale == 1:
            shapes[index] = shape
    return shapes


def shape_of_result(
    topology: Topology, content: tuple[int, int], settings: Settings
) -> tuple[int, int]:
    """Return height and width of a result in pixels, if they are large enough for the encoder.

    Args:
        topology: the encoder.
        content: height and width of the content, in pixels.
        settings: how to stylize.

    Raises:
        ValueError: a side is too small for the deepest layer.
    """
    height, width = fit(*content, settings.size, enlarge=settings.enlarge)
    smallest = topology.smallest_side(
        {*settings.content_layer_weights, *settings.style_layer_weights}
    )
    if min(height, width) < smallest:
        raise ValueError(
            f"the picture would be optimized at {width} x {height} pixels, but the chosen layers "
            f"need at least {smallest} on each side: raise size, set enlarge, or choose shallower "
            "layers"
        )
    return height, width


def without_finest(settings: Settings, shape: tuple[int, int], count: int) -> Settings:
    """Return settings whose result is what the finest octaves, left out, would have started from.

    Each octave that is left out halves the sides of the result. Once there is only one octave left,
    it is the size of that octave that is halved.

    Args:
        settings: the settings of the whole result.
        shape: height and width of the whole result, in pixels.
        count: how many octaves to leave out.
    """
    if not count:
        return settings
    size = max(1, round(max(shape) / 2**count))
    octaves = max(1, settings.octaves - count)
    return settings.model_copy(update={"size": size, "octaves": octaves})
