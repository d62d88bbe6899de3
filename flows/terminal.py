"""How the command line speaks: rich on a terminal, plain lines in a pipe, JSON for machines."""

import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from flows.exit_codes import UNUSABLE

STYLES = {
    "done": "green",
    "cached": "cyan",
    "new": "green",
    "ok": "green",
    "warning": "yellow",
    "invalid": "bold yellow",
    "failed": "bold red",
    "error": "bold red",
}


class PatientConsole(Console):
    """Goes on in silence where nobody reads any more (`nst-batch run ... | head`)."""

    def on_broken_pipe(self) -> None:
        """The batch matters more than its log."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Terminal:
    """Standard output for results and standard error for what goes wrong.

    Args:
        as_json: results are one JSON value on standard output, and nothing else is printed there.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self.console = PatientConsole(soft_wrap=True, highlight=False, quiet=as_json)
        self.errors = PatientConsole(stderr=True, soft_wrap=True, highlight=False)

    @property
    def is_rich(self) -> bool:
        """Whether a person is likely to look."""
        return self.console.is_terminal and not self.as_json

    def say(self, text: str = "", style: str = "") -> None:
        """A line for people."""
        self.console.print(Text(text, style=style))

    def fail(self, text: str) -> None:
        """Something wrong that the user can mend, on standard error."""
        self.errors.print(Text(text, style="bold red" if self.errors.is_terminal else ""))

    def result(self, value: Any) -> None:
        """The command's result for machines; prints only where JSON is wanted."""
        if self.as_json:
            sys.stdout.write(json.dumps(value, indent=2, default=str, allow_nan=False) + "\n")

    def table(self, rows: Sequence[Mapping[str, Any]], title: str = "") -> None:
        """Rows of equal columns: a drawn table on a terminal, else a tab-separated line each."""
        if not rows or self.as_json:
            return
        if not self.is_rich:
            for row in (list(rows[0]), *(row.values() for row in rows)):
                self.say("\t".join("" if cell is None else str(cell) for cell in row))
            return
        drawn = Table(title=title or None, title_justify="left")
        for name in rows[0]:
            # A path that is cut short is of no use.
            drawn.add_column(name, overflow="fold")
        for row in rows:
            cells = ["" if cell is None else str(cell) for cell in row.values()]
            drawn.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in cells))
        self.console.print(drawn, soft_wrap=False)


def refuse(terminal: Terminal, error: Exception) -> int:
    """Tell why nothing ran; the exit code for it."""
    terminal.fail(str(error))
    terminal.result({"error": str(error)})
    return UNUSABLE


class WarningPrinter(logging.Handler):
    """Warnings of ours, such as of a damaged file that is made again, on standard error."""

    def __init__(self, terminal: Terminal) -> None:
        super().__init__(logging.WARNING)
        self.terminal = terminal

    def emit(self, record: logging.LogRecord) -> None:
        """Print one line."""
        self.terminal.fail(f"{record.levelname.lower()}: {record.getMessage()}")


class ProgressListener(logging.Handler):
    """Shows what rows tell through `tasks.progress`.

    On a terminal one bar for the batch, with the current row's step and loss and the time left;
    in a pipe a line when a row ends.
    """

    def __init__(self, terminal: Terminal) -> None:
        super().__init__()
        self.terminal = terminal
        self.to_run = 0
        self.ended = 0
        self.shares: dict[int, float] = {}
        self.downloads: set[str] = set()
        self.table_written = False
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            TextColumn("{task.fields[current]}"),
            console=terminal.console,
            disable=not terminal.is_rich,
            transient=True,
        )
        self.batch = self.bar.add_task("starting", total=None, current="", left="")

    def emit(self, record: logging.LogRecord) -> None:
        """Take one progress value; other log records are none of ours."""
        progress = getattr(record, "progress", None)
        if progress is None:
            return
        if progress.event == "downloading":
            self._download(progress)
        elif progress.event == "examined":
            self.bar.update(
                self.batch,
                description="looking at pictures",
                completed=progress.done,
                total=progress.total,
            )
        elif progress.event == "planned":
            self._plan(progress.done, progress.total)
        elif progress.event == "devices":
            self._tell_devices(progress.devices)
        elif progress.event == "written":
            self._tell_written()
        else:
            self._row(progress)

    def _download(self, progress: Any) -> None:
        size = f"{progress.total / 1e6:.0f} MB"
        if not self.terminal.is_rich and progress.name not in self.downloads:
            self.terminal.say(f"downloading {progress.name}, {size}")
        self.downloads.add(progress.name)
        current = f"{progress.done / 1e6:.0f} of {size}"
        self.bar.update(
            self.batch,
            description="downloading weights",
            completed=0,
            total=None,
            current=current,
        )

    def _plan(self, to_run: int, rows: int) -> None:
        self.to_run = to_run
        self.bar.reset(self.batch, description="stylizing", total=to_run)
        if not self.terminal.is_rich:
            self.terminal.say(f"{to_run} of {rows} rows to run, {rows - to_run} done before")

    def _tell_devices(self, devices: tuple[str, ...]) -> None:
        if not any(device.startswith("GPU") for device in devices):
            self.terminal.say("no GPU in use: rows run on the CPU")
        else:
            self.terminal.say(f"rows run on {', '.join(devices)}")

    def _tell_written(self) -> None:
        self.table_written = True
        self.bar.update(self.batch, description="reporting to Prefect", current="", left="")
        if not self.terminal.is_rich:
            self.terminal.say("the table is written; reporting to Prefect ...")

    def _row(self, progress: Any) -> None:
        if progress.event == "waiting":
            self._tell_waiting(progress)
            return
        self.shares[progress.line] = progress.share
        if progress.event in ("done", "failed"):
            self.shares.pop(progress.line)
            self.ended += 1
            self._tell_ended(progress)
        current = f"{progress.output} {progress.event}"
        if progress.event == "step":
            current = (
                f"{progress.output} step {progress.step}/{progress.steps} loss {progress.loss:.4g}"
            )
        completed = self.ended + sum(self.shares.values())
        left = self._time_left(completed)
        self.bar.update(self.batch, completed=completed, current=current, left=left)

    def _tell_waiting(self, progress: Any) -> None:
        told = f"{progress.output} waits for a device that another run uses"
        self.bar.update(self.batch, current=told)
        if not self.terminal.is_rich:
            self.terminal.say(f"line {progress.line} {told}")

    def _time_left(self, completed: float) -> str:
        elapsed = self.bar.tasks[0].elapsed or 0.0
        if not self.to_run or completed < 0.02:
            return ""
        seconds = elapsed / completed * max(0.0, self.to_run - completed)
        return f"{duration(seconds)} left"

    def _tell_ended(self, progress: Any) -> None:
        if self.terminal.is_rich:
            return
        told = f"loss {progress.loss:.4g}" if progress.event == "done" else progress.message
        self.terminal.say(
            f"[{self.ended}/{self.to_run}] line {progress.line} {progress.output}: "
            f"{progress.event}, {told}"
        )


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
        listener.bar,
    ):
        yield listener


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


def duration(seconds: float) -> str:
    """Seconds as people say them: `40 s`, `12 min`, `3 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
