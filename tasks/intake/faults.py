"""Faults of a manifest's cells, whichever check finds them."""

from collections.abc import Iterator
from contextlib import contextmanager

from nst_core.storage.files import StorageError
from tasks.row import Fault


@contextmanager
def as_fault(faults: list[Fault], line: int, column: str, found: str) -> Iterator[None]:
    """Turn any exception in the context into a fault of this cell, so that no row ends the batch.

    Args:
        faults: the list to which a fault is added if an exception is raised.
        line, column, found: see `Fault`.

    Raises:
        StorageError: a storage refuses or does not answer, which is not the row's fault.
    """
    try:
        yield
    except StorageError:
        raise
    except Exception as error:  # noqa: BLE001 - catching everything is the purpose
        faults.append(Fault(line, column, found, reason_of(error)))


def reason_of(error: Exception) -> str:
    """Return why something cannot be used, in words for users."""
    if isinstance(error, OSError) and error.strerror:
        return f"it cannot be used: the system says {error.strerror!r}"
    if isinstance(error, MemoryError):
        return "it cannot be used: it needs more memory than there is"
    message = " ".join(f"{type(error).__name__}: {error}".split())
    return f"it cannot be used ({message[:300]})"
