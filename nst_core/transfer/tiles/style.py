"""Targets of large style pictures, tile by tile.

They are those of `statistics.style_targets`, except for rounding. Its activations of all octaves
take many times the memory of the picture.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from nst_core.devices.tensor_float import decide_tf32
from nst_core.images.pixels import PictureLike, as_pixels
from nst_core.networks.encoder import Encoder
from nst_core.networks.forward import activations, current_device
from nst_core.quiet_tensorflow import tf
from nst_core.transfer.colors.colors import color_statistics
from nst_core.transfer.octaves import style_sides
from nst_core.transfer.settings import Settings
from nst_core.transfer.style_losses.costs import GRAM
from nst_core.transfer.styles.statistics import at_side
from nst_core.transfer.styles.targets import Array, StyleTargets
from nst_core.transfer.tiles.grid import Grid, Tiles
from nst_core.transfer.tiles.sums import SUMMED, added
from nst_core.transfer.tiles.tile import sums_at_layer
from nst_core.transfer.tiles.walk import Tile, core_of, tiles_of

Named = dict[str, Array]


class _Octave(NamedTuple):
    """The targets of one octave; `others` is by loss, layer and name."""

    grams: Named
    centers: Named
    others: dict[str, dict[str, Named]]


def tiled_style_targets(
    encoder: Encoder, style: PictureLike, settings: Settings, tiles: Tiles
) -> StyleTargets:
    """Return the statistics of a style picture at every octave of the settings.

    Args:
        encoder, style, settings: as in `statistics.style_targets`; the style losses must be sums
            over positions (`grid.can_be_tiled`).
        tiles: in which activations are computed.

    Raises:
        ValueError: `style` is not a picture, or its values are out of range.
        PrecisionError: on a GPU, this process has used another precision; see `tensor_float`.
    """
    decide_tf32(current_device(), allowed=settings.allows_tf32)
    style, layers = as_pixels(style, "style"), tuple(settings.style_layer_weights)
    grid = Grid.of(encoder.topology, settings, tiles)
    octaves, finest = [], style
    for side in style_sides(settings):
        finest = at_side(encoder, style, side, layers)
        octaves.append(_octave(encoder, finest, settings, grid))
    others = tuple(octave.others for octave in octaves)
    return StyleTargets(
        grams=tuple(octave.grams for octave in octaves),
        centers=tuple(octave.centers for octave in octaves),
        colors=color_statistics(finest),
        others=others if any(others) else (),
    )


def _octave(encoder: Encoder, style: Array, settings: Settings, grid: Grid) -> _Octave:
    """Return the targets of a style at one size, in two walks over its tiles."""
    names = [GRAM, *(name for name in settings.style_loss_weights if name != GRAM)]
    given = {
        layer: {name: SUMMED[name].given(*statistics) for name in names}
        for layer, statistics in _means_and_variances(encoder, style, settings, grid).items()
    }
    if settings.gram == "raw":
        for of_layer in given.values():
            of_layer[GRAM] = {"center": tf.zeros_like(of_layer[GRAM]["center"])}
    totals: Any = {
        layer: {name: SUMMED[name].none(encoder.topology.channels(layer)) for name in names}
        for layer in given
    }
    for tile, features in _features(encoder, style, settings, grid):
        sums = {
            layer: {
                name: sums_at_layer(encoder, name, features, tile, layer, target)
                for name, target in of_layer.items()
            }
            for layer, of_layer in given.items()
        }
        totals = added(totals, sums)
    found = {
        name: {layer: _target(name, totals[layer][name], of[name]) for layer, of in given.items()}
        for name in names
    }
    gram = found.pop(GRAM)
    grams = {layer: target["gram"] for layer, target in gram.items()}
    return _Octave(grams, {layer: target["center"] for layer, target in gram.items()}, found)


def _target(name: str, totals: Any, given: Mapping[str, tf.Tensor]) -> Named:
    summed = SUMMED[name]
    target = summed.target(summed.statistic(totals, given), given)
    return {key: np.asarray(array, np.float32) for key, array in target.items()}


def _means_and_variances(
    encoder: Encoder, style: Array, settings: Settings, grid: Grid
) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
    """Return mean and variance of each channel by layer, float32 (channels,)."""
    layers = settings.style_layer_weights
    sums = {layer: np.zeros((2, encoder.topology.channels(layer))) for layer in layers}
    counts = dict.fromkeys(layers, 0)
    for tile, features in _features(encoder, style, settings, grid):
        for layer in layers:
            rows = core_of(features[layer], tile, encoder.topology.stride(layer)).rows.numpy()
            exact = rows.astype(np.float64)
            sums[layer] += exact.sum(axis=0), np.square(exact).sum(axis=0)
            counts[layer] += len(rows)
    found = {}
    for layer, (total, squares) in sums.items():
        mean = total / counts[layer]
        variance = np.maximum(squares / counts[layer] - np.square(mean), 0)
        found[layer] = tuple(tf.constant(it, tf.float32) for it in (mean, variance))
    return found


def _features(
    encoder: Encoder, style: Array, settings: Settings, grid: Grid
) -> Iterator[tuple[Tile, dict[str, tf.Tensor]]]:
    """Yield the tiles of a style, and their activations with margins."""
    for tile in tiles_of(style, grid):
        pixels = tf.constant(tile.of(style))
        yield tile, activations(encoder, pixels, settings.style_layer_weights)
