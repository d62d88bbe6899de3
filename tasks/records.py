"""Records: what a task's result is once it is persisted, a small JSON text that names a file.

Arrays never pass through the engine: the file holds them, the record holds its size and SHA-256,
and reading a record verifies the file, so that what is missing or damaged is made again.
"""

import hashlib
import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter

from nst_core.files import (
    StorageError,
    names_below,
    read_whole,
    remove,
    version_of,
    write_tagged,
)
from nst_core.places import Place, PlaceField, told
from nst_core.settings import Settings

logger = logging.getLogger("nst_batch.records")

SERIALIZER = "nst-batch/record"
"""The name under which Prefect finds the serializer of these records."""


class RecordError(Exception):
    """A record that cannot be relied on: it or the file that it names is missing or damaged."""


class FileReference(BaseModel):
    """A file by its absolute path or address, its size in bytes and its SHA-256.

    Attributes:
        tag: what its storage calls just these bytes; empty on a disk, or where it has no name.
    """

    model_config = ConfigDict(frozen=True)

    path: PlaceField
    size: int
    sha256: str
    tag: str = ""

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

    def read(self) -> bytes:
        """The file's bytes, verified.

        Raises:
            RecordError: the file is missing, or not as it was.
            StorageError: its storage does not say.
        """
        try:
            data = read_whole(self.path)
        except StorageError:
            raise
        except OSError as error:
            raise RecordError(f"{told(self.path)} cannot be read: {error.strerror}") from error
        if len(data) != self.size or hashlib.sha256(data).hexdigest() != self.sha256:
            raise RecordError(
                f"{told(self.path)} is damaged: found {len(data)} bytes, expected {self.size} "
                f"bytes with SHA-256 {self.sha256[:12]}..."
            )
        return data

    def verify(self) -> None:
        """See that the file is as it was.

        In object storage its tag is enough, else each night would fetch every picture there is.

        Raises:
            RecordError: the file is missing, or not as it was.
            StorageError: its storage does not say.
        """
        if isinstance(self.path, Path) or not self.tag:
            self.read()
            return
        try:
            found = version_of(self.path)
        except FileNotFoundError as error:
            raise RecordError(f"{told(self.path)} cannot be read: {error.strerror}") from error
        if found != (self.size, self.tag):
            raise RecordError(f"{told(self.path)} holds something else by now")


class StyleRecord(BaseModel):
    """A style's targets, in a safetensors file."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["style"] = "style"
    key: str
    file: FileReference
    seconds: float


class Making(BaseModel):
    """How a picture was made, as both its record and the picture itself have it.

    Losses are those of exactly the saved picture; `style_layers` are relative losses by layer.
    """

    model_config = ConfigDict(frozen=True)

    settings: Settings
    seed: int
    encoder_fingerprint: str
    total_loss: float
    content_loss: float
    style_loss: float
    tv_loss: float
    style_layers: dict[str, float]
    start_loss: float
    steps: int
    evaluations: int
    stop_reason: str
    recoveries: int


class PictureRecord(Making):
    """A finished picture, in a PNG file, and what is to be told of it in the table."""

    kind: Literal["picture"] = "picture"
    key: str
    file: FileReference
    curve: PlaceField
    width: int
    height: int
    seconds: float
    device: str
    peak_memory_mb: float


Record = StyleRecord | PictureRecord
_ANY_RECORD: TypeAdapter[Record] = TypeAdapter(Record)


def read_record(text: bytes) -> Record:
    """The record that a JSON text holds, its file verified.

    Raises:
        RecordError: the text is no record, or its file is missing or damaged.
    """
    record = _parse_record(text)
    record.file.verify()
    return record


def _parse_record(text: bytes) -> Record:
    try:
        return _ANY_RECORD.validate_json(text)
    except ValueError as error:
        raise RecordError(f"not a record: {error}") from error


def find_style(folder: Place, key: str) -> StyleRecord | None:
    """The record of a style's targets, its file verified; None where it must be computed.

    Raises:
        StorageError: a storage does not say whether there is one.
    """
    return _usable(folder / key, lambda record: _verified(record, StyleRecord, record.file.path))


def find_picture(folder: Place, key: str, wanted: Place) -> PictureRecord | None:
    """The record of a finished picture; None where it must be made.

    The picture is looked for at the wanted place first, so that an output folder may be moved,
    then where the record says, so that a row may be given another output. The record that is
    returned names the place where it was found.

    Raises:
        StorageError: a storage does not say whether there is one.
    """

    def look(record: Record) -> PictureRecord:
        try:
            return _verified(record, PictureRecord, wanted)
        except RecordError:
            return _verified(record, PictureRecord, record.file.path)

    return _usable(folder / key, look)


AnyRecord = TypeVar("AnyRecord", StyleRecord, PictureRecord)


def _verified(record: Record, kind: type[AnyRecord], path: Place) -> AnyRecord:
    if not isinstance(record, kind):
        raise RecordError(f"expected a {kind.__name__}, found a {type(record).__name__}")
    file = record.file.model_copy(update={"path": path})
    file.verify()
    return record.model_copy(update={"file": file})


def _usable(path: Place, look: Callable[[Record], AnyRecord]) -> AnyRecord | None:
    """What a look at a kept record gives, or None (with a warning where it is damaged).

    Reads what `tasks.caching` has Prefect write, without Prefect, so that a look at thousands of
    records is quick. A record that names another serializer than ours is removed: Prefect would
    obey it, and a pickle among the serializers runs whatever code is in it.
    """
    try:
        envelope = json.loads(read_whole(path))
        serializer = envelope["metadata"]["serializer"]["type"]
        if serializer != SERIALIZER:
            remove(path)
            raise RecordError(f"{told(path)} named the serializer {serializer!r} and was removed")
        return look(_parse_record(envelope["result"].encode()))
    except FileNotFoundError:
        return None
    except StorageError:
        # Else a hiccup of the storage would have a whole night's rows made again.
        raise
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecordError) as error:
        logger.warning("made again: what was kept of it cannot be used (%s)", error)
        return None


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
