"""The losses of Gatys et al. (2016), as pure functions of pixels, targets and weights.

    content = sum over layers of w_l content_loss(F_l, P_l)
    style   = sum over layers of w_l style_loss(G_l, A_l)
    total   = content_weight content + style_weight style + tv_weight tv

A frame that follows another one has a fourth term (Ruder et al. 2016, section 4.2): temporal_weight
times the mean over pixels and channels of mask (x - warped)^2, where x are the pixels (`frames`).

F: activations of the picture, P: of the content; G: Gram matrices of the picture, A: of the style,
each divided by its own picture's number of positions. A convention defines the three losses
(`conventions`). `TERMS` computes the terms of the total.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial, reduce
from operator import add
from typing import Any, NamedTuple

from nst_core.networks.encoder import Encoder
from nst_core.networks.forward import activations
from nst_core.quiet_tensorflow import tf
from nst_core.transfer.losses.conventions import Convention, convention_of
from nst_core.transfer.losses.loss_weights import NOTHING, LossWeights
from nst_core.transfer.losses.rematerialization import rematerialized
from nst_core.transfer.losses.self_similarity import with_channel
from nst_core.transfer.losses.terms import terms_of
from nst_core.transfer.masks.guided import Region, region_statistics
from nst_core.transfer.settings import Normalization, TvKind
from nst_core.transfer.style_losses.costs import GRAM
from nst_core.transfer.style_losses.losses import STYLE_LOSSES
from nst_core.transfer.style_losses.relative import relative_loss
from nst_core.transfer.styles.statistics import gram_matrix


class Targets(NamedTuple):
    """What the losses compare the picture with at one octave, by layer name.

    Attributes:
        others: targets of the style losses besides `gram`, by loss, layer and name.
        similarities: self-similarities of the content with a channel axis, float32 (cells, cells,
            1); if there are any, there are no content targets.
        regions: the regions of a picture with a mask, which have the targets of their styles; there
            are then no others.
        frame: for the temporal loss, `picture` (height, width, 3) and `mask` (height, width, 1) of
            `frames.Followed`; empty if there is none.
    """

    content: dict[str, tf.Tensor]
    grams: dict[str, tf.Tensor]
    centers: dict[str, tf.Tensor]
    others: Mapping[str, Mapping[str, Mapping[str, tf.Tensor]]] = NOTHING
    similarities: Mapping[str, tf.Tensor] = NOTHING
    regions: tuple[Region, ...] = ()
    frame: Mapping[str, tf.Tensor] = NOTHING


class LossTerms(NamedTuple):
    """Losses as float32 scalars.

    Attributes:
        total: the sum of the terms, each times its weight.
        terms: the terms that the picture has, before their weights, by the names in `LOSS_TERMS`.
        style_layers: relative losses by layer name, comparable between rows and sizes.
    """

    total: tf.Tensor
    terms: dict[str, tf.Tensor]
    style_layers: dict[str, tf.Tensor]


class Seen(NamedTuple):
    """What the terms are computed from.

    Attributes:
        pixels: sRGB in [0, 1], float32, (height, width, 3).
        scale: the factor that gives the pixels the units of the convention.
        activations: (height, width, channels) of each layer that has a target; with
            rematerialization, of each layer with a content target only.
        grams: (channels, channels) of each layer with a style target.
        statistics: of each style layer, what the style losses besides `gram` compare, by loss; with
            regions, what `guided.region_statistics` returns.
        targets: what the losses compare these with.
        weights: weights of the layers, within each loss.
        convention: the formulas of the losses.
        regions: the same for each region of a picture with a mask, with its own Gram matrices,
            statistics and targets.
    """

    pixels: tf.Tensor
    scale: float
    activations: dict[str, tf.Tensor]
    grams: dict[str, tf.Tensor]
    statistics: dict[str, Any]
    targets: Targets
    weights: LossWeights
    convention: Convention
    regions: tuple["Seen", ...] = ()


def _content(seen: Seen) -> tf.Tensor:
    loss, weights = seen.convention.content, seen.weights.content_layers
    if similarities := seen.targets.similarities:
        found = {layer: with_channel(seen.activations[layer]) for layer in similarities}
        return _sum_of_layers(relative_loss, found, similarities, weights)
    return _sum_of_layers(loss, seen.activations, seen.targets.content, weights)


def _style(seen: Seen) -> tf.Tensor:
    if seen.regions:
        losses = map(_style_of_one, seen.regions)
        return _sum_by_share(seen.targets.regions, losses)
    return _style_of_one(seen)


def _sum_by_share(regions: Iterable[Region], losses: Iterable[tf.Tensor]) -> tf.Tensor:
    """Return the sum of each region's loss times the share of the picture that it covers."""
    return tf.add_n([region.share * loss for region, loss in zip(regions, losses, strict=True)])


def _style_of_one(seen: Seen) -> tf.Tensor:
    """Return the style loss of a picture without regions, or of one region."""
    weights = seen.weights.style_losses
    if not weights:
        return _gram(seen)
    losses = {
        name: STYLE_LOSSES[name].loss(
            {layer: of_layer[name] for layer, of_layer in seen.statistics.items()},
            *(targets, seen.weights.style_layers),
        )
        for name, targets in seen.targets.others.items()
    }
    if GRAM in weights:
        losses[GRAM] = _gram(seen)
    return tf.add_n([weight * losses[name] for name, weight in weights.items()])


