"""The log of an output folder's runs, `run.log`: what was asked for, and how each row ended.

No row fails because of the log: if it cannot be written, there is only one warning.
"""

import logging
import os
import platform
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from nst_core.storage.growing_files import GrowingFile, growing_file
from nst_core.storage.places import redacted
from tasks.events import (
    Event,
    FileDownloading,
    PictureExamined,
    RowEnded,
    RowStarted,
    RowStepped,
    subscribed,
)
from tasks.report.reasons import described
from tasks.report.table_row import Table
from tasks.store.finished import in_a_line
from tasks.store.output_folder import OutputFolder
from tasks.store.statuses import WRONG

logger = logging.getLogger("nst_batch.log_file")

LONGEST_LINE = 2000
"""The most characters of a line, without its time."""

LIBRARIES = {"nst-batch": "nst-batch", "TensorFlow": "tensorflow", "Prefect": "prefect"}
"""The packages whose versions are logged; none of them is imported for that."""


class RunLog:
    """The log of one run: a subscriber of its events.

    Every line begins with the time, in ISO 8601 with its offset from UTC.
    """

    def __init__(self, output: OutputFolder) -> None:
        self._output = output
        self._lock = threading.Lock()
        self._file: GrowingFile | None = None
        self._started: dict[int, float] = {}
        self._reported: dict[int, str] = {}
        try:
            self._file = growing_file(output.run_log)
        except OSError as error:
            self._give_up(error)

    def say(self, *texts: str) -> None:
        """Write each text as a line of its own, without secrets and control characters."""
        lines = "".join(f"{_now()} {_in_a_line(text)}\n" for text in texts)
        try:
            with self._lock:
                if self._file:
                    self._file.append(lines)
        # A file that was closed after an error raises a ValueError.
        except (OSError, ValueError) as error:
            self._give_up(error)

    def save(self) -> None:
        """Make what was written so far survive a failure; object storage gets it only now."""
        try:
            with self._lock:
                if self._file:
                    self._file.save()
        except (OSError, ValueError) as error:
            self._give_up(error)

    def close(self) -> None:
        """Save the log, and write no more."""
        self.save()
        file, self._file = self._file, None
        if file:
            file.close()

    def _give_up(self, error: Exception) -> None:
        """Warn once, outside of the lock, because warnings are written to this log as well."""
        file, self._file = self._file, None
        if file:
            with suppress(OSError):
                file.close()
        why = getattr(error, "strerror", None) or error
        logger.warning("%s is not complete: %s", redacted(self._output.run_log), why)

    def note(self, event: Event) -> None:
        """Write an event, unless there are many of its kind in one row or one picture."""
        match event:
            case FileDownloading() | PictureExamined() | RowStepped():
                return
            case RowStarted():
                self._started[event.line] = time.monotonic()
                self.say(str(event))
            case RowEnded():
                self._reported[event.line] = event.status
                started = self._started.pop(event.line, None)
                took = f" ({time.monotonic() - started:.1f} s)" if started is not None else ""
                self.say(f"{event}{took}")
            case _:
                self.say(str(event))

    def ended(self, table: Table) -> None:
        """Write what only the table says: invalid rows, odd results, and the final counts."""
        for row in table.with_status(*WRONG):
            if self._reported.get(row.line) != row.status:
                self.say(f"{row.status}: {described(row)}")
        for row in table.stylized_here:
            if row.warnings:
                self.say(f"warning: line {row.line} {row.output}: {row.warnings}")
        counts = ", ".join(f"{count} {status}" for status, count in table.counts.items())
        self.say(f"result: {counts}; rows took {table.seconds:.1f} s in all")
        self.save()


class _WarningWriter(logging.Handler):
    """A handler that writes our warnings to the log of a run."""

    def __init__(self, log: RunLog) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        self._log.say(f"{record.levelname.lower()}: {record.getMessage()}")


@contextmanager
def run_log_of(output: OutputFolder, asked: Mapping[str, Any]) -> Iterator[RunLog]:
    """Log a run from its start to its end, however it ends.

    Args:
        output: the run's output folder, which is locked.
        asked: the options of the run, by name.
    """
    log = RunLog(output)
    with ExitStack() as stack:
        stack.callback(log.close)
        log.say(*header(asked))
        stack.enter_context(subscribed(log.note))
        for name in ("nst_batch", "nst_core"):
            handler, ours = _WarningWriter(log), logging.getLogger(name)
            ours.addHandler(handler)
            stack.callback(ours.removeHandler, handler)
        try:
            yield log
        except BaseException as error:
            how = in_a_line(error) if isinstance(error, Exception) else "it was stopped"
            log.say(f"the run ends early: {how}")
            raise
        log.say("the run ends")


def header(asked: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the first lines of a run: what was asked for, the versions, and the machine."""
    options = " ".join(f"{name}={redacted(str(value))}" for name, value in asked.items())
    machine = f"{platform.node()}, {platform.platform()}, {os.cpu_count()} CPUs"
    versions = ", ".join(f"{name} {_version(package)}" for name, package in LIBRARIES.items())
    return (
        f"==== run of {redacted(str(asked.get('manifest', '')))} ====",
        f"asked for: {options}",
        f"versions: {versions}, Python {platform.python_version()}",
        f"machine: {machine}, process {os.getpid()}",
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "of unknown version"


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


def _in_a_line(text: str) -> str:
    """Return a text without secrets, in which no file name can forge another line of the log."""
    shown = "".join(each if each.isprintable() else " " for each in redacted(text))
    return shown if len(shown) <= LONGEST_LINE else f"{shown[:LONGEST_LINE]} ..."
