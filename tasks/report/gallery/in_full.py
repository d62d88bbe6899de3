"""What a page of previews says about the batch in full."""

from collections.abc import Mapping
from dataclasses import dataclass

from tasks.report.durations import duration


@dataclass(frozen=True)
class InFull:
    """What the row of a preview would take if it ran in full; all but the size is estimated.

    Attributes:
        width, height: of the result, in pixels.
        seconds: on one device.
        memory_mb: at its peak, in megabytes; see `peak_memory_mb` of the table.
    """

    width: int
    height: int
    seconds: float
    memory_mb: int


@dataclass(frozen=True)
class BatchInFull:
    """What the whole batch of a preview would take.

    Attributes:
        side: the longest side of the previews, in pixels.
        rows: each row that can run, by its line.
        seconds: from the first row to the last, on all devices.
        source: what the times are based on, for people.
    """

    side: int
    rows: Mapping[int, InFull]
    seconds: float
    source: str

    @property
    def text(self) -> str:
        """How previews differ from results, and what the batch would take, for people."""
        return (
            f"Previews have at most {self.side} pixels on their longest side (more only where the "
            "network needs more), so they show less detail than the results, and coarser strokes. "
            "Only size, octaves and style_scale were scaled down; all other settings are those of "
            f"the manifest. {self.cost}"
        )

    @property
    def cost(self) -> str:
        """What the batch would take, for people."""
        count = len(self.rows)
        memory = max((row.memory_mb for row in self.rows.values()), default=0)
        return (
            f"In full, {'this row' if count == 1 else f'all {count} rows'} would take about "
            f"{duration(self.seconds)} ({self.source}) and {memory:,} MB of memory at most."
        )
