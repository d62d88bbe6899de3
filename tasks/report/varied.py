"""What varies between the rows of a batch: settings with several values, as in a sweep."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from nst_core.transfer.presets import Overrides
from tasks.row import Row

DEFAULT = "default"
"""What people see of an empty cell in a column in which other rows have a value."""


@dataclass(frozen=True)
class Varied:
    """The settings that vary between rows.

    Attributes:
        names: their names, in the order of the settings.
        cells: their texts by the row's line, in the same order; empty cells are `default`.
    """

    names: tuple[str, ...] = ()
    cells: Mapping[int, tuple[str, ...]] = field(default_factory=dict)

    def values(self, at: int) -> list[str]:
        """Return the values of a setting, numbers by size, and texts as they appear first."""
        found = [*dict.fromkeys(cells[at] for cells in self.cells.values())]
        try:
            return sorted(found, key=float)
        except ValueError:
            return found

    def label(self, at: int, value: str) -> str:
        """Return a setting with a value for people, such as `style-weight 3`."""
        return f"{self.names[at].replace('_', '-')} {value}"


def what_varies(rows: Iterable[Row]) -> Varied:
    """Return the settings that the cells of these rows set to several values."""
    rows = list(rows)
    names = tuple(
        name for name in Overrides.model_fields if len({row.cells.get(name) for row in rows}) > 1
    )
    cells = {row.line: tuple(row.cell(name) or DEFAULT for name in names) for row in rows}
    return Varied(names, cells)
