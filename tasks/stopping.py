"""Telling the rows of a batch to stop: threads cannot be interrupted, they have to ask."""

from collections.abc import Iterator
from contextlib import contextmanager

from nst_core.places import Place

_stopped: set[Place] = set()


class StoppedError(Exception):
    """A row was given up because its batch ends."""


@contextmanager
def stopping_rows(output: Place) -> Iterator[None]:
    """Whatever ends the context early (Ctrl-C, SIGTERM, a fault) stops the rows that run.

    Args:
        output: the batch's output folder, by which its rows know it.
    """
    _stopped.discard(output)
    try:
        yield
    except BaseException:
        _stopped.add(output)
        raise


def check_not_stopped(output: Place) -> None:
    """Raise `StoppedError` where the batch that writes to this folder ends."""
    if output in _stopped:
        raise StoppedError("given up, as its batch was stopped")
