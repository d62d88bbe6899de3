"""The targets of several styles put together: a blend, or different styles at different scales.

A blend of Gram matrices is their weighted mean, as in neural-style. If the loss is a sum of
squares, this has the same gradient as the weighted mean of the losses of each style.

Centers and centered Gram matrices are both averaged. The blend lacks what the covariance of a
mixture has besides, the covariance of the styles' means. With it, the result would vary between
these means, with regions of the one style and regions of the other. In the literature, styles are
interpolated in the same way: Dumoulin et al. 2017 ("A learned representation for artistic style")
and Huang & Belongie 2017 ("Arbitrary style transfer in real-time with adaptive instance
normalization") average means and standard deviations, and Wasserstein barycenters of normal
distributions have the average mean and no such term, either.

Each style loss says itself how its targets blend (`style_losses`).
"""

from collections.abc import Mapping, Sequence

from nst_core.images.pixels import PictureLike
from nst_core.networks.encoder import Encoder
from nst_core.transfer.colors.colors import ColorStatistics
from nst_core.transfer.masks.mask_checks import ONE_PICTURE
from nst_core.transfer.masks.masks import MaskError
from nst_core.transfer.settings import Settings
from nst_core.transfer.style_losses.losses import STYLE_LOSSES
from nst_core.transfer.style_losses.pooling import weighted_mean
from nst_core.transfer.styles.statistics import style_targets
from nst_core.transfer.styles.style_shares import Shares, shares_of_styles, why_not_mixed
from nst_core.transfer.styles.styles import Blend, Samples
from nst_core.transfer.styles.targets import Array, LossTargets, StyleTargets


def targets_of(
    encoder: Encoder,
    style: PictureLike | Samples | Blend,
    settings: Settings,
    mask: PictureLike | None = None,
) -> StyleTargets:
    """Return the targets of a style, or of several put together.

    Args:
        encoder, settings: as in `style_targets`.
        style: a style as in `style_targets`, or several.
        mask: of a style that is a single picture; as in `style_targets`.

    Raises:
        ValueError: as in `style_targets`, or `style_blend` does not fit the number of styles.
        MaskError: as in `style_targets`; there are several styles, and a mask.
    """
    styles = style.styles if isinstance(style, Blend) else [style]
    count = len(styles)
    shares = shares_of_styles(settings, count)
    for wrong in why_not_mixed(settings, count):
        raise ValueError(f"style_mix: {wrong}")
    targets = [style_targets(encoder, one, settings, mask, to_blend=count > 1) for one in styles]
    return blended_targets(targets, shares)


def blended_targets(targets: Sequence[StyleTargets], shares: Shares) -> StyleTargets:
    """Return the targets of several styles put together.

    Args:
        targets: from `style_targets` with the same encoder and settings, and with `to_blend` if
            there is more than one.
        shares: from `style_shares.shares_of_styles`.

    Returns:
        New targets; those of a single style as they are.

    Raises:
        ValueError: there are more or fewer targets than shares.
        MaskError: a style has regions.
    """
    if len(targets) == 1:
        return targets[0]
    if any(each.regions for each in targets):
        raise MaskError(f"style_mask: {ONE_PICTURE}")
    others = [
        _blended_others([each.others[octave] for each in targets], of_octave)
        for octave, of_octave in enumerate(shares.octaves)
        if targets[0].others
    ]
    return StyleTargets(
        grams=_blended_arrays([each.grams for each in targets], shares),
        centers=_blended_arrays([each.centers for each in targets], shares),
        colors=ColorStatistics(
            weighted_mean([each.colors.mean for each in targets], shares.colors),
            weighted_mean([each.colors.covariance for each in targets], shares.colors),
        ),
        others=tuple(others),
    )


def _blended_arrays(
    styles: Sequence[tuple[Mapping[str, Array], ...]], shares: Shares
) -> tuple[Mapping[str, Array], ...]:
    """Return the means of arrays by octave and layer."""
    return tuple(
        {
            layer: weighted_mean([style[layer] for style in octave], of_octave[layer])
            for layer in octave[0]
        }
        for octave, of_octave in zip(zip(*styles, strict=True), shares.octaves, strict=True)
    )


def _blended_others(
    targets: Sequence[LossTargets], shares: Mapping[str, Sequence[float]]
) -> LossTargets:
    """Return the targets of the style losses besides `gram` at one octave."""
    return {
        name: STYLE_LOSSES[name].blended([each[name] for each in targets], shares)
        for name in targets[0]
    }
