"""The progress of a batch: on a terminal, what each row does; in a pipe, a line when one ends."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import assert_never

from rich.live import Live

from flows.cli.display import Display, RowState
from flows.cli.results import show_replaced
from flows.cli.terminal import Terminal
from nst_core.transfer.allowed import counted
from tasks.events import (
    DevicesOpened,
    Event,
    FileDownloading,
    GalleryWritten,
    ManifestUnderstood,
    PictureExamined,
    RowEnded,
    RowRetried,
    RowsPlanned,
    RowsSelected,
    RowStarted,
    RowStepped,
    RowWaiting,
    StageEntered,
    TableWritten,
    subscribed,
)
from tasks.report.tally import Tally

STYLIZING = "stylizing"

LEFT_EVERY = 60.0
"""How many seconds pass at least between two lines about the time left in a pipe."""


class LiveProgress:
    """A subscriber that shows the events of a batch.

    Attributes:
        rows_are_known: whether it is known which rows are to be run.
        table_written: whether the table, and every picture that there will be, is written.
        gallery: where the page is; empty until it is written.
        cost: of previews, what the whole batch would take; empty until the page is written.
        replaced: how many rows replace a picture that was made with other settings or pictures.
    """

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.display = Display()
        self.tally = Tally()
        self.downloads: set[str] = set()
        self.rows_are_known = False
        self.table_written = False
        self.gallery = self.cost = ""
        self.replaced = 0
        self.is_stopping = False
        self._said_left_at = time.monotonic()

    def stop(self) -> None:
        """Note that the batch was asked to stop: what is left is not made now."""
        self.is_stopping = self.display.is_stopping = True

    def show(self, event: Event) -> None:
        """Show one event."""
        self.tally.count(event)
        self.display.time_left.note(event, time.monotonic())
        match event:
            case StageEntered():
                self._enter(event)
            case FileDownloading():
                self._download(event)
            case PictureExamined():
                self._examined(event)
            case ManifestUnderstood() | RowsSelected():
                self.terminal.say(str(event))
            case RowsPlanned():
                self.rows_are_known = True
                self._plan(event)
            case DevicesOpened():
                self._devices(event)
            case RowStarted() | RowWaiting() | RowRetried() | RowStepped():
                self._row(event)
            case RowEnded():
                self._row_ended(event)
            case TableWritten():
                self.table_written = True
                self.display.enter("making the gallery", None)
                self._say("the table is written; making the gallery ...")
            case GalleryWritten():
                self.gallery, self.cost = event.page, event.cost
                self.display.enter("reporting to Prefect", None)
            case _:
                assert_never(event)

    def _say(self, text: str) -> None:
        """Print a line if there is no live display."""
        if not self.terminal.is_rich:
            self.terminal.say(text)

    def _enter(self, event: StageEntered) -> None:
        """Show what is begun; once rows are planned, their number is shown beside it."""
        self._say(str(event))
        self.display.stage = event.doing

    def _download(self, event: FileDownloading) -> None:
        size = f"{event.total / 1e6:.0f} MB"
        if event.name not in self.downloads:
            self._say(f"downloading {event.name}, {size}")
            self.downloads.add(event.name)
        self.display.stage, self.display.total = f"downloading {event.name}", event.total
        self.display.done = event.done
        self.display.note = f"{event.done / 1e6:.0f} of {size}"

    def _examined(self, event: PictureExamined) -> None:
        if event.done <= 1:
            self.display.enter("looking at pictures", event.total)
            self._say(f"looking at {counted(event.total, 'picture')} ...")
        self.display.done = event.done
        self.display.note = f"{event.done} of {event.total}"

    def _plan(self, event: RowsPlanned) -> None:
        self.display.enter(STYLIZING, event.to_run)
        alike = f", {event.equal} of them equal to an earlier row" if event.equal else ""
        before = event.total - event.to_run
        self._say(f"{event.to_run} of {event.total} rows to run{alike}, {before} already done")
        self.replaced = event.replaced
        show_replaced(self.terminal, event.replaced)

    def _devices(self, event: DevicesOpened) -> None:
        if not any(device.startswith("GPU") for device in event.devices):
            self.terminal.say("no GPU in use: rows run on the CPU")
        else:
            self.terminal.say(f"rows run on {', '.join(event.devices)}")
        if event.cpu_shared_with:
            self.terminal.say(
                f"another run also uses this CPU ({event.cpu_shared_with}): both take longer"
            )

    def _row(self, event: RowStarted | RowWaiting | RowRetried | RowStepped) -> None:
        display = self.display
        row = display.rows.setdefault(event.line, RowState(event.output))
        row.output, row.is_waiting = event.output, isinstance(event, RowWaiting)
        row.is_retried = isinstance(event, RowRetried)
        if isinstance(event, RowStepped):
            display.stage = STYLIZING
            row.step, row.steps = event.step, event.steps
            row.losses.append(event.loss)
        if isinstance(event, RowWaiting | RowRetried):
            self._say(str(event))
        display.done = self.tally.completed

    def _row_ended(self, event: RowEnded) -> None:
        display = self.display
        display.rows.pop(event.line, None)
        display.ended = self.tally.ended.total()
        display.failed = self.tally.ended["failed"]
        self._say(f"[{display.ended}/{display.total}] {event}")
        display.done = self.tally.completed
        self._say_time_left(time.monotonic())

    def _say_time_left(self, now: float) -> None:
        # Whoever stops a run does not want to know how long it would have taken.
        if self.is_stopping:
            return
        if now - self._said_left_at >= LEFT_EVERY and (left := self.display.time_left.text(now)):
            self._said_left_at = now
            self._say(f"about {left}")


class WarningPrinter(logging.Handler):
    """A handler that prints our warnings on standard error, such as one about a damaged file."""

    def __init__(self, terminal: Terminal) -> None:
        super().__init__(logging.WARNING)
        self.terminal = terminal

    def emit(self, record: logging.LogRecord) -> None:
        """Print one line."""
        self.terminal.fail(f"{record.levelname.lower()}: {record.getMessage()}")


@contextmanager
def live_progress(terminal: Terminal) -> Iterator[LiveProgress]:
    """Show the progress of rows while the context lasts."""
    progress = LiveProgress(terminal)
    with (
        subscribed(progress.show),
        _handled_by(WarningPrinter(terminal), logging.getLogger("nst_batch")),
        _handled_by(WarningPrinter(terminal), logging.getLogger("nst_core")),
        _shown(progress.display, terminal),
    ):
        yield progress


@contextmanager
def _shown(display: Display, terminal: Terminal) -> Iterator[None]:
    if not terminal.is_rich:
        yield
        return
    with Live(display, console=terminal.console, refresh_per_second=4, transient=True):
        yield


@contextmanager
def _handled_by(handler: logging.Handler, logger: logging.Logger) -> Iterator[None]:
    """Let only this handler see a logger's records; Prefect prints what reaches the root logger."""
    propagates = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagates
