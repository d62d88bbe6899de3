"""Warnings about rows that were still done, for the table, the page and reports."""

import math
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from nst_core.images.read import PictureFacts
from nst_core.transfer.settings import Settings

if TYPE_CHECKING:
    from nst_core.transfer.stylize import Outcome

NOTHING: Mapping[str, PictureFacts] = MappingProxyType({})

MOSTLY_HIDDEN = 0.9
"""The share of transparent pixels above which a content is hardly visible."""

ABSURD_RISE = 10
"""A result is absurd if its loss is more than this many times that of the start. The result
is the best picture, so only the final rounding to 8 bits can raise the loss, unless `strength` or
`color` changes the picture after the optimization."""

ABSURD_RELATIVE_LOSS = 1000
"""A higher relative loss is absurd: a picture without texture has 1, and results less than 10."""


def warnings_of_pictures(
    content: PictureFacts,
    styles: Iterable[tuple[str, PictureFacts]],
    others: Mapping[str, PictureFacts] = NOTHING,
) -> Iterator[str]:
    """Yield what is odd about a row's pictures.

    Args:
        content: the picture that is stylized.
        styles: the pictures of its styles, and what each is called: `style` if it is the only one.
        others: those that the row may do without, by column.
    """
    styles = [*styles]
    for column, facts in (("content", content), *styles, *others.items()):
        for clause in facts.warnings:
            yield f"{column}: {clause}"
    if content.hidden == 1:
        yield "content: it is completely transparent, so only white is stylized"
    elif content.hidden > MOSTLY_HIDDEN:
        yield f"content: {content.hidden:.0%} of it is transparent"
    for name, style in styles:
        if style.is_flat:
            yield f"{name}: it has just one color, and no texture that could be transferred"


def warnings_of_losses(outcome: "Outcome", settings: Settings) -> Iterator[str]:
    """Yield what is odd about how an optimization with these settings ended."""
    total, start = outcome.losses.total, outcome.start_losses.total
    layers = outcome.losses.style_layers
    if not all(map(math.isfinite, (total, start, *layers.values()))):
        yield "losses: some are not finite, and are shown as 3.4e38"
        return
    is_changed = settings.color == "content" or settings.strength < 1
    if total > ABSURD_RISE * start > 0 and not is_changed:
        yield (
            f"losses: the total of {total:.3g} is far above that of the starting picture, "
            f"{start:.3g}"
        )
    worst = max(layers, key=layers.__getitem__, default="")
    if worst and layers[worst] > ABSURD_RELATIVE_LOSS:
        yield (
            f"losses: the style layer {worst} has a relative loss of {layers[worst]:.3g}: the "
            "style has almost no texture at that layer"
        )
