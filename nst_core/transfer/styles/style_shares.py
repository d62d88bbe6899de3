"""The shares that several styles have in the targets of a row.

With `style_mix = blend`, each style has its share of everything. With `octaves` and `layers`, the
styles are named coarse to fine, and each gets its share of the octaves or layers (after Gatys et
al. 2017, "Controlling perceptual factors in neural style transfer", who combine the coarse
structure of one style with the fine structure of another). An octave or a layer that belongs
to two styles is a blend of both.

This module loads no TensorFlow.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

from nst_core.networks import CATALOGUE
from nst_core.transfer.allowed import counted
from nst_core.transfer.setting_types import parse_style_blend
from nst_core.transfer.settings import Settings

SMALLEST_SHARE = 1e-9
"""A smaller share is 0: it would change no target, or is an error of rounding."""

_Shares = tuple[float, ...]


class Shares(NamedTuple):
    """The share of each style, from 0 to 1, in the order of the styles.

    Attributes:
        octaves: by layer, coarse to fine.
        colors: of the colors.
    """

    octaves: tuple[Mapping[str, _Shares], ...]
    colors: _Shares


def weights_of_styles(settings: Settings, count: int) -> _Shares:
    """Return the weights in `style_blend`, divided by their sum and rounded to 12 digits.

    Weights that already add up to 1 stay as they are, so that a row with the rounded weights is the
    same row.

    Args:
        settings: has the weights; without any, all styles weigh the same.
        count: the number of styles.

    Raises:
        ValueError: there are more or fewer weights than styles.
    """
    weights = parse_style_blend(settings.style_blend) or (1.0,) * count
    if len(weights) != count:
        raise ValueError(
            f"found {counted(len(weights), 'weight')} for {counted(count, 'style')}; expected "
            f"one for each style, such as {'; '.join('1' * count)!r}"
        )
    total = sum(weights)
    total = 1.0 if abs(total - 1) < SMALLEST_SHARE else total
    shares = (float(f"{weight / total:.12g}") for weight in weights)
    return tuple(share if share > SMALLEST_SHARE else 0.0 for share in shares)


def shares_of_styles(settings: Settings, count: int) -> Shares:
    """Return the shares of this many styles.

    Raises:
        ValueError: as in `weights_of_styles`.
    """
    weights = weights_of_styles(settings, count)
    layers = _deep_to_shallow(settings)
    octaves = []
    for octave in range(settings.octaves):
        of_octave = weights
        if settings.style_mix == "octaves":
            of_octave = _shares_of_part(octave, settings.octaves, weights)
        by_layer = dict.fromkeys(layers, of_octave)
        if settings.style_mix == "layers":
            by_layer = {
                layer: _shares_of_part(number, len(layers), weights)
                for number, layer in enumerate(layers)
            }
        octaves.append(by_layer)
    return Shares(tuple(octaves), color_shares(settings, count))


def color_shares(settings: Settings, count: int) -> _Shares:
    """Return the shares of the colors: with `octaves` and `layers`, those of the last style.

    The last style has the fine octaves or the shallow layers, which decide the colors.

    Raises:
        ValueError: as in `weights_of_styles`.
    """
    weights = weights_of_styles(settings, count)
    return weights if settings.style_mix == "blend" else (0.0,) * (count - 1) + (1.0,)


def start_shares(settings: Settings, count: int) -> _Shares:
    """Return the shares of `start = style`: with `octaves` and `layers`, that of the first style.

    The first style has the coarse structure, which is what remains of a start.

    Raises:
        ValueError: as in `weights_of_styles`.
    """
    weights = weights_of_styles(settings, count)
    return weights if settings.style_mix == "blend" else (1.0,) + (0.0,) * (count - 1)


def why_not_mixed(settings: Settings, count: int) -> Iterator[str]:
    """Yield why this many styles cannot be put together with these settings, if they cannot.

    Args:
        settings: how to stylize.
        count: the number of styles with a weight above 0.
    """
    if count == 1 or settings.style_mix == "blend":
        return
    parts = settings.octaves if settings.style_mix == "octaves" else len(_deep_to_shallow(settings))
    if parts < count:
        noun = settings.style_mix if parts > 1 else settings.style_mix[:-1]
        yield (
            f"it has {count} styles for {parts} {noun}; expected at most one style for each of the "
            f"{settings.style_mix}: name fewer styles, or use more {settings.style_mix}"
        )
    if settings.style_mix == "layers" and "neighbors" in settings.style_loss_weights:
        yield (
            "the style loss 'neighbors' compares all layers of a style at once; expected octaves "
            "or blend, or another style_measure"
        )


def _deep_to_shallow(settings: Settings) -> Sequence[str]:
    names = [*CATALOGUE[settings.encoder].topology.layer_names]
    layers = settings.style_layer_weights
    return sorted(layers, key=lambda layer: -names.index(layer) if layer in names else 0)


def _shares_of_part(number: int, count: int, weights: _Shares) -> _Shares:
    """Return how much of one of several equal parts, such as octaves, belongs to each style."""
    begin, end = number / count, (number + 1) / count
    bounds = pairwise(accumulate(weights, initial=0.0))
    overlaps = [max(0.0, min(end, last) - max(begin, first)) * count for first, last in bounds]
    kept = [overlap if overlap > SMALLEST_SHARE else 0.0 for overlap in overlaps]
    return tuple(round(overlap / sum(kept), 12) for overlap in kept)
