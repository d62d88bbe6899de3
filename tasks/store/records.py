"""Records: the persisted results of tasks, each a small JSON text that names a file.

Arrays never pass through the engine: the file holds them, and the record holds its size and
SHA-256. Reading a record verifies the file, so that what is missing or damaged is made again.

A record is input like any other: it may be damaged, or written by somebody else. It never decides
which file is read. Its reader says where the file must be, and the record only says what the file
must contain.
"""

import hashlib
import json
import logging
import re
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import from_json
from upath import UPath

from nst_core.storage.files import (
    NotAFileError,
    StorageError,
    contents_of,
    list_files,
    read_kept,
    remove,
    size_of,
    version_of,
    write_atomic,
    write_tagged,
)
from nst_core.storage.places import Place, redacted
from nst_core.transfer.settings import Settings
from tasks.store.layout import targets_path

logger = logging.getLogger("nst_batch.records")

SERIALIZER = "nst-batch/record"
"""The name under which Prefect finds the serializer of these records."""

MOST_BYTES = 1 << 20
"""The largest size of a record; ours have a few thousand bytes."""

Finite = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, lt=2**63)]
"""A whole number that the table can hold."""

Name = Annotated[str, Field(max_length=300)]
Sentence = Annotated[str, Field(max_length=2000)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


def _recorded(named: object) -> Place:
    if isinstance(named, Path | UPath):
        return named
    if isinstance(named, str):
        return Path(named)
    raise ValueError("expected a path or an address")


RecordedPlace = Annotated[Place, PlainValidator(_recorded), PlainSerializer(str, return_type=str)]
"""Where a file was written. When a record is read, only the end of it counts, so even an address
is a `Path` then, and no storage library is asked about it."""


class RecordError(Exception):
    """A record that cannot be relied on: it or the file that it names is missing or damaged."""


class ForeignRecordError(RecordError):
    """Something in a record's place that Prefect could take for another kind of record, or a pipe,
    a link or a device.

    A damaged record, which may be one that is being written, is not foreign.
    """


class FileReference(BaseModel):
    """A file by its absolute path or address, its size in bytes and its SHA-256.

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
        """Refer to a file that is said to contain these bytes."""
        sha256 = hashlib.sha256(data).hexdigest()
        return cls(path=path.absolute(), size=len(data), sha256=sha256)

    @classmethod
    def write(cls, path: Place, data: bytes) -> Self:
        """Write the file atomically and refer to these bytes, even if others write there, too."""
        tag = write_tagged(path, data)
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
            StorageError: its storage refuses or does not answer.
        """
        try:
            # A file of another size is not read at all.
            found = self.size if not isinstance(self.path, Path) else size_of(self.path)
            data = read_kept(self.path) if found == self.size else b""
        except StorageError:
            raise
        except (OSError, ValueError) as error:
            raise self._unreadable(error) from error
        if len(data) != self.size or hashlib.sha256(data).hexdigest() != self.sha256:
            raise self._damaged(len(data) if found == self.size else found)
        return data

    def verify(self) -> Self:
        """Verify that the file has not changed.

        In object storage its tag is enough; otherwise each run would fetch every picture there is.

        Returns:
            The reference, with the tag that these bytes have there now.

        Raises:
            RecordError: the file is missing or has changed.
            StorageError: its storage refuses or does not answer.
        """
        tag = ""
        try:
            if not isinstance(self.path, Path):
                found = version_of(self.path)
                if self.tag and found == (self.size, self.tag):
                    return self
                # A copy of the same bytes may have another tag.
                tag = found.tag
                if found.size != self.size:
                    raise self._damaged(found.size)
            contents = contents_of(self.path, self.size)
        except StorageError:
            raise
        except (OSError, ValueError) as error:
            raise self._unreadable(error) from error
        if contents != (self.size, self.sha256):
            raise self._damaged(contents.size)
        return self.model_copy(update={"tag": tag})

    def _unreadable(self, error: OSError | ValueError) -> RecordError:
        reason = getattr(error, "strerror", None) or error
        return RecordError(f"{redacted(self.path)} cannot be read: {reason}")

    def _damaged(self, size: int) -> RecordError:
        return RecordError(
            f"{redacted(self.path)} is damaged or another file: found {size} bytes, expected "
            f"{self.size} bytes with SHA-256 {self.sha256[:12]}..."
        )


class StyleRecord(BaseModel):
    """The record of a style's targets, which are in a safetensors file."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["style"] = "style"
    key: Name
    file: FileReference
    seconds: Finite


class StylizationFacts(BaseModel):
    """How a picture was made, as stored both in its record and in the picture itself.

    Losses are those of exactly the saved picture; `style_layers` are relative losses by layer.
    """

    model_config = ConfigDict(frozen=True)

    settings: Settings
    seed: Count
    encoder_fingerprint: Name
    total_loss: Finite
    content_loss: Finite
    style_loss: Finite
    tv_loss: Finite
    style_layers: dict[Name, Finite]
    start_loss: Finite
    steps: Count
    evaluations: Count
    stop_reason: Name
    recoveries: Count


class PictureRecord(StylizationFacts):
    """The record of a finished picture, in a PNG file, with the facts that the table shows.

    Attributes:
        curve: where its loss curve was written.
        warnings: what is odd about it; records of earlier versions have none.
        curve_file: the loss curve; None in records of the version that did not store its SHA-256.
    """

    kind: Literal["picture"] = "picture"
    key: Name
    file: FileReference
    curve: RecordedPlace
    curve_file: FileReference | None = None
    width: Count
    height: Count
    seconds: Finite
    device: Name
    peak_memory_mb: Finite
    warnings: tuple[Sentence, ...] = ()


Record = StyleRecord | PictureRecord
AnyRecord = TypeVar("AnyRecord", StyleRecord, PictureRecord)
_ANY_RECORD: TypeAdapter[Record] = TypeAdapter(Record)


class _Serializer(BaseModel):
    type: str


class _Metadata(BaseModel):
    serializer: _Serializer


class _Envelope(BaseModel):
    """What Prefect puts around a record; an older form, which Prefect still obeys, is refused."""

    model_config = ConfigDict(extra="forbid")

    metadata: _Metadata
    result: str


def parse_record(text: bytes | str) -> Record:
    """Return the record in a JSON text, without looking at its file.

    Raises:
        RecordError: the text is not a record.
    """
    try:
        return _ANY_RECORD.validate_json(text)
    except ValueError as error:
        raise RecordError(f"not a record: {_first_fault(error)}") from error


def read_record(path: Place, key: str, kind: type[AnyRecord]) -> AnyRecord:
    """Return the record that is stored under a key, without looking at its file.

    This reads what `engine.caching` has Prefect write, but without Prefect, so that thousands of
    records are read quickly. It uses Prefect's parser, so that both read the same.

    Raises:
        FileNotFoundError: there is none.
        StorageError: a storage does not say whether there is one.
        RecordError: it cannot be read, or is not such a record; `ForeignRecordError` if it must be
            removed before Prefect sees it.
    """
    try:
        data = read_kept(path, MOST_BYTES)
    except (FileNotFoundError, StorageError):
        raise
    except (OSError, ValueError) as error:
        # What cannot be read may belong to another user, so it stays.
        kind_of_error = ForeignRecordError if isinstance(error, NotAFileError) else RecordError
        raise kind_of_error(f"{redacted(path)}: {_first_fault(error)}") from error
    try:
        return checked_record(parse_record(_unwrapped(data)), key, kind)
    except RecordError as error:
        raise type(error)(f"{redacted(path)}: {error}") from error


def _unwrapped(data: bytes) -> str:
    """Return the record from Prefect's envelope."""
    try:
        envelope = _Envelope.model_validate_json(data)
    except ValueError as error:
        raise (ForeignRecordError if _is_json(data) else RecordError)(
            _first_fault(error)
        ) from error
    if envelope.metadata.serializer.type != SERIALIZER:
        # Prefect would obey it, and its pickle serializer runs any code that is in the data.
        named = envelope.metadata.serializer.type[:40]
        raise ForeignRecordError(f"it names the serializer {named!r}")
    return envelope.result


def _is_json(data: bytes) -> bool:
    try:
        from_json(data)
    except ValueError:
        return False
    return True


def checked_record(record: Record, key: str, kind: type[AnyRecord]) -> AnyRecord:
    """Return a record, if it has the kind and the key that were looked for.

    Raises:
        RecordError: it does not.
    """
    if not isinstance(record, kind):
        raise RecordError(f"expected a {kind.__name__}, found a {type(record).__name__}")
    if record.key != key:
        raise RecordError(f"found the record of another key, {record.key[:12]!r}...")
    return record


def write_record(path: Place, record: Record) -> None:
    """Store a record as Prefect would, but atomically.

    Raises:
        OSError: it cannot be written.
    """
    metadata = {"storage_key": str(path), "serializer": {"type": SERIALIZER}}
    envelope = {"metadata": metadata, "result": record.model_dump_json()}
    write_atomic(path, json.dumps(envelope).encode())


def _first_fault(error: OSError | ValueError) -> str:
    """Return the first fault on one line: a record may hold anything, and its faults fill pages."""
    if isinstance(error, ValidationError):
        fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, fault["loc"]))[:80]
        return f"{where}: {fault['msg']}" if where else fault["msg"]
    return str(getattr(error, "strerror", None) or error)


