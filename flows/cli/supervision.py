"""The main thread answers signals while the flow runs in another one.

The main thread therefore never waits in Prefect, TensorFlow or a lock, where it would see a signal
late or never, and no signal interrupts the flow in the middle of a write: the flow is asked to
stop, and does so at its next safe point.
"""

import math
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

from flows.cli.progress import LiveProgress
from flows.cli.terminal import Terminal
from flows.process.signals import STILL_STOPPING, signals_answered_by
from tasks.stopping import ask_to_stop, withdraw_request

STEP_SECONDS = 0.1

BEFORE_ROWS_SECONDS = 3.0
"""How long a stop waits for the flow while nothing can be lost yet."""

FOR_PAGE_SECONDS = 60.0
"""How long a stop waits for the page, once the table is written."""

FOR_SERVER_SECONDS = 4.0
"""How long a stop waits for Prefect's server, which may be gone, once the page is written."""


class Supervised(NamedTuple):
    """The outcome of work.

    Attributes:
        result: what it returned, or the exception that it raised; a `KeyboardInterrupt` if it was
            asked to stop.
        is_over: whether it ended. If not, the wait for it was given up, and its thread continues.
    """

    result: Any
    is_over: bool


def run_supervised(
    work: Callable[[], Any],
    progress: LiveProgress,
    terminal: Terminal,
    signals: list[int] | None = None,
) -> Supervised:
    """Do work in a thread of its own, and answer signals meanwhile.

    The first signal asks the work to stop, the second prints that it is still stopping, and the
    third ends the wait at once.

    Args:
        work: the work, which answers stop requests by calling `raise_if_asked_to_stop`.
        progress: the progress display, which knows how far the batch is.
        terminal: for the messages to the user who sends the signals.
        signals: those that have arrived already, which are answered, too; later ones are added.
    """
    signals = [] if signals is None else signals
    result: list[Any] = []
    over = threading.Event()

    def do() -> None:
        try:
            result.append(work())
        except BaseException as error:  # noqa: BLE001 - passed on to the main thread
            result.append(error)
        finally:
            over.set()

    withdraw_request()
    with signals_answered_by(lambda number, _: signals.append(number)):
        threading.Thread(target=do, name="flow", daemon=True).start()
        _supervise(over, signals, progress, terminal)
    if signals:
        return Supervised(KeyboardInterrupt(), over.is_set())
    return Supervised(result[0], is_over=True)


def _supervise(
    over: threading.Event, signals: list[int], progress: LiveProgress, terminal: Terminal
) -> None:
    """Return when the work is over, or when the wait for it need not continue."""
    answered, deadline = 0, math.inf
    while not over.wait(STEP_SECONDS) and time.monotonic() < deadline:
        if len(signals) > answered:
            answered += 1
            if answered > 2:
                return
            _answer(answered, progress, terminal)
        if answered:
            deadline = min(deadline, time.monotonic() + _patience(progress))


def _answer(answered: int, progress: LiveProgress, terminal: Terminal) -> None:
    if answered == 1:
        ask_to_stop()
        progress.stop()
    if progress.rows_are_known and not progress.table_written:
        first = "stopping; the best picture so far of each active row is saved ..."
        terminal.fail(first if answered == 1 else STILL_STOPPING)


def _patience(progress: LiveProgress) -> float:
    """Return how many more seconds to wait for work that was asked to stop."""
    if progress.gallery:
        return FOR_SERVER_SECONDS
    if progress.table_written:
        return FOR_PAGE_SECONDS
    # Rows end by themselves, and the process must wait for them: the table says how they ended.
    return math.inf if progress.rows_are_known else BEFORE_ROWS_SECONDS


def end_at_once(code: int) -> NoReturn:
    """End without Prefect's own shutdown, which would try for minutes to reach a dead server."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def end_within(seconds: float, code: int) -> None:
    """Ensure that the process ends in time with this code, whatever Prefect still waits for."""

    def wait() -> None:
        time.sleep(seconds)
        os._exit(code)

    threading.Thread(target=wait, name="end", daemon=True).start()
