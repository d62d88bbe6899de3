"""The scores of a finished row, computed from what is saved, without its style's targets."""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nst_core.errors import UserError
from nst_core.images.color_profiles import as_srgb
from nst_core.images.formats.contents import Pixels
from nst_core.images.read import Picture
from nst_core.scoring.patches import possible_bands
from nst_core.scoring.scores import (
    at_shape,
    compared_shape,
    compared_style_shape,
    content_score,
    style_score,
)
from nst_core.scoring.style import StyleStatistics, statistics_key
from nst_core.transfer.styles.style_shares import weights_of_styles
from tasks.intake.examine import load_picture
from tasks.job import Job, StylePicture
from tasks.store.kept_statistics import keep_statistics, kept_statistics
from tasks.store.row_scores import RowScores
from tasks.store.style_cache import StyleCache

logger = logging.getLogger("nst_batch.scores")

DECIMALS = 4
"""More would be those of one machine: its library for matrices decides the last digits."""


def scores_of(
    job: Job, content: Picture, saved: Pixels, made: tuple[int, int], cache: StyleCache
) -> tuple[RowScores, tuple[str, ...]]:
    """Return the scores of a finished row, and warnings of those that cannot be computed.

    A picture is worth more than its scores: nothing that goes wrong here makes the row fail.

    Args:
        job: the row.
        content: its content, as it was stylized.
        saved: the pixels of its file, (height, width, 3).
        made: height and width at which it was optimized; the file may have an enlarged picture.
        cache: where what is needed of styles is kept.
    """
    compared, warnings = _Compared(job, content, saved, made, cache), []

    def guarded(column: str, compute: Callable[[], float | None]) -> float | None:
        try:
            return _rounded(compute())
        except Exception as error:
            why = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            logger.warning("%s: its %s cannot be computed: %s", job.output, column, why)
            logger.debug("why there is no %s", column, exc_info=True)
            warnings.append(f"{column}: the picture is made, but cannot be judged ({why})")
            return None

    style = guarded("style_score", compared.style_score)
    content_kept = guarded("content_score", compared.content_score)
    return RowScores(style=style, content=content_kept), tuple(warnings)


def _rounded(score: float | None) -> float | None:
    if score is None:
        return None
    if not math.isfinite(score):
        raise ValueError(f"found {score}, expected a finite number")
    return round(score, DECIMALS) + 0.0  # there is no score of -0


@dataclass(frozen=True)
class _Compared:
    """The pictures of a row at the size at which they are compared; see `scores_of`."""

    job: Job
    content: Picture
    saved: Pixels
    made: tuple[int, int]
    cache: StyleCache

    def style_score(self) -> float | None:
        """Return the weighted mean over styles, of the mean over the pictures of each.

        Of a row with a mask there is none, because parts of the picture have different styles.
        """
        job = self.job
        if job.content.mask.regions or _has_style_mask(job) or job.settings.alpha_mask:
            return None
        total = 0.0
        weights = weights_of_styles(job.settings, len(job.styles))
        for style, weight in zip(job.styles, weights, strict=True):
            for picture in style.pictures:
                score = style_score(*self._pair, self._statistics(picture))
                if score is None:
                    return None
                total += score * weight / len(style.pictures)
        return total

    def content_score(self) -> float:
        return content_score(*self._pair)

    @cached_property
    def _pair(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The saved picture and the content, in sRGB."""
        shape, space = compared_shape(self.made), self.content.space
        judged, original = (at_shape(each, shape) for each in (self.saved, self.content.rgb))
        return as_srgb(judged, space), as_srgb(original, space)

    def _statistics(self, picture: StylePicture) -> StyleStatistics:
        """Return what is needed of a picture of a style, from the cache or from the picture.

        Raises:
            PictureError: it cannot be read, or changed while the batch ran.
        """
        job, side = self.job, max(self.made)
        # A content that is smaller than `size` is smaller beside its style.
        scale = job.settings.style_scale * job.settings.size / max(job.shape)
        shape = compared_style_shape(picture.shape, side, scale)
        most = possible_bands(compared_shape(self.made))
        key = statistics_key(picture.sha256, shape, most)
        if found := kept_statistics(self.cache, key):
            return found
        loaded = load_picture(
            *(picture.place, picture.sha256),
            size=max(shape),
            enlarge=False,
            max_pixels=job.max_pixels,
        )
        found = StyleStatistics.of(at_shape(loaded.rgb, shape), most)
        keep_statistics(self.cache, key, found)
        return found


def _has_style_mask(job: Job) -> bool:
    return bool(job.style_mask.place or job.style_mask.regions)
