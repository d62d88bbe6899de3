"""The signals that ask a process to stop; imports nothing that takes time."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from nst_core.system import STOP_SIGNALS
from tasks.stopping import logger

Handler = Callable[[int, Any], object]


def stop_signals() -> tuple[signal.Signals, ...]:
    """Return the signals of Ctrl-C, the end of a service, and a closed terminal.

    `nohup` makes a process ignore the last of them, and then it stays ignored.
    """
    always = (signal.SIGINT, signal.SIGTERM)
    return tuple(
        number
        for number in STOP_SIGNALS
        if number in always or signal.getsignal(number) is not signal.SIG_IGN
    )


def answer_signals(handler: Handler) -> None:
    """Call a function for each stop signal from now on; in the main thread only."""
    for number in stop_signals():
        signal.signal(number, handler)


@contextmanager
def signals_answered_by(handler: Handler) -> Iterator[None]:
    """Call a function for each stop signal while the context lasts; in the main thread only."""
    before = {number: signal.signal(number, handler) for number in stop_signals()}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


STILL_STOPPING = (
    "still stopping; another Ctrl-C or signal ends the process at once, without a table"
)


@contextmanager
def deferring_signals() -> Iterator[None]:
    """Complete the writes that a stop still requires, even if people press Ctrl-C again.

    Within the context, a first signal causes a warning, and a second one ends the process at once.
    Threads other than the main one get no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    has_warned = False

    def wait(number: int, _: Any) -> None:
        nonlocal has_warned
        if has_warned:
            os._exit(128 + number)
        has_warned = True
        logger.warning(STILL_STOPPING)

    with signals_answered_by(wait):
        yield
