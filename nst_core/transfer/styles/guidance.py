"""Guidance: which style applies where in a picture, and what stays as it is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nst_core.images.pixels import PictureLike, Pixels, as_pixels
from nst_core.networks.topology import Topology
from nst_core.quiet_tensorflow import tf
from nst_core.transfer.colors.colors import match_colors
from nst_core.transfer.masks.guided import Region
from nst_core.transfer.masks.mask_checks import check_aspect, check_colors, check_settings
from nst_core.transfer.masks.mask_colors import Color, nearest
from nst_core.transfer.masks.masks import Regions, Weights, coverage_of, given_mask, scaled
from nst_core.transfer.settings import Settings
from nst_core.transfer.styles.statistics import octave_targets
from nst_core.transfer.styles.targets import StyleTargets


@dataclass(frozen=True)
class Guidance:
    """The styles of the regions of a picture.

    Attributes:
        weights: of the regions, at the size of the result.
        styles: the targets of the style in each region.
    """

    weights: Weights
    styles: tuple[StyleTargets, ...]

    @classmethod
    def of(
        cls,
        content: PictureLike,
        mask: PictureLike | None,
        targets: StyleTargets,
        settings: Settings,
        shape: tuple[int, int],
    ) -> "Guidance | None":
        """Return the guidance of a stylization; None if all of the picture has the same style.

        Args:
            content: the picture; its transparency is its mask if there is no other and the
                settings say so.
            mask: of the content, if there is one.
            targets: those of the style.
            settings: how to stylize.
            shape: height and width of the result, in pixels.

        Raises:
            MaskError: the mask does not fit the picture, the style or the settings.
        """
        given, pixels = given_mask(mask, content, settings), as_pixels(content)
        if given is None:
            check_colors(None, targets.regions)
            return None
        regions = Regions.of(given, "content_mask")
        check_aspect(regions.weights.shape[:2], pixels.shape[:2], "content_mask")
        check_colors(regions.colors, targets.regions)
        if regions.is_whole and not targets.regions:
            return None
        check_settings(settings)
        weights = regions.scaled(*shape).feathered(settings.mask_feather).weights
        return cls(weights, tuple(_targets_of(color, targets) for color in regions.colors))

    @property
    def coverage(self) -> NDArray[np.float32]:
        """How much of each pixel is stylized, float32 (height, width, 1) in [0, 1]."""
        return coverage_of(self.weights)

    def prepared(self, content: Pixels, settings: Settings) -> Pixels:
        """Return the content with the colors that it is optimized with.

        Each region gets the colors of its own style, and the rest stays as it is.

        Args:
            content: sRGB in [0, 1], float32 (height, width, 3), of the result's size.
            settings: how to stylize.
        """
        if not settings.match_colors:
            return content
        moved = content
        planes = np.moveaxis(self.weights, -1, 0)
        for weights, style in zip(planes, self.styles, strict=True):
            matched = match_colors(
                content, style.colors, method=settings.color_match, weights=weights
            )
            share = np.float32(settings.strength) * weights[..., np.newaxis]
            moved = moved + share * (matched - content)
        return moved.clip(0, 1)

    def regions(
        self, topology: Topology, settings: Settings, octave: int, shape: tuple[int, int]
    ) -> tuple[Region, ...]:
        """Return the regions at an octave.

        Args:
            topology: that of the encoder.
            settings: name the style layers.
            octave: its index.
            shape: its height and width, in pixels.
        """
        shapes = topology.shapes(*shape, settings.style_layer_weights)
        by_layer = {layer: scaled(self.weights, *of_layer) for layer, of_layer in shapes.items()}
        shares = self.weights.mean(axis=(0, 1), dtype=np.float64)
        return tuple(
            Region(
                share=tf.constant(shares[index], tf.float32),
                weights={
                    layer: tf.constant(weights[..., index : index + 1])
                    for layer, weights in by_layer.items()
                },
                **octave_targets(style, octave, shapes),
            )
            for index, style in enumerate(self.styles)
        )


def _targets_of(color: Color, targets: StyleTargets) -> StyleTargets:
    """Return the targets of the style's region of a color; of all if the style has no regions."""
    found = nearest(color, targets.regions)
    return targets if found is None else targets.regions[found]
