"""Faults of a manifest's cells, whichever check finds them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from nst_core.files import StorageError
from nst_core.places import redacted


@dataclass(frozen=True)
class Fault:
    """One error in a manifest.

    Attributes:
        line: the line of the manifest where the row begins; 0 for an error that concerns all rows.
        column: the column of the cell.
        found: the text of the cell; empty if the cell is empty or missing.
        expected: what is wrong with it, and what is allowed.
    """

    line: int
    column: str
    found: str
    expected: str

    def __post_init__(self) -> None:
        """Redact secrets in addresses, even if an address is in the header."""
        for name in ("column", "found", "expected"):
            object.__setattr__(self, name, redacted(getattr(self, name)))

    def __str__(self) -> str:
        found = repr(self.found) if self.found else "nothing"
        return f"line {self.line}, column {self.column}: found {found}; {self.expected}"


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
        return "it cannot be used: it asks for more memory than there is"
    said = " ".join(f"{type(error).__name__}: {error}".split())
    return f"it cannot be used ({said[:300]})"
