"""Records: the persisted results of tasks, each a small JSON text that names a file.

Arrays never pass through the engine: the file holds them, and the record holds its size and
SHA-256. Reading a record verifies the file, so that a missing or damaged file is recreated.

A record is input like any other: it may be damaged, or written by somebody else. It never decides
which file is read. Its reader says where the file must be, and the record only says what the file
must contain.
"""

import json
import logging
import re
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    create_model,
)
from pydantic_core import from_json

from nst_core.storage.files import (
    NotAFileError,
    StorageError,
    list_files,
    make_durable,
    read_kept,
    remove,
    write_atomic,
)
from nst_core.storage.places import Place, RecordedPlace, redacted
from nst_core.transfer.losses.terms import FIRST_TERMS, LOSS_TERMS, loss_name
from nst_core.transfer.settings import Settings
from tasks.store.attempts import Sentence, Tried
from tasks.store.file_reference import (
    Count,
    FileReference,
    Finite,
    ForeignRecordError,
    Name,
    RecordError,
)
from tasks.store.record_format import refuse_newer
from tasks.store.row_scores import Scored

logger = logging.getLogger("nst_batch.records")

SERIALIZER = "nst-batch/record"
"""The name under which Prefect finds the serializer of these records."""

MOST_BYTES = 1 << 20
"""The largest size of a record; ours have a few thousand bytes."""


class StyleRecord(Tried):
    """The record of a style's targets, which are in a safetensors file."""

    kind: Literal["style"] = "style"
    key: Name
    file: FileReference
    seconds: Finite


class _FirstFacts(BaseModel):
    """The facts before the loss terms: JSON has the fields in the order of the classes."""

    model_config = ConfigDict(frozen=True)

    settings: Settings
    seed: Count
    encoder_fingerprint: Name
    total_loss: Finite


_LATER: Any = Field(None, exclude_if=lambda loss: loss is None)
"""A loss that pictures of earlier versions do not have, or that not every picture has."""


def _with_loss_terms() -> type[_FirstFacts]:
    """Create the model with a field for each loss term, such as `tv_loss`."""
    fields: dict[str, Any] = {
        loss_name(term): (Finite, ...) if term in FIRST_TERMS else (Finite | None, _LATER)
        for term in LOSS_TERMS
    }
    return create_model("_FactsWithLosses", __base__=_FirstFacts, __module__=__name__, **fields)


if TYPE_CHECKING:
    _FactsWithLosses: TypeAlias = _FirstFacts
else:
    _FactsWithLosses = _with_loss_terms()


class StylizationFacts(_FactsWithLosses):
    """How a picture was made, as stored both in its record and in the picture itself.

    Losses are those of exactly the saved picture; `style_layers` are relative losses by layer.
    `degraded` is how the picture differs from what was asked for, for lack of memory. Records and
    pictures that are not degraded do not contain it, like those of earlier versions.
    """

    style_layers: dict[Name, Finite]
    start_loss: Finite
    steps: Count
    evaluations: Count
    stop_reason: Name
    recoveries: Count
    degraded: Sentence = Field("", exclude_if=lambda how: not how)

    @property
    def term_losses(self) -> dict[str, float]:
        """The loss terms by name, without those that the version which made it did not have."""
        losses = {term: getattr(self, loss_name(term)) for term in LOSS_TERMS}
        return {term: loss for term, loss in losses.items() if loss is not None}


class PictureRecord(Scored, StylizationFacts, Tried):
    """The record of a finished picture's file, with the facts that the table shows.

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
    """What Prefect puts around a record; an older form, which Prefect still accepts, is refused."""

    model_config = ConfigDict(extra="forbid")

    metadata: _Metadata
    result: str


def parse_record(text: bytes | str) -> Record:
    """Return the record in a JSON text, without looking at its file.

    Raises:
        RecordError: the text is not a record; `NewerRecordError` if a newer version wrote it.
    """
    refuse_newer(text)
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
        # A file that cannot be read may belong to another user, so it is not removed.
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
        # Prefect would use this serializer, and its pickle serializer runs any code in the data.
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
        RecordError: its kind or its key differs.
    """
    if not isinstance(record, kind):
        raise RecordError(f"expected a {kind.__name__}, found a {type(record).__name__}")
    if record.key != key:
        raise RecordError(f"found the record of another key, {record.key[:12]!r}...")
    return record


def write_record(path: Place, record: Record) -> None:
    """Store a record as Prefect would, but so that it is whole and survives a power failure.

    Raises:
        OSError: it cannot be written.
    """
    metadata = {"storage_key": str(path), "serializer": {"type": SERIALIZER}}
    envelope = {"metadata": metadata, "result": record.model_dump_json()}
    write_atomic(path, json.dumps(envelope).encode())
    make_durable(path)


def _first_fault(error: OSError | ValueError) -> str:
    """Return the first fault on one line: a record may hold anything, and its faults fill pages."""
    if isinstance(error, ValidationError):
        fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, fault["loc"]))[:80]
        return f"{where}: {fault['msg']}" if where else fault["msg"]
    return str(getattr(error, "strerror", None) or error)


def verified_style(record: StyleRecord, path: Place) -> StyleRecord:
    """Return the record, if its file is where it must be and has not changed.

    Raises:
        RecordError: the file is missing or has changed.
        StorageError: a storage refuses a request or does not answer.
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
            "%s: files that failed rows left behind cannot be removed: %s",
            *(redacted(folder), error.strerror),
        )
