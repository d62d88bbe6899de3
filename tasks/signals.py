"""The signals that ask a process to stop; imports nothing that takes time."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Handler = Callable[[int, Any], object]


def stop_signals() -> tuple[signal.Signals, ...]:
    """Return the signals of Ctrl-C, the end of a service, and a closed terminal.

    `nohup` makes a process ignore the last of them, and then it stays ignored.
    """
    hangup = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    return (signal.SIGINT, signal.SIGTERM, *((signal.SIGHUP,) if hangup else ()))


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
