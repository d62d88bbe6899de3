"""A lock on a folder that dies with its holder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nst_core.files import flock


class InUseError(Exception):
    """Another run holds the lock; the message says what to do."""


@contextmanager
def exclusive(path: Path, owned: Path) -> Iterator[None]:
    """Hold a lock file for a folder; the kernel releases it however we end.

    Raises:
        InUseError: at once, where another run holds it.
    """
    descriptor = flock(path, timeout=0)
    if descriptor is None:
        raise InUseError(
            f"{owned}: another run is writing there; wait for it, or choose another output folder"
        )
    try:
        yield
    finally:
        os.close(descriptor)
