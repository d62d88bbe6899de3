"""The progress of a batch, counted from its events."""

import threading
from collections import Counter

from nst_core.transfer.allowed import counted_were
from tasks.events import (
    Event,
    RowEnded,
    RowRetried,
    RowsPlanned,
    RowStarted,
    RowStepped,
    RowWaiting,
)


class Tally:
    """Counter of events; one thread may read it while another counts.

    Attributes:
        to_run, rows: how many rows are to run, and how many can; None and 0 until this is known.
        is_part: whether only some rows of the manifest are asked for.
        ended: how many rows have ended, by status.
    """

    def __init__(self) -> None:
        self.to_run: int | None = None
        self.rows = 0
        self.is_part = False
        self.ended: Counter[str] = Counter()
        self._shares: dict[int, float] = {}
        self._lock = threading.Lock()

    def count(self, event: Event) -> None:
        """Count one event."""
        with self._lock:
            match event:
                case RowsPlanned():
                    self.to_run, self.rows = event.to_run, event.total
                    self.is_part = event.is_part
                case RowStarted() | RowWaiting() | RowRetried():
                    self._shares[event.line] = 0.0
                case RowStepped():
                    self._shares[event.line] = event.share
                case RowEnded():
                    self._shares.pop(event.line, None)
                    self.ended[event.status] += 1
                case _:
                    # The other events say nothing about the progress of rows.
                    pass

    @property
    def completed(self) -> float:
        """How many rows have ended, including the completed parts of active rows."""
        with self._lock:
            return self.ended.total() + sum(self._shares.values())

    @property
    def share(self) -> float:
        """The completed share of the rows to run, from 0 to 1."""
        return min(1.0, self.completed / self.to_run) if self.to_run else float(self.to_run == 0)

    def __str__(self) -> str:
        """Return the progress, for people; empty until it is known how many rows are to run."""
        if self.to_run is None:
            return ""
        if self.to_run == 0:
            all_of_them = "nothing to run: " if self.is_part else "all " if self.rows > 1 else ""
            return f"{all_of_them}{counted_were(self.rows, 'row')} already done"
        wrong = self.ended["failed"]
        failed = f", {wrong} of them failed" if wrong else ""
        return f"{self.ended.total()} of {self.to_run} rows ended{failed}"
