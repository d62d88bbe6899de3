"""What is wrong with a cell of a manifest, whatever it was that found it out."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from nst_core.files import StorageError
from nst_core.places import without_secrets


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        line: of the manifest, where the row begins; 0 for what concerns all rows.
        column: of the cell.
        found: the text of the cell; empty where it is empty or there is none.
        expected: what is wrong with it, and what is allowed.
    """

    line: int
    column: str
    found: str
    expected: str

    def __post_init__(self) -> None:
        """Leave out what is secret in addresses, even where one stands in the header."""
        for name in ("column", "found", "expected"):
            object.__setattr__(self, name, without_secrets(getattr(self, name)))

    def __str__(self) -> str:
        found = repr(self.found) if self.found else "nothing"
        return f"line {self.line}, column {self.column}: found {found}; {self.expected}"


@contextmanager
def as_fault(faults: list[Fault], line: int, column: str, found: str) -> Iterator[None]:
    """Make whatever is raised inside a fault of this cell, so that no row ends the batch.

    Args:
        faults: gets one more where something is raised.
        line, column, found: of the fault.

    Raises:
        StorageError: a storage refuses or does not answer, which is not the row's doing.
    """
    try:
        yield
    except StorageError:
        raise
    except Exception as error:  # noqa: BLE001 - that anything may be raised is why this is here
        faults.append(Fault(line, column, found, reason_of(error)))


def reason_of(error: Exception) -> str:
    """Why something cannot be used, as a user needs to hear it."""
    if isinstance(error, OSError) and error.strerror:
        return f"it cannot be used: the system says {error.strerror!r}"
    if isinstance(error, MemoryError):
        return "it cannot be used: it asks for more memory than there is"
    said = " ".join(f"{type(error).__name__}: {error}".split())
    return f"it cannot be used ({said[:300]})"
