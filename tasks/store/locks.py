"""A lock on a folder that is released when its holder dies."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nst_core.errors import UserError
from nst_core.storage.locks import flock, holder_of
from nst_core.storage.places import Place, redacted


class InUseError(UserError):
    """Another run holds the lock; the message says what to do."""


@contextmanager
def exclusive(path: Path, owned: Place) -> Iterator[None]:
    """Hold a lock file for a folder; the kernel releases it, however the process ends.

    Raises:
        InUseError: another run holds it; raised at once.
        LockError: the lock cannot be used.
    """
    descriptor = flock(path, timeout=0)
    if descriptor is None:
        holder = holder_of(path)
        raise InUseError(
            f"{redacted(owned)}: another run is writing there{f' ({holder})' if holder else ''}; "
            "wait for it, or choose another output folder"
        )
    try:
        yield
    finally:
        os.close(descriptor)
