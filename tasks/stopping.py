"""Stop requests to the rows of a batch: threads cannot be interrupted, so they must ask."""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nst_core.places import Place
from tasks.signals import signals_answered_by

logger = logging.getLogger("nst_batch.stopping")

STILL_STOPPING = "still stopping; once more ends it at once, without a table"

_stopped: set[Place] = set()
_asked = threading.Event()


def ask_to_stop() -> None:
    """Ask a flow that runs in another thread than the main one to end at its next safe point.

    A signal can interrupt only the main thread, and anywhere: in the middle of a write, or of
    Prefect's own bookkeeping.
    """
    _asked.set()


def withdraw_request() -> None:
    """Forget a request that was not answered, before the next flow begins."""
    _asked.clear()


def raise_if_asked_to_stop() -> None:
    """Stop the flow at a safe point, if it was asked to stop.

    Raises:
        KeyboardInterrupt: once for each request, as a signal interrupts the main thread once.
    """
    if _asked.is_set():
        _asked.clear()
        raise KeyboardInterrupt


class StoppedError(Exception):
    """A row was given up because its batch is ending; the message says how far it got.

    Attributes:
        picture: its best picture so far, relative to the output folder; empty if there is none.
    """

    def __init__(self, message: str, picture: str = "") -> None:
        super().__init__(message, picture)
        self.picture = picture

    def __str__(self) -> str:
        return str(self.args[0])


@contextmanager
def stopping_rows(output: Place) -> Iterator[None]:
    """Stop the active rows if anything (a signal, an error) ends the context early.

    Args:
        output: the batch's output folder, by which its rows recognize it.
    """
    _stopped.discard(output)
    try:
        yield
    except BaseException:
        _stopped.add(output)
        raise


def is_stopped(output: Place) -> bool:
    """Return whether the batch that writes to this folder is being stopped."""
    return output in _stopped


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
