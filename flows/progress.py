"""What is shown while rows run: on a terminal what each is at, in a pipe a line when one ends."""

import logging
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from flows.terminal import Terminal, duration, printable
from tasks.curves import thinned
from tasks.progress import ENDS, Tally

BLOCKS = "▁▂▃▄▅▆▇█"
SPARKLINE_WIDTH = 12
NARROW = 64
"""Columns of a terminal; with fewer, only what matters most is shown."""

MOST_ROWS = 8
"""Rows that run and are shown; more would push the rest of the terminal away."""


def sparkline(losses: Sequence[float], width: int = SPARKLINE_WIDTH) -> str:
    """A line of blocks as high as the logarithms of losses; empty for fewer than two of them.

    Args:
        losses: those that are not positive and finite are left out.
        width: the most characters that it may have.
    """
    levels = thinned([math.log(loss) for loss in losses if 0 < loss < math.inf], width)
    if len(levels) < 2:
        return ""
    lowest = min(levels)
    span = (max(levels) - lowest) or 1
    return "".join(BLOCKS[round((level - lowest) / span * (len(BLOCKS) - 1))] for level in levels)


@dataclass
class RowState:
    """What a row that runs, or its style before it, said last; and its losses so far."""

    output: str
    event: str = "started"
    step: int = 0
    steps: int = 0
    losses: list[float] = field(default_factory=list)

    def cells(self) -> tuple[str, str, str]:
        """Losses as a line, step, and loss."""
        if self.event == "waiting":
            return "", "waits for a device", ""
        if not self.losses:
            return "", "is made ready", ""
        return (
            sparkline(self.losses),
            f"step {self.step}/{self.steps}",
            f"loss {self.losses[-1]:.4g}",
        )


class Display:
    """The lines on a terminal: the batch, and below it the rows that run.

    It is drawn in a thread of its own while others change it; nothing here waits for a lock, which
    they may hold while they wait for the terminal.
    """

    def __init__(self) -> None:
        self.stage = "starting"
        self.note = ""
        self.total: int | None = None
        self.done = 0.0
        self.ended = self.failed = 0
        self.first_step_at: float | None = None
        self.rows: dict[int, RowState] = {}

    def enter(self, stage: str, total: int | None, note: str = "") -> None:
        """Begin with something new, of so many parts; None where nobody knows."""
        self.stage, self.total, self.note, self.done = stage, total, note, 0.0

    def time_left(self) -> str:
        """An estimate; empty where there is nothing yet to go by."""
        if not self.total or not 0.1 < self.done < self.total or self.first_step_at is None:
            return ""
        # What came before, such as TensorFlow's start, comes only once.
        elapsed = time.monotonic() - self.first_step_at
        return f"{duration(elapsed / self.done * (self.total - self.done))} left"

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
        cells.append(Text(self.note or self.time_left()))
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


