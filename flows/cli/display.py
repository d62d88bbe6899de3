"""The lines that a terminal shows while rows run: the batch, and below it each row."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from flows.cli.terminal import printable
from tasks.report.time_left import TimeLeft
from tasks.store.curves import thinned

BLOCKS = "▁▂▃▄▅▆▇█"
SPARKLINE_WIDTH = 12
NARROW = 64
"""A terminal with fewer columns shows only what matters most."""

MOST_ROWS = 8
"""The largest number of active rows to show; more would push everything else off the terminal."""


def sparkline(losses: Sequence[float], width: int = SPARKLINE_WIDTH) -> str:
    """Return a line of blocks as high as the losses' logarithms; empty for fewer than two losses.

    Args:
        losses: those that are not positive and finite are left out.
        width: the maximum number of characters.
    """
    levels = thinned([math.log(loss) for loss in losses if 0 < loss < math.inf], width)
    if len(levels) < 2:
        return ""
    lowest = min(levels)
    span = (max(levels) - lowest) or 1
    return "".join(BLOCKS[round((level - lowest) / span * (len(BLOCKS) - 1))] for level in levels)


@dataclass
class RowState:
    """The latest state of an active row, or of its style before that, and its losses so far."""

    output: str
    is_waiting: bool = False
    step: int = 0
    steps: int = 0
    losses: list[float] = field(default_factory=list)
    is_retried: bool = False

    def cells(self) -> tuple[str, str, str]:
        """Return the losses as a sparkline, the step, and the loss."""
        if self.is_waiting:
            return "", "waits for a device", ""
        if self.is_retried:
            return "", "failed, will be tried again", ""
        if not self.losses:
            return "", "is getting ready", ""
        return (
            sparkline(self.losses),
            f"step {self.step}/{self.steps}",
            f"loss {self.losses[-1]:.4g}",
        )


class Display:
    """The lines on a terminal: the batch, and below it the active rows.

    A thread of its own draws them while other threads change them. Nothing here waits for a lock,
    because those threads may hold it while they wait for the terminal.
    """

    def __init__(self) -> None:
        self.stage = "starting"
        self.note = ""
        self.total: int | None = None
        self.done = 0.0
        self.ended = self.failed = 0
        self.time_left = TimeLeft()
        self._left = (-math.inf, "")
        self.is_stopping = False
        self.rows: dict[int, RowState] = {}

    def enter(self, stage: str, total: int | None, note: str = "") -> None:
        """Begin a new stage with `total` parts, or None if their number is unknown."""
        self.stage, self.total, self.note, self.done = stage, total, note, 0.0

    def left(self, now: float) -> str:
        """Return the time left, or that the batch is stopping.

        It is estimated once a second, because that looks at every row.
        """
        if self.is_stopping:
            return "stopping"
        if now - self._left[0] >= 1:
            self._left = (now, self.time_left.text(now))
        return self._left[1]

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        is_narrow = options.max_width < NARROW
        yield self._batch(is_narrow)
        rows = list(self.rows.values())
        if rows:
            yield _rows(rows[:MOST_ROWS], is_narrow, with_losses=not options.ascii_only)
        if len(rows) > MOST_ROWS:
            yield Text(f"  and {len(rows) - MOST_ROWS} more", style="dim")

    def _batch(self, is_narrow: bool) -> Table:
        line = _grid()
        cells: list[RenderableType] = []
        if not (is_narrow and self.rows):
            line.add_column(no_wrap=True)
            cells.append(Text(self.stage))
        line.add_column(ratio=1)
        cells.append(ProgressBar(self.total, min(self.done, self.total or 0)))
        line.add_column(no_wrap=True)
        cells.append(self._count())
        line.add_column(no_wrap=True, overflow="ellipsis")
        cells.append(Text(self.note or self.left(time.monotonic())))
        line.add_row(*cells)
        return line

    def _count(self) -> Text:
        if self.total is None:
            return Text("")
        counted = Text(f"{self.ended}/{self.total}" if self.rows or self.ended else "")
        if self.failed:
            counted.append(f", {self.failed} failed", style="bold red")
        return counted


def _grid() -> Table:
    return Table.grid(padding=(0, 1), pad_edge=False, expand=True)


def _rows(rows: Sequence[RowState], is_narrow: bool, *, with_losses: bool) -> Table:
    drawn = _grid()
    drawn.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    if with_losses and not is_narrow:
        drawn.add_column(width=SPARKLINE_WIDTH, no_wrap=True)
    drawn.add_column(no_wrap=True, justify="right")
    drawn.add_column(no_wrap=True, justify="right", min_width=11)
    for row in rows:
        losses, step, loss = row.cells()
        name = Text(f"  {printable(row.output)}")
        cells: list[RenderableType] = [name, Text(losses, style="cyan"), step, loss]
        if not with_losses or is_narrow:
            del cells[1]
        drawn.add_row(*cells)
    return drawn
