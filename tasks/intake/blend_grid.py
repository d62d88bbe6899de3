"""Rows that lead from one style to others: the weights of their blends, and names that say them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from nst_core.storage.places import Place, name_of
from nst_core.transfer.setting_types import style_blend_text
from tasks.store.output_names import DEFAULT_SUFFIX, nearest_output

FEWEST_STYLES, MOST_STYLES = 2, 4

LONGEST_STEM = 32
"""The most characters of each picture's name in the name of a result."""


def blend_grid(styles: int, steps: int) -> list[tuple[float, ...]]:
    """Return the weights of each blend; they add up to 1.

    * With two styles, these are `steps` blends from the first style to the second.
    * With four, they are `steps` x `steps` blends, row by row. The styles are at the corners, the
      first two at the top, and weights are bilinear in between.
    * With three, the fourth corner is half of the second style and half of the third, so that the
      square has every blend of a triangle once.

    Args:
        styles: the number of styles, from 2 to 4.
        steps: the number of blends along a side, from 2.
    """
    along = [step / (steps - 1) for step in range(steps)]
    if styles == FEWEST_STYLES:
        return [(1 - across, across) for across in along]
    grid = []
    for down in along:
        for across in along:
            corners = [
                (1 - across) * (1 - down),
                across * (1 - down),
                (1 - across) * down,
                across * down,
            ]
            if styles < MOST_STYLES:
                last = corners.pop()
                corners = [corners[0], corners[1] + last / 2, corners[2] + last / 2]
            grid.append(tuple(corners))
    return grid


def blended_rows(
    contents: Sequence[Place], styles: Sequence[Place], steps: int
) -> Iterator[tuple[Place, str, str]]:
    """Yield for each row the content, the output and the weights of the styles.

    Outputs say the weights above 0, with as few digits as distinguish all of them. They have no
    extension, so that the format of a batch or of a row decides it.

    Args:
        contents: the pictures, each of which gets all blends.
        styles: two to four of them.
        steps: the number of blends along a side.
    """
    grid = blend_grid(len(styles), steps)
    names = [_stem(style) for style in styles]
    digits = next(
        digits for digits in range(2, 17) if len({_written(it, digits) for it in grid}) == len(grid)
    )
    seen: Counter[str] = Counter()
    for content in contents:
        stem = _stem(content)
        seen[stem] += 1
        before = stem if seen[stem] == 1 else f"{stem}-{seen[stem]}"
        for weights in grid:
            shares = zip(names, weights, _written(weights, digits), strict=True)
            parts = [name + share for name, weight, share in shares if weight]
            output = nearest_output(f"{before}_{'+'.join(parts)}{DEFAULT_SUFFIX}")
            yield content, output.removesuffix(DEFAULT_SUFFIX), style_blend_text(weights)


def _written(weights: Sequence[float], digits: int) -> tuple[str, ...]:
    return tuple(f"{weight:.{digits}f}" for weight in weights)


def _stem(picture: Place) -> str:
    return PurePosixPath(name_of(picture)).stem[:LONGEST_STEM]
