"""A lock on a folder that dies with its holder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class InUseError(Exception):
    """Another run holds the lock; the message says what to do."""


@contextmanager
def exclusive(path: Path, owned: Path) -> Iterator[None]:
    """Hold a lock file for a folder; the kernel releases it however we end.

    Raises:
        InUseError: at once, where another run holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(descriptor, owned)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, owned: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise InUseError(
            f"{owned}: another run is writing there; wait for it, or choose another output folder"
        ) from error
