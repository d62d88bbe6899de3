"""The contact sheet of a sweep: for each content and style, what the values of settings do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.report.gallery.page import GalleryRow
from tasks.report.varied import VariedSetting, what_varies

Pair = tuple[str, str]
"""The names of a content and its style."""


@dataclass(frozen=True)
class SweepGrid:
    """The rows of a sweep as a grid.

    The setting with the most values is across. Below each other are the pairs of contents and
    styles, and for each of them the values of all other settings.

    Attributes:
        down: what each line of the grid shows: a pair, and what people see of the other settings.
        across: what people see of the values of the setting that is across.
        cells: the rows by line and column of the grid.
    """

    down: tuple[tuple[Pair, str], ...]
    across: tuple[str, ...]
    cells: Mapping[tuple[int, int], GalleryRow]

    def first(self, line: int) -> GalleryRow:
        """Return the first row of a line of the grid."""
        return self.cells[line, 0]


def sweep_grid(rows: Sequence[GalleryRow]) -> SweepGrid | None:
    """Return rows as a grid; None if they are not exactly one row for each place in it."""
    varied = what_varies(row.settings for row in rows)
    if not varied or not all(row.settings for row in rows):
        return None
    wide = max(enumerate(varied), key=lambda each: (len(each[1].values), each[0]))[1]
    others = [each for each in varied if each is not wide]

    def place_of(row: GalleryRow) -> tuple[tuple[Pair, tuple[str, ...]], str]:
        pair = (row.content.name, row.style.name)
        texts = tuple(each.text_of(row.settings) for each in others)
        return (pair, texts), wide.text_of(row.settings)

    places = [place_of(row) for row in rows]
    pairs = list(dict.fromkeys(pair for (pair, _), _ in places))
    lines = sorted(
        dict.fromkeys(line for line, _ in places),
        key=lambda line: (
            pairs.index(line[0]),
            [each.values.index(text) for each, text in zip(others, line[1], strict=True)],
        ),
    )
    if not len(rows) == len(set(places)) == len(lines) * len(wide.values):
        return None
    down = {line: at for at, line in enumerate(lines)}
    across = {value: at for at, value in enumerate(wide.values)}
    return SweepGrid(
        down=tuple((pair, _labels(others, texts)) for pair, texts in lines),
        across=tuple(f"{wide.label} {text}" for text in wide.values),
        cells={
            (down[line], across[value]): row
            for (line, value), row in zip(places, rows, strict=True)
        },
    )


def _labels(varied: Sequence[VariedSetting], texts: Sequence[str]) -> str:
    return ", ".join(f"{each.label} {text}" for each, text in zip(varied, texts, strict=True))