def find_style(folder: Place, key: str) -> StyleRecord | None:
    """Return the record of a style's targets, its file verified; None if they must be computed.

    The targets are looked for beside the folder of records and nowhere else. Anything that Prefect
    could take for something other than one of our records is removed.

    Raises:
        StorageError: a storage does not say whether there is one.
    """
    path = folder / key
    try:
        return verified_style(read_record(path, key, StyleRecord), targets_path(folder, key))
    except FileNotFoundError:
        return None
    except StorageError:
        # Otherwise a hiccup of the storage would have all rows of a run made again.
        raise
    except RecordError as error:
        logger.warning("computed again: what was kept of it cannot be used (%s)", error)
        if isinstance(error, ForeignRecordError):
            forget_record(path)
        return None


def verified_style(record: StyleRecord, path: Place) -> StyleRecord:
    """Return the record, if its file is where it must be and has not changed.

    Raises:
        RecordError: the file is missing or has changed.
        StorageError: a storage refuses or does not answer.
    """
    return record.model_copy(update={"file": record.file.at(path).verify()})


def forget_record(path: Place) -> None:
    """Remove what is in a record's place, unless it is a folder; it may not even be a file."""
    try:
        remove(path)
    except IsADirectoryError:
        return
    except OSError as error:
        logger.warning("%s: cannot be removed: %s", redacted(path), error.strerror)


def remove_failures(folder: Place) -> None:
    """Remove what Prefect persists of failed tasks: files that no key names and nothing reads.

    Prefect names them by UUIDs; files with other names belong to somebody else.
    """
    try:
        for name in list_files(folder):
            if re.fullmatch("[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", name):
                remove(folder / name)
    except OSError as error:
        logger.warning(
            "%s: what failed rows left there stays: %s", redacted(folder), error.strerror
        )
