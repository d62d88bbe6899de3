"""The main thread answers signals while the flow runs in another one.

So it never waits in Prefect, TensorFlow or a lock, where a signal would be seen late or never, and
no signal interrupts the flow in the midst of a write: the flow is asked to stop, and does so at its
next safe point.
"""

import math
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

from flows.progress import ProgressListener
from flows.terminal import Terminal
from tasks.signals import signals_answered_by
from tasks.stopping import STILL_STOPPING, ask_to_stop, withdraw_request

STEP_SECONDS = 0.1

BEFORE_ROWS_SECONDS = 3.0
"""A stop waits so long for the flow where nothing can be lost yet."""

FOR_PAGE_SECONDS = 60.0
"""So long once the table is written, for the page."""

FOR_SERVER_SECONDS = 4.0
"""So long once the page is written, for Prefect's server, which may be gone."""


class Attended(NamedTuple):
    """What came of work.

    Attributes:
        result: what it returned, or the exception that it raised; a `KeyboardInterrupt` where it
            was asked to stop.
        is_over: whether it ended. If not, it was not waited for any longer, and its thread goes on.
    """

    result: Any
    is_over: bool


def attend(work: Callable[[], Any], listener: ProgressListener, terminal: Terminal) -> Attended:
    """Do something in a thread of its own, and answer signals meanwhile.

    The first signal asks it to stop, the second one is told to be patient, and the third one is
    obeyed at once.

    Args:
        work: takes requests by `raise_if_asked_to_stop`.
        listener: knows how far the batch is.
        terminal: for what is said to whoever sends the signals.
    """
    result: list[Any] = []
    over = threading.Event()

    def do() -> None:
        try:
            result.append(work())
        except BaseException as error:  # noqa: BLE001 - handed on to the main thread
            result.append(error)
        finally:
            over.set()

    signals: list[int] = []
    withdraw_request()
    with signals_answered_by(lambda number, _: signals.append(number)):
        threading.Thread(target=do, name="flow", daemon=True).start()
        _attend_until(over, signals, listener, terminal)
    if signals:
        return Attended(KeyboardInterrupt(), over.is_set())
    return Attended(result[0], is_over=True)


def _attend_until(
    over: threading.Event, signals: list[int], listener: ProgressListener, terminal: Terminal
) -> None:
    """Return when the work is over, or need not be waited for any longer."""
    answered, deadline = 0, math.inf
    while not over.wait(STEP_SECONDS) and time.monotonic() < deadline:
        if len(signals) > answered:
            answered += 1
            if answered > 2:
                return
            _answer(answered, listener, terminal)
        if answered:
            deadline = min(deadline, time.monotonic() + _patience(listener))


def _answer(answered: int, listener: ProgressListener, terminal: Terminal) -> None:
    if answered == 1:
        ask_to_stop()
    if listener.rows_are_known and not listener.table_written:
        first = "stopping; the best picture so far of each row that runs is kept ..."
        terminal.fail(first if answered == 1 else STILL_STOPPING)


def _patience(listener: ProgressListener) -> float:
    """How many seconds from now are enough for work that was asked to stop."""
    if listener.gallery:
        return FOR_SERVER_SECONDS
    if listener.table_written:
        return FOR_PAGE_SECONDS
    # Rows end by themselves, and until then nothing else may end: the table tells how they did.
    return math.inf if listener.rows_are_known else BEFORE_ROWS_SECONDS


def end_at_once(code: int) -> NoReturn:
    """Without Prefect's own end, which would try for minutes to reach a server that is gone."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def end_within(seconds: float, code: int) -> None:
    """See to it that the process ends with a code, whatever Prefect still waits for."""

    def wait() -> None:
        time.sleep(seconds)
        os._exit(code)

    threading.Thread(target=wait, name="end", daemon=True).start()
