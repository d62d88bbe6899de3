"""References to files by size and SHA-256, which are verified before a file is used."""

import hashlib
from typing import Annotated, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
)

from nst_core.storage.files import (
    StorageError,
    contents_of,
    read_start,
    stat,
    write_atomic,
)
from nst_core.storage.places import Place, RecordedPlace, redacted

Finite = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, lt=2**63)]
"""A whole number that the table can hold."""

Name = Annotated[str, Field(max_length=300)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class RecordError(Exception):
    """A record that cannot be relied on: it or the file that it names is missing or damaged."""


class ForeignRecordError(RecordError):
    """Something in a record's place that Prefect could take for another kind of record, or a pipe,
    a link or a device.

    A damaged record, which may be one that is being written, is not foreign.
    """


class NewerRecordError(RecordError):
    """A record in a format of a newer version, which this version neither uses nor replaces."""


class FileReference(BaseModel):
    """A file by its absolute path or URL, its size in bytes and its SHA-256.

    Attributes:
        tag: the storage's tag for exactly these bytes; empty on a disk, or if there is none.
    """

    model_config = ConfigDict(frozen=True)

    path: RecordedPlace
    size: Count
    sha256: Sha256
    tag: Name = ""

    @classmethod
    def to(cls, path: Place, data: bytes) -> Self:
        """Return a reference to a file that should contain these bytes."""
        sha256 = hashlib.sha256(data).hexdigest()
        return cls(path=path.absolute(), size=len(data), sha256=sha256)

    @classmethod
    def write(cls, path: Place, data: bytes) -> Self:
        """Write the file atomically; return a reference to its bytes, even if others write it."""
        tag = write_atomic(path, data)
        return cls(
            path=path.absolute(),
            size=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            tag=tag,
        )

    def at(self, path: Place) -> Self:
        """Return a reference to the same contents in another place."""
        return self.model_copy(update={"path": path.absolute()})

    def read(self) -> bytes:
        """Return the file's bytes, verified.

        Raises:
            RecordError: the file is missing or has changed.
            StorageError: its storage refuses a request or does not answer.
        """
        try:
            data = read_start(self.path, self.size + 1)
            if len(data) == self.size and hashlib.sha256(data).hexdigest() == self.sha256:
                return data
            raise self._damaged(stat(self.path).size)
        except StorageError:
            raise
        except (OSError, ValueError) as error:
            raise self._unreadable(error) from error

    def verify(self) -> Self:
        """Verify that the file has not changed.

        In object storage its tag is enough; otherwise each run would fetch every picture there is.

        Returns:
            The reference, with the tag that these bytes have there now.

        Raises:
            RecordError: the file is missing or has changed.
            StorageError: its storage refuses a request or does not answer.
        """
        try:
            found = stat(self.path)
            if self.tag and found == (self.size, self.tag):
                return self
            if found.size != self.size:
                raise self._damaged(found.size)
            contents = contents_of(self.path, self.size)
        except StorageError:
            raise
        except (OSError, ValueError) as error:
            raise self._unreadable(error) from error
        if contents != (self.size, self.sha256):
            raise self._damaged(contents.size)
        # A copy of the same bytes may have another tag.
        return self.model_copy(update={"tag": found.tag})

    def _unreadable(self, error: OSError | ValueError) -> RecordError:
        reason = getattr(error, "strerror", None) or error
        return RecordError(f"{redacted(self.path)} cannot be read: {reason}")

    def _damaged(self, size: int) -> RecordError:
        return RecordError(
            f"{redacted(self.path)} is damaged or another file: found {size} bytes, expected "
            f"{self.size} bytes with SHA-256 {self.sha256[:12]}..."
        )