class ProgressListener(logging.Handler):
    """Shows what rows tell through `tasks.progress`."""

    def __init__(self, terminal: Terminal) -> None:
        super().__init__()
        self.terminal = terminal
        self.display = Display()
        self.tally = Tally()
        self.downloads: set[str] = set()
        self.rows_are_known = False
        self.table_written = False
        self.gallery = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Take one progress value; other log records are none of ours."""
        progress = getattr(record, "progress", None)
        if progress is None:
            return
        self.tally.handle(record)
        if progress.event == "downloading":
            self._download(progress)
        elif progress.event == "examined":
            self._examined(progress.done, progress.total)
        elif progress.event == "planned":
            self.rows_are_known = True
            self._plan(progress)
        elif progress.event == "devices":
            self._tell_devices(progress.devices, progress.cpu_shared_with)
        elif progress.event == "written":
            self.table_written = True
            self.display.enter("making the gallery", None)
            self._tell("the table is written; making the gallery ...")
        elif progress.event == "shown":
            self.gallery = progress.page
            self.display.enter("reporting to Prefect", None)
        else:
            self._row(progress)

    def _tell(self, text: str) -> None:
        """Where there is no display."""
        if not self.terminal.is_rich:
            self.terminal.say(text)

    def _download(self, progress: Any) -> None:
        size = f"{progress.total / 1e6:.0f} MB"
        if progress.name not in self.downloads:
            self._tell(f"downloading {progress.name}, {size}")
            self.downloads.add(progress.name)
        self.display.stage, self.display.total = f"downloading {progress.name}", progress.total
        self.display.done = progress.done
        self.display.note = f"{progress.done / 1e6:.0f} of {size}"

    def _examined(self, done: int, total: int) -> None:
        if done <= 1:
            self.display.enter("looking at pictures", total)
        self.display.done = done
        self.display.note = f"{done} of {total}"

    def _plan(self, planned: Any) -> None:
        to_run, rows, equal = planned.done, planned.total, planned.equal
        self.display.enter("stylizing", to_run)
        alike = f", {equal} of them equal to an earlier row" if equal else ""
        self._tell(f"{to_run} of {rows} rows to run{alike}, {rows - to_run} done before")

    def _tell_devices(self, devices: tuple[str, ...], cpu_shared_with: str) -> None:
        if not any(device.startswith("GPU") for device in devices):
            self.terminal.say("no GPU in use: rows run on the CPU")
        else:
            self.terminal.say(f"rows run on {', '.join(devices)}")
        if cpu_shared_with:
            self.terminal.say(
                f"another run works on this CPU too ({cpu_shared_with}): both take longer"
            )

    def _row(self, progress: Any) -> None:
        display, rows = self.display, self.display.rows
        if progress.event in ENDS:
            rows.pop(progress.line, None)
            display.ended = self.tally.ended.total()
            display.failed = self.tally.ended["failed"]
            self._tell_ended(progress)
        else:
            row = rows.setdefault(progress.line, RowState(progress.output))
            row.output, row.event = progress.output, progress.event
            if progress.event == "step":
                display.first_step_at = display.first_step_at or time.monotonic()
                row.step, row.steps = progress.step, progress.steps
                row.losses.append(progress.loss)
            if progress.event == "waiting":
                self._tell(f"line {progress.line} {progress.output} {progress.message}")
        display.done = self.tally.completed

    def _tell_ended(self, progress: Any) -> None:
        told = f"loss {progress.loss:.4g}" if progress.event == "done" else progress.message
        self._tell(
            f"[{self.display.ended}/{self.display.total}] line {progress.line} "
            f"{progress.output}: {progress.event}, {told}"
        )


class WarningPrinter(logging.Handler):
    """Warnings of ours, such as of a damaged file that is made again, on standard error."""

    def __init__(self, terminal: Terminal) -> None:
        super().__init__(logging.WARNING)
        self.terminal = terminal

    def emit(self, record: logging.LogRecord) -> None:
        """Print one line."""
        self.terminal.fail(f"{record.levelname.lower()}: {record.getMessage()}")


@contextmanager
def listening(terminal: Terminal) -> Iterator[ProgressListener]:
    """Show the progress of rows while the context lasts."""
    listener = ProgressListener(terminal)
    progress = logging.getLogger("nst_batch.progress")
    progress.setLevel(logging.INFO)
    with (
        _handled_by(listener, progress),
        _handled_by(WarningPrinter(terminal), logging.getLogger("nst_batch")),
        _handled_by(WarningPrinter(terminal), logging.getLogger("nst_core")),
        _shown(listener.display, terminal),
    ):
        yield listener


@contextmanager
def _shown(display: Display, terminal: Terminal) -> Iterator[None]:
    if not terminal.is_rich:
        yield
        return
    with Live(display, console=terminal.console, refresh_per_second=4, transient=True):
        yield


@contextmanager
def _handled_by(handler: logging.Handler, logger: logging.Logger) -> Iterator[None]:
    """Nobody else hears of it: Prefect prints whatever reaches the root logger."""
    propagates = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagates
