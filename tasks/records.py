"""Records: what a task's result is once it is persisted, a small JSON text that names a file.

Arrays never pass through the engine: the file holds them, the record holds its size and SHA-256,
and reading a record verifies the file, so that what is missing or damaged is made again.

A record is input like any other: it may be damaged, or written by somebody else. It never decides
which file is read. Whoever reads it says where the file has to be, and the record only says what
has to be in it.
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

from nst_core.files import (
    NotAFileError,
    StorageError,
    contents_of,
    names_below,
    read_kept,
    remove,
    size_of,
    version_of,
    write_tagged,
    write_whole,
)
from nst_core.places import Place, told
from nst_core.settings import Settings
from tasks.layout import targets_path

logger = logging.getLogger("nst_batch.records")

SERIALIZER = "nst-batch/record"
"""The name under which Prefect finds the serializer of these records."""

MOST_BYTES = 1 << 20
"""Of a record; ours have a few thousand."""

Finite = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, lt=2**63)]
"""As the table can hold it."""

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
"""Where a file was written. Of a record that is read only its end counts, so that an address is a
`Path` then too, and no library of a storage is asked about it."""


class RecordError(Exception):
    """A record that cannot be relied on: it or the file that it names is missing or damaged."""


class ForeignRecordError(RecordError):
    """Something in a record's place that Prefect could take for another kind of record, or a pipe,
    a link or a device; a damaged record, which may be one that is being written, is none.
    """


class FileReference(BaseModel):
    """A file by its absolute path or address, its size in bytes and its SHA-256.

    Attributes:
        tag: what its storage calls just these bytes; empty on a disk, or where it has no name.
    """

    model_config = ConfigDict(frozen=True)

    path: RecordedPlace
    size: Count
    sha256: Sha256
    tag: Name = ""

    @classmethod
    def to(cls, path: Place, data: bytes) -> Self:
        """Refer to a file that is said to hold these bytes."""
        sha256 = hashlib.sha256(data).hexdigest()
        return cls(path=path.absolute(), size=len(data), sha256=sha256)

    @classmethod
    def write(cls, path: Place, data: bytes) -> Self:
        """Write the file whole and refer to just these bytes, whoever else may write there."""
        tag = write_tagged(path, data)
        return cls(
            path=path.absolute(),
            size=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            tag=tag,
        )

    def at(self, path: Place) -> Self:
        """The same contents in another place."""
        return self.model_copy(update={"path": path.absolute()})

    def read(self) -> bytes:
        """The file's bytes, verified.

        Raises:
            RecordError: the file is missing, or not as it was.
            StorageError: its storage does not say.
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
        """See that the file is as it was.

        In object storage its tag is enough, else each night would fetch every picture there is.

        Returns:
            The reference, with the tag that these bytes have there now.

        Raises:
            RecordError: the file is missing, or not as it was.
            StorageError: its storage does not say.
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
        return RecordError(f"{told(self.path)} cannot be read: {reason}")

    def _damaged(self, size: int) -> RecordError:
        return RecordError(
            f"{told(self.path)} is damaged or another file: found {size} bytes, expected "
            f"{self.size} bytes with SHA-256 {self.sha256[:12]}..."
        )


class StyleRecord(BaseModel):
    """A style's targets, in a safetensors file."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["style"] = "style"
    key: Name
    file: FileReference
    seconds: Finite


class Making(BaseModel):
    """How a picture was made, as both its record and the picture itself have it.

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


class PictureRecord(Making):
    """A finished picture, in a PNG file, and what is to be told of it in the table.

    Attributes:
        curve: where its loss curve was written.
        warnings: what is odd about it; records of earlier versions have none.
        curve_file: the loss curve; None in records of the version that did not keep its SHA-256.
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
    """What Prefect puts around a record; its older form, which it still obeys, is refused."""

    model_config = ConfigDict(extra="forbid")

    metadata: _Metadata
    result: str


def parse_record(text: bytes | str) -> Record:
    """The record that a JSON text holds; its file is not looked at.

    Raises:
        RecordError: the text is no record.
    """
    try:
        return _ANY_RECORD.validate_json(text)
    except ValueError as error:
        raise RecordError(f"not a record: {_first_fault(error)}") from error


def read_record(path: Place, key: str, kind: type[AnyRecord]) -> AnyRecord:
    """The record that is kept under a key; its file is not looked at.

    Reads what `tasks.caching` has Prefect write, without Prefect, so that a look at thousands of
    records is quick, and with the parser that Prefect uses, so that both read the same.

    Raises:
        FileNotFoundError: there is none.
        StorageError: a storage does not say whether there is one.
        RecordError: it cannot be read, or is no such record; `ForeignRecordError` where it must be
            removed before Prefect sees it.
    """
    try:
        data = read_kept(path, MOST_BYTES)
    except (FileNotFoundError, StorageError):
        raise
    except (OSError, ValueError) as error:
        # What cannot be read may be another user's, whose it stays.
        kind_of_error = ForeignRecordError if isinstance(error, NotAFileError) else RecordError
        raise kind_of_error(f"{told(path)}: {_first_fault(error)}") from error
    try:
        return checked_record(parse_record(_unwrapped(data)), key, kind)
    except RecordError as error:
        raise type(error)(f"{told(path)}: {error}") from error


def _unwrapped(data: bytes) -> str:
    """The record in what Prefect keeps."""
    try:
        envelope = _Envelope.model_validate_json(data)
    except ValueError as error:
        raise (ForeignRecordError if _is_json(data) else RecordError)(
            _first_fault(error)
        ) from error
    if envelope.metadata.serializer.type != SERIALIZER:
        # Prefect would obey it, and a pickle among the serializers runs whatever code is in it.
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
    """A record, if it is of the kind and of the key that were looked for.

    Raises:
        RecordError: it is not.
    """
    if not isinstance(record, kind):
        raise RecordError(f"expected a {kind.__name__}, found a {type(record).__name__}")
    if record.key != key:
        raise RecordError(f"found the record of another key, {record.key[:12]!r}...")
    return record


def write_record(path: Place, record: Record) -> None:
    """Keep a record as Prefect would, but whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    metadata = {"storage_key": str(path), "serializer": {"type": SERIALIZER}}
    envelope = {"metadata": metadata, "result": record.model_dump_json()}
    write_whole(path, json.dumps(envelope).encode())


def _first_fault(error: OSError | ValueError) -> str:
    """In a line, as a record may hold anything, and all that is wrong with it fills pages."""
    if isinstance(error, ValidationError):
        fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, fault["loc"]))[:80]
        return f"{where}: {fault['msg']}" if where else fault["msg"]
    return str(getattr(error, "strerror", None) or error)


def find_style(folder: Place, key: str) -> StyleRecord | None:
    """The record of a style's targets, its file verified; None where it must be computed.

    The targets are looked for beside the folder of records and nowhere else. What Prefect could
    take for something else than a record of ours is removed.

    Raises:
        StorageError: a storage does not say whether there is one.
    """
    path = folder / key
    try:
        return verified_style(read_record(path, key, StyleRecord), targets_path(folder, key))
    except FileNotFoundError:
        return None
    except StorageError:
        # Else a hiccup of the storage would have a whole night's rows made again.
        raise
    except RecordError as error:
        logger.warning("computed again: what was kept of it cannot be used (%s)", error)
        if isinstance(error, ForeignRecordError):
            forget_record(path)
        return None


def verified_style(record: StyleRecord, path: Place) -> StyleRecord:
    """The record, its file being where it has to be and as it was.

    Raises:
        RecordError: it is not.
        StorageError: a storage does not say.
    """
    return record.model_copy(update={"file": record.file.at(path).verify()})


def forget_record(path: Place) -> None:
    """Remove what lies in a record's place, unless it is a folder; it may not even be a file."""
    try:
        remove(path)
    except IsADirectoryError:
        return
    except OSError as error:
        logger.warning("%s: cannot be removed: %s", told(path), error.strerror)


def remove_failures(folder: Place) -> None:
    """Remove what Prefect persists of failed tasks: files that no key names and nothing reads.

    Prefect names them by UUIDs; files of other names are somebody's own.
    """
    try:
        for name in names_below(folder):
            if re.fullmatch("[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", name):
                remove(folder / name)
    except OSError as error:
        logger.warning("%s: what failed rows left there stays: %s", told(folder), error.strerror)
