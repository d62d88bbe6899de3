"""Stop requests to the rows of a batch: threads cannot be interrupted, so they must ask."""

import logging
import math
import threading
import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from nst_core.errors import UserError

logger = logging.getLogger("nst_batch.stopping")


_stopped: set[Hashable] = set()
_asked = threading.Event()
_asked_to_abandon = threading.Event()


class AbandonedError(BaseException):
    """The end of a flow that must write nothing more, not even a table.

    Like a `KeyboardInterrupt`, this is not an `Exception`, because it is not the failure of a row.
    """


def ask_to_stop() -> None:
    """Ask a flow that runs outside the main thread to end at its next safe point.

    A signal can interrupt only the main thread, and it can do so anywhere: in the middle of a
    write, or of Prefect's own bookkeeping.
    """
    _asked.set()


def ask_to_abandon() -> None:
    """Ask the flow to end at its next safe point, and to write no table.

    Another run may be writing to the output folder, so a table would be wrong.
    """
    _asked_to_abandon.set()


def withdraw_request() -> None:
    """Forget a request that was not answered, before the next flow begins."""
    _asked.clear()
    _asked_to_abandon.clear()


def raise_if_asked_to_stop() -> None:
    """Stop the flow at a safe point, if it was asked to stop.

    Raises:
        AbandonedError: the flow must write nothing more.
        KeyboardInterrupt: once for each request, as a signal interrupts the main thread once.
    """
    if _asked_to_abandon.is_set():
        _asked_to_abandon.clear()
        raise AbandonedError
    if _asked.is_set():
        _asked.clear()
        raise KeyboardInterrupt


class StoppedError(UserError):
    """A row was given up because its batch is ending; the message says how far it got.

    Attributes:
        picture: its best picture so far, relative to the output folder; empty if there is none.
    """

    def __init__(self, message: str, picture: str = "") -> None:
        super().__init__(message, picture)
        self.picture = picture

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True)
class Deadline:
    """When the rows of a run must end, the same on every machine that works on them.

    Attributes:
        at: seconds since 1970 (UTC); infinite if there is no deadline.
        window: the seconds from the start of the flow to the deadline.
    """

    at: float = math.inf
    window: float = math.inf

    @property
    def seconds_left(self) -> float:
        """The seconds until the deadline, by this machine's clock; negative once it has passed."""
        return self.at - time.time()

    @property
    def is_over(self) -> bool:
        """Whether rows must end now."""
        return self.seconds_left <= 0


@dataclass(frozen=True)
class Limits:
    """When a row must end before it is finished.

    Attributes:
        deadline: that of the run.
        row_seconds: the seconds after which a row ends with its best picture, over all runs that
            work on it; infinite if there is no such limit.
    """

    deadline: Deadline = Deadline()
    row_seconds: float = math.inf


@contextmanager
def stopping_rows(batch: Hashable) -> Iterator[None]:
    """Stop the active rows if anything (a signal, an error) ends the context early.

    Args:
        batch: its output folder, by which its rows recognize it.
    """
    _stopped.discard(batch)
    try:
        yield
    except BaseException:
        stop_rows(batch)
        raise


def stop_rows(batch: Hashable) -> None:
    """Stop the active rows of a batch, given by its output folder, that run in this process."""
    _stopped.add(batch)


def is_stopped(batch: Hashable) -> bool:
    """Return whether the batch with this output folder is being stopped."""
    return batch in _stopped


def check_may_continue(batch: Hashable, deadline: Deadline, doing: str) -> None:
    """Give up a row that has not begun to work yet, if its batch is ending.

    Args:
        batch: its output folder.
        deadline: that of the run.
        doing: what the row was doing, such as `while it waited for a device`.

    Raises:
        StoppedError: the batch was stopped, or the deadline has passed.
    """
    if is_stopped(batch):
        raise StoppedError(f"stopped {doing}")
    if deadline.is_over:
        raise StoppedError(f"the time was up {doing}")
