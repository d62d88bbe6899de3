"""Nearest neighbors of features (after Kolkin et al. 2022, "Neural neighbor style transfer").

A hypercolumn contains the features of all style layers at one place, on a grid with a quarter of
the picture's sides. Each hypercolumn of the picture is compared with the style's hypercolumn that
is nearest to it, by the cosine of the angle between them, both minus the style's mean.

The neighbors are found before every few steps and stay the same in between. The loss with them is
never below that with the nearest ones, and equal to it where they were found. If it falls, so does
the loss with the nearest neighbors, and new neighbors never raise it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nst_core.quiet_tensorflow import tf
from nst_core.transfer.style_losses.averaging import averaged, quarter_grid
from nst_core.transfer.style_losses.pooling import Array, Named, Samples, Shares, weighted_mean
from nst_core.transfer.style_losses.style_loss import LayerTarget, StyleLoss, Targets

MOST_COLUMNS = 4096
"""The most hypercolumns of the style that are cached; of more, every second row and column, or
every third, and so on."""

CHUNK = 512
"""Hypercolumns of the picture whose similarities to all of the style's are in memory at a time."""

SMALLEST_NORM = 1e-4
"""The norm below which the direction of a hypercolumn says little; norms are about 1."""


def _targets(features: Mapping[str, tf.Tensor]) -> dict[str, dict[str, tf.Tensor]]:
    grid = quarter_grid(features)
    every = 1
    while -(-int(grid[0]) // every) * -(-int(grid[1]) // every) > MOST_COLUMNS:
        every += 1
    targets = {}
    for layer, of_layer in features.items():
        columns = averaged(of_layer, *grid)
        center = tf.reduce_mean(columns, axis=(0, 1))
        power = tf.reduce_mean(tf.reduce_sum(tf.square(columns - center), axis=-1))
        targets[layer] = {
            "columns": columns[::every, ::every],
            "center": center,
            # Layers have equally long columns, so that only their weights count.
            "scale": tf.math.divide_no_nan(1.0, tf.sqrt(power)),
        }
    return targets


def _pooled(samples: Samples) -> Targets:
    """Return the hypercolumns of all pictures, of each at most its part of `MOST_COLUMNS`."""
    each = [_targets(features) for features in samples]
    most = max(1, MOST_COLUMNS // len(each))
    arrays = [
        {layer: {name: it.numpy() for name, it in named.items()} for layer, named in of.items()}
        for of in each
    ]
    union = _union(arrays, [1 / len(each)] * len(each), [most] * len(each))
    return {
        layer: {name: tf.constant(array) for name, array in named.items()}
        for layer, named in union.items()
    }


def _blended(
    targets: Sequence[Mapping[str, Named]], shares: Shares
) -> Mapping[str, Mapping[str, Array]]:
    """Return the hypercolumns of all styles, of each as many as its share of all of them."""
    (of_each,) = {tuple(shares[layer]) for layer in targets[0]}
    used = [(target, share) for target, share in zip(targets, of_each, strict=True) if share]
    if len(used) == 1:
        return used[0][0]
    given, weights = zip(*used, strict=True)
    room = min(_count(target) / share for target, share in used)
    room = min(room, MOST_COLUMNS)
    return _union(given, weights, [max(1, round(share * room)) for share in weights])


def _count(targets: Mapping[str, Named]) -> int:
    height, width, _ = next(iter(targets.values()))["columns"].shape
    return int(height * width)


def _union(
    targets: Sequence[Mapping[str, Named]], shares: Sequence[float], most: Sequence[int]
) -> dict[str, dict[str, Array]]:
    """Return the targets of all hypercolumns together.

    Args:
        targets: of each picture or style, by layer.
        shares: their weights in the center and the scale.
        most: how many hypercolumns of each are taken at most; they are drawn without a row's seed.
    """
    drawn = []
    for target, number in zip(targets, most, strict=True):
        count = _count(target)
        draw = np.random.default_rng((count, number))
        few = np.sort(draw.choice(count, number, replace=False)) if number < count else slice(None)
        drawn.append(few)
    result = {}
    for layer in targets[0]:
        named = [target[layer] for target in targets]
        columns = [
            of["columns"].reshape(-1, of["columns"].shape[-1])[few]
            for of, few in zip(named, drawn, strict=True)
        ]
        center = weighted_mean([of["center"] for of in named], shares)
        result[layer] = {
            "columns": np.concatenate(columns)[:, np.newaxis],
            "center": center,
            "scale": _scale_of_all(named, shares, center),
        }
    return result


def _scale_of_all(targets: Sequence[Named], shares: Sequence[float], center: Array) -> Array:
    """Return the scale of the union: its power is that of each around the center of all."""
    power = 0.0
    for target, share in zip(targets, shares, strict=True):
        own_scale = float(target["scale"].item())
        own = 1 / own_scale**2 if own_scale else 0.0
        power += share * (own + float(np.sum(np.square(target["center"] - center))))
    scale = np.asarray(1 / np.sqrt(power) if power else 0.0, np.float32)
    # A scalar that was read from a file is an array of one number.
    return np.reshape(scale, targets[0]["scale"].shape)


def _directions(
    columns: Mapping[str, tf.Tensor],
    targets: Mapping[str, LayerTarget],
    weights: Mapping[str, tf.Tensor],
) -> tf.Tensor:
    """Return hypercolumns of length 1 (or 0, where there is no structure), as rows.

    Args:
        columns: by layer, float32 (height, width, channels), all of the same height and width.
        targets: the style's, by layer.
        weights: of the layers.

    Returns:
        float32 (height x width, channels of all layers).
    """
    parts = [
        (columns[layer] - target["center"]) * target["scale"] * tf.sqrt(weights[layer])
        for layer, target in targets.items()
    ]
    rows = tf.concat([tf.reshape(part, [-1, part.shape[-1]]) for part in parts], axis=1)
    squares = tf.reduce_sum(tf.square(rows), axis=1, keepdims=True)
    return rows * tf.math.rsqrt(squares + SMALLEST_NORM**2)


def _of_picture(
    features: Mapping[str, tf.Tensor],
    targets: Mapping[str, LayerTarget],
    weights: Mapping[str, tf.Tensor],
) -> tf.Tensor:
    grid = quarter_grid(features)
    columns = {layer: averaged(of_layer, *grid) for layer, of_layer in features.items()}
    return _directions(columns, targets, weights)


def _of_style(targets: Mapping[str, LayerTarget], weights: Mapping[str, tf.Tensor]) -> tf.Tensor:
    columns = {layer: target["columns"] for layer, target in targets.items()}
    return _directions(columns, targets, weights)


def nearest(rows: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """Return, for each row, the index of that of the others with the largest product, int64.

    Args:
        rows: float32 (rows, channels).
        others: float32 (others, channels).
    """
    count, channels = tf.shape(rows)[0], rows.shape[1]
    chunks = -(-count // CHUNK)
    padded = tf.pad(rows, [[0, chunks * CHUNK - count], [0, 0]])
    found = tf.map_fn(
        lambda chunk: tf.argmax(tf.matmul(chunk, others, transpose_b=True), axis=1),
        tf.reshape(padded, [chunks, CHUNK, channels]),
        fn_output_signature=tf.TensorSpec([CHUNK], tf.int64),
        parallel_iterations=1,
    )
    return tf.reshape(found, [-1])[:count]


def _renewed(
    features: Mapping[str, tf.Tensor],
    targets: Mapping[str, LayerTarget],
    weights: Mapping[str, tf.Tensor],
) -> dict[str, dict[str, tf.Tensor]]:
    """Return the targets with the index of the neighbor of each of the picture's hypercolumns."""
    rows = _of_picture(features, targets, weights)
    neighbors = {"neighbors": nearest(rows, _of_style(targets, weights))}
    return {layer: {**target, **neighbors} for layer, target in targets.items()}


def _loss(
    features: Mapping[str, Any],
    targets: Mapping[str, LayerTarget],
    weights: Mapping[str, tf.Tensor],
) -> tf.Tensor:
    """Return the mean of 1 minus the cosine to the neighbor."""
    neighbors = next(iter(targets.values()))["neighbors"]
    wanted = tf.gather(_of_style(targets, weights), neighbors)
    rows = _of_picture(features, targets, weights)
    return tf.reduce_mean(1 - tf.reduce_sum(rows * wanted, axis=1))


NEIGHBORS = StyleLoss(
    *(_targets, lambda features, _: features, _loss),
    *(_pooled, _blended),
    renewed=_renewed,
)
