"""Which contents get which styles."""

import hashlib
from collections.abc import Sequence
from typing import Literal

from tasks.intake.layout.errors import LayoutError
from tasks.intake.layout.pictures import Content, Style

Pairing = Literal["all", "zip", "random"]
Pairs = list[tuple[Content, Style]]


def pair(contents: Sequence[Content], styles: Sequence[Style], how: Pairing, seed: int) -> Pairs:
    """Return pairs of contents and styles, by content.

    Args:
        contents, styles: at least one of each.
        how: every content gets all styles (`all`), the one at its own place (`zip`), or one that
            only depends on the content's path, the styles' names and the seed (`random`).
        seed: chooses other random pairs.

    Raises:
        LayoutError: as many styles as contents are needed, and there are more or fewer.
    """
    if how == "all":
        return [(content, style) for content in contents for style in styles]
    if how == "random":
        return [(content, _drawn(content, styles, seed)) for content in contents]
    if len(contents) != len(styles):
        raise LayoutError(
            f"--pairing zip: found {len(contents)} contents and {len(styles)} styles; expected as "
            "many styles as contents, or choose --pairing all or random"
        )
    return [*zip(contents, styles, strict=True)]


def _drawn(content: Content, styles: Sequence[Style], seed: int) -> Style:
    """Return the style that wins for a content, which no other content can change."""

    def lot(style: Style) -> bytes:
        drawn = "\0".join((str(seed), content.path, style.name))
        return hashlib.sha256(drawn.encode()).digest()

    return max(styles, key=lot)