def _gram(seen: Seen) -> tf.Tensor:
    loss, weights = seen.convention.style, seen.weights.style_layers
    return _sum_of_layers(loss, seen.grams, seen.targets.grams, weights)


def _variation(seen: Seen) -> tf.Tensor:
    return seen.convention.variation(seen.pixels * seen.scale)


def _temporal(seen: Seen) -> tf.Tensor:
    frame = seen.targets.frame
    return tf.reduce_mean(frame["mask"] * tf.square(seen.pixels - frame["picture"]))


TERMS: Mapping[str, Callable[[Seen], tf.Tensor]] = {
    "content": _content,
    "style": _style,
    "tv": _variation,
    "temporal": _temporal,
}
"""The function of each term in `LOSS_TERMS`, which returns a float32 scalar before its weight."""


def loss_terms(
    encoder: Encoder,
    normalization: Normalization,
    pixels: tf.Tensor,
    targets: Targets,
    weights: LossWeights,
    *,
    tv_kind: TvKind = "l2",
    rematerialize: bool = False,
    known: Mapping[str, tf.Tensor] | None = None,
) -> LossTerms:
    """Return all losses of a picture.

    Args:
        encoder: the feature network.
        normalization: the convention that defines the losses.
        pixels: sRGB in [0, 1], float32, (height, width, 3).
        targets: the content targets must have been computed at the same height and width.
        weights: weights of the losses and, within each, of the layers.
        tv_kind: the kind of total variation.
        rematerialize: keep no activations for the gradient but those of content layers.
        known: the activations of `tapped_layers`, if they are computed already.
    """
    convention = convention_of(normalization, tv_kind)
    seen = _seen(
        *(encoder, convention, pixels, targets, weights, known), rematerialize=rematerialize
    )
    present = terms_of(is_frame=bool(targets.frame))
    terms = weights.scaled({term: TERMS[term](seen) for term in present})
    return LossTerms(
        # The order decides the last bits of the total, and so of the pixels.
        total=reduce(add, (weights.terms[term] * loss for term, loss in terms.items())),
        terms=terms,
        style_layers=_relative_losses(seen),
    )


def tapped_layers(targets: Targets) -> set[str]:
    """Return the names of the layers whose activations the losses need."""
    return {*targets.content, *targets.similarities, *_measures(targets)}


def _relative_losses(seen: Seen) -> dict[str, tf.Tensor]:
    """Return the relative losses of Gram matrices by layer; of regions, the mean by their shares.

    So a region counts as a picture of its own would, and rows with and without masks compare.
    """
    if not seen.regions:
        return {
            layer: relative_loss(seen.grams[layer], target)
            for layer, target in seen.targets.grams.items()
        }
    regions, losses = seen.targets.regions, [*map(_relative_losses, seen.regions)]
    covered = tf.add_n([region.share for region in regions])
    return {
        layer: _sum_by_share(regions, [of[layer] for of in losses]) / covered for layer in losses[0]
    }


def _seen(
    encoder: Encoder,
    convention: Convention,
    pixels: tf.Tensor,
    targets: Targets,
    weights: LossWeights,
    known: Mapping[str, tf.Tensor] | None,
    *,
    rematerialize: bool,
) -> Seen:
    """Return what the terms are computed from; see `loss_terms`."""
    of_content = {*targets.content, *targets.similarities}
    others = _measures(targets)
    if rematerialize and known is None:
        layers, grams, statistics = rematerialized(
            *(encoder, pixels, of_content, targets.centers, others)
        )
    else:
        layers = {**known} if known else activations(encoder, pixels, {*of_content, *others})
        grams = {
            layer: gram_matrix(layers[layer], center) for layer, center in targets.centers.items()
        }
        statistics = {layer: measure(layers[layer]) for layer, measure in others.items()}
    scale = encoder.topology.preprocessing.scale if convention.in_network_units else 1.0
    seen = Seen(pixels, scale, layers, grams, statistics, targets, weights, convention)
    regions = enumerate(targets.regions)
    return seen._replace(regions=tuple(_within(seen, index, region) for index, region in regions))


def _within(seen: Seen, index: int, region: Region) -> Seen:
    """Return what the style loss of a region is computed from."""
    found = {layer: of_layer[index] for layer, of_layer in seen.statistics.items()}
    return seen._replace(
        grams={layer: statistics.gram for layer, statistics in found.items()},
        statistics={layer: statistics.others for layer, statistics in found.items()},
        targets=seen.targets._replace(grams=region.grams, others=region.others, regions=()),
    )


def _measures(targets: Targets) -> dict[str, Callable[[tf.Tensor], Any]]:
    """Return by style layer what is computed from its features, besides Gram matrices of all."""
    if regions := targets.regions:
        return {layer: partial(region_statistics, regions, layer) for layer in regions[0].grams}
    return {layer: partial(_statistics, targets, layer) for layer in targets.centers}


def _statistics(targets: Targets, layer: str, features: tf.Tensor) -> dict[str, Any]:
    """Return what the style losses besides `gram` compare at a layer, by loss."""
    return {
        name: STYLE_LOSSES[name].statistic(features, of_style[layer])
        for name, of_style in targets.others.items()
    }


def _sum_of_layers(
    loss: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    values: Mapping[str, tf.Tensor],
    targets: Mapping[str, tf.Tensor],
    weights: Mapping[str, tf.Tensor],
) -> tf.Tensor:
    """Return the weighted sum of the losses at all layers that have a target."""
    return tf.add_n(
        [weights[layer] * loss(values[layer], target) for layer, target in targets.items()]
    )
