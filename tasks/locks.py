"""A lock on a folder that dies with its holder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nst_core.files import flock
from nst_core.places import Place, told


class InUseError(Exception):
    """Another run holds the lock; the message says what to do."""


@contextmanager
def exclusive(path: Path, owned: Place) -> Iterator[None]:
    """Hold a lock file for a folder; the kernel releases it however we end.

    Raises:
        InUseError: at once, where another run holds it.
    """
    # The lock of a folder in object storage lies in one for all users.
    descriptor = flock(path, timeout=0, mode=0o666)
    if descriptor is None:
        raise InUseError(
            f"{told(owned)}: another run is writing there; wait for it, or choose another output "
            "folder"
        )
    try:
        yield
    finally:
        os.close(descriptor)
