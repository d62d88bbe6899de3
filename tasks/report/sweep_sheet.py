"""The contact sheet of a sweep: for each content and style, what the values of settings do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.report.gallery.page import GalleryRow
from tasks.report.varied import Varied

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


def sweep_grid(rows: Sequence[GalleryRow], varied: Varied) -> SweepGrid | None:
    """Return rows as a grid; None if they are not exactly one row for each place in it.

    Args:
        rows: those of the gallery.
        varied: what varies between them.
    """
    if not varied.names:
        return None
    values = [varied.values(at) for at in range(len(varied.names))]
    wide = max(range(len(values)), key=lambda at: (len(values[at]), at))
    others = [at for at in range(len(values)) if at != wide]

    def place_of(row: GalleryRow) -> tuple[tuple[Pair, tuple[str, ...]], str]:
        cells = varied.cells[row.line]
        pair = (row.content.name, row.style.name)
        return (pair, tuple(cells[at] for at in others)), cells[wide]

    places = [place_of(row) for row in rows]
    pairs = list(dict.fromkeys(pair for (pair, _), _ in places))
    lines = sorted(
        dict.fromkeys(line for line, _ in places),
        key=lambda line: (
            pairs.index(line[0]),
            [values[at].index(value) for at, value in zip(others, line[1], strict=True)],
        ),
    )
    if not len(rows) == len(set(places)) == len(lines) * len(values[wide]):
        return None
    down = {line: at for at, line in enumerate(lines)}
    across = {value: at for at, value in enumerate(values[wide])}
    return SweepGrid(
        down=tuple((pair, _labels(varied, others, cells)) for pair, cells in lines),
        across=tuple(varied.label(wide, value) for value in values[wide]),
        cells={
            (down[line], across[value]): row
            for (line, value), row in zip(places, rows, strict=True)
        },
    )


def _labels(varied: Varied, at: Sequence[int], cells: Sequence[str]) -> str:
    return ", ".join(varied.label(index, cell) for index, cell in zip(at, cells, strict=True))
