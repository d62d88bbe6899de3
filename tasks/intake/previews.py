"""Previews: rows at a smaller size, and the few rows that show best what a manifest is about."""

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace

from nst_core.images.read import PictureFacts
from nst_core.images.resize import fit
from nst_core.networks import CATALOGUE
from nst_core.storage.places import Place
from nst_core.transfer.octaves import SMALLEST_SIDE
from nst_core.transfer.settings import Settings
from tasks.row import Row

LARGEST_STYLE_SCALE = 4.0

WORTH = {"style": 3.0, "settings": 2.0, "content": 1.0}
"""How much it is worth that a preview shows another style, other settings or another content."""


def previewed(row: Row, content: object, side: int) -> Row:
    """Return a row at the size of a preview, which knows its settings in full.

    Args:
        row: a row of a manifest.
        content: what is known about its content; the row stays as it is if this is no picture.
        side: the longest side of the preview, in pixels.
    """
    if not isinstance(content, PictureFacts):
        return row
    settings = preview_settings(row.settings, (content.height, content.width), side)
    return replace(row, settings=settings, in_full=row.settings)


def preview_settings(settings: Settings, content: tuple[int, int], side: int) -> Settings:
    """Return the settings of a preview.

    Octaves are left out as the picture gets smaller, so that the first one stays about as large as
    in full: the preview shows what the finer octaves would have started from. The style keeps its
    size relative to the picture.

    Args:
        settings: those of the row.
        content: height and width of the content, in pixels.
        side: the longest side of the preview, in pixels. It is longer if the encoder needs more
            pixels, or if each octave has its own style; a result that is not longer stays as it is.
    """
    whole = fit(*content, settings.size, enlarge=settings.enlarge)
    longest = max(side, _least_side(settings, whole))
    if longest >= max(whole):
        return settings
    left_out = 0 if settings.style_mix == "octaves" else round(math.log2(max(whole) / longest))
    scale = settings.style_scale * settings.size / max(whole)
    return settings.model_copy(
        update={
            "size": longest,
            "octaves": max(1, settings.octaves - left_out),
            "style_scale": min(scale, LARGEST_STYLE_SCALE),
        }
    )


def _least_side(settings: Settings, whole: tuple[int, int]) -> int:
    """Return the shortest that the longest side of a preview may be, in pixels."""
    layers = {*settings.content_layer_weights, *settings.style_layer_weights}
    shorter = CATALOGUE[settings.encoder].topology.smallest_side(layers)
    if settings.style_mix == "octaves":
        shorter = max(shorter, SMALLEST_SIDE * 2 ** (settings.octaves - 1))
    return math.ceil(shorter * max(whole) / min(whole))


def representative(rows: Sequence[Row], count: int) -> list[int]:
    """Return the lines of rows that differ as much as possible, in the order of the manifest.

    Each next row is the one that shows most of what was shown least: styles before settings before
    contents, and the first such row of the manifest. Rows with faults, and frames after the first,
    which need the frames before them, are left out.

    Args:
        rows: the rows of a manifest.
        count: how many rows are wanted; there are fewer if the manifest has fewer.
    """
    left = {row.line: features for row, features in _featured(_candidates(rows))}
    shown: Counter[Hashable] = Counter()
    chosen: list[int] = []
    while left and len(chosen) < count:
        line = max(left, key=lambda each: _worth(left[each], shown))
        shown.update(left.pop(line).keys())
        chosen.append(line)
    return sorted(chosen)


def _candidates(rows: Iterable[Row]) -> list[Row]:
    begun: set[str] = set()
    good = []
    for row in rows:
        if not row.faults and row.sequence not in begun:
            good.append(row)
        if row.sequence:
            begun.add(row.sequence)
    return good


def _featured(rows: Sequence[Row]) -> Iterable[tuple[Row, Mapping[Hashable, float]]]:
    """Yield rows with what each of them shows, and how much that is worth."""
    values = [row.settings.model_dump() for row in rows]
    varied = [name for name in Settings.model_fields if len({repr(v[name]) for v in values}) > 1]
    for row, settings in zip(rows, values, strict=True):
        styles: tuple[Place, ...] = tuple(style.place for style in row.styles)
        yield (
            row,
            {
                ("style", styles): WORTH["style"],
                ("content", row.content): WORTH["content"],
                **{
                    (name, repr(settings[name])): WORTH["settings"] / len(varied) for name in varied
                },
            },
        )


def _worth(features: Mapping[Hashable, float], shown: Mapping[Hashable, int]) -> float:
    return sum(worth / (1 + shown.get(feature, 0)) for feature, worth in features.items())
