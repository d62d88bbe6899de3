"""What a page shows of numbers: loss curves as lines of an SVG, losses and shares as texts."""

import math
import re
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup, escape

from tasks.store.curves import thinned

CURVE_WIDTH, CURVE_HEIGHT = 120, 32
MINUS = "\N{MINUS SIGN}"
MOST_CURVE_POINTS = 40
"""The most points of an octave; more than there are pixels would only make the page longer."""


def curve_lines(octaves: Sequence[Sequence[float]]) -> list[str]:
    """Return the points of one SVG line for each octave, with losses on a logarithmic scale.

    Args:
        octaves: losses by octave; those that are not positive and finite are left out.
    """
    shown = [
        thinned([loss for loss in octave if 0 < loss < math.inf], MOST_CURVE_POINTS)
        for octave in octaves
    ]
    levels = [[math.log(loss) for loss in octave] for octave in shown]
    everything = [level for octave in levels for level in octave]
    if len(everything) < 2:
        return []
    lowest, highest = min(everything), max(everything)
    across = CURVE_WIDTH / (len(everything) - 1)
    down = (CURVE_HEIGHT - 2) / ((highest - lowest) or 1)
    lines, before = [], 0
    for octave in levels:
        places = [
            f"{(before + number) * across:.1f},{1 + (highest - level) * down:.1f}"
            for number, level in enumerate(octave)
        ]
        lines.append(" ".join(places))
        before += len(octave)
    return [line for line in lines if line]


def loss_text(loss: float | None) -> str:
    """Return a loss with three significant digits, in short form."""
    return "" if loss is None else f"{loss:.3g}"


def share_text(share: Any) -> str:
    """Return a share such as `+12%`, with a true minus sign."""
    digits = 0 if abs(share) >= 0.1 else 1
    return f"{share:+.{digits}%}".replace("-", MINUS)


def breakable(name: str) -> Markup:
    """Return a name as HTML whose lines may end after `_` and `/`, where words end in names.

    Browsers would otherwise break long names anywhere.
    """
    return Markup("<wbr>").join(map(escape, re.split("(?<=[_/])(?=.)", name)))
