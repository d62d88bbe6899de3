"""Objects in object storage and on the web, through fsspec."""

import errno
import glob
import io
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar

from tenacity import retry, retry_if_exception, stop_after_attempt, wait_exponential
from upath import UPath

from nst_core.storage.answers import Listed, OpenFile, Stat, StorageError
from nst_core.storage.places import Place, place, redacted, redacted_reason
from nst_core.storage.schemes import is_read_only

Answer = TypeVar("Answer")
WEB_ATTEMPTS = 3

WRITTEN_AT = ("LastModified", "updated", "last_modified", "created")
"""How the libraries for S3, Google and Azure, and fsspec's memory, call the time of a write."""


class ObjectStorage:
    """The storage of all URLs; an object appears only once it is complete."""

    # A service answers slowly, but many requests in parallel.
    reads_at_once = 8

    def open(self, path: UPath, *, regular: bool = False) -> OpenFile:  # noqa: ARG002
        """Read an object; `regular` changes nothing, because there is nothing but objects."""
        return io.BytesIO(self._read(path))

    def _read(self, path: UPath) -> bytes:
        return ask_storage(path, lambda storage, key: bytes(storage.cat_file(key)))

    def stat(self, path: UPath) -> Stat:
        """Return an object's size and the tag that the storage gives to its bytes."""

        def look(storage: Any, key: str) -> Stat:
            facts = storage.info(key)
            tag = facts.get("ETag") or facts.get("etag") or ""
            return Stat(int(facts["size"] or 0), _bare(tag))

        return ask_storage(path, look)

    def listing(self, folder: UPath) -> dict[str, Listed]:
        """Return the sizes and times of all objects below a folder, with few requests."""

        def look(storage: Any, key: str) -> Mapping[str, Mapping[str, Any]]:
            # Some libraries answer from what they listed before.
            storage.invalidate_cache(key)
            found: Mapping[str, Mapping[str, Any]] = storage.find(key, detail=True)
            return found

        root = f"{folder.path.rstrip('/')}/"
        return {
            name.removeprefix(root): Listed(int(facts["size"] or 0), _written_at(facts))
            for name, facts in ask_storage(folder, look).items()
        }

    def find(self, named: UPath) -> list[Place]:
        """Return what is in a folder; if nothing is there, what matches it as a glob."""
        names: list[str] = []
        with suppress(FileNotFoundError):
            names = ask_storage(named, lambda storage, key: list(storage.find(key, maxdepth=1)))
        if not names and glob.has_magic(named.path):
            names = ask_storage(named, lambda storage, key: list(storage.glob(key)))
        return [place(named.fs.unstrip_protocol(name)) for name in names]

    def write(self, path: UPath, data: bytes) -> str:
        """Write an object, and return the storage's tag of exactly these bytes.

        Another machine may write to the same place at any moment, so the object's tag after the
        write need not belong to these bytes. The tag that is returned comes from the storage's
        response to the write; without it, the bytes are read back, and the object's tag is returned
        if it was the same before and after.
        """
        if is_read_only(path.protocol):
            raise OSError(errno.EROFS, f"{path.protocol}:// is read-only", redacted(path))
        answer = ask_storage(path, lambda storage, key: storage.pipe_file(key, data))
        if isinstance(answer, Mapping) and answer.get("ETag"):
            return _bare(answer["ETag"])
        with suppress(OSError):
            found = self.stat(path)
            if found.tag and self._read(path) == data and self.stat(path) == found:
                return found.tag
        return ""

    def flush(self, folder: UPath) -> None:
        """Do nothing: an object is durable once its upload has been answered."""

    def move(self, path: UPath, free: UPath) -> None:
        """Copy an object, and remove the original; object storage cannot rename."""
        self.write(free, self._read(path))
        self.remove(path)

    def remove(self, path: UPath) -> None:
        """Remove an object, if it exists."""
        with suppress(FileNotFoundError):
            ask_storage(path, lambda storage, key: storage.rm_file(key))

    def probe(self, folder: UPath) -> None:
        """Write an empty object and remove it; without permission to delete, it stays."""
        probe = folder / ".nst-batch" / "check"
        try:
            self.write(probe, b"")
        except OSError as error:
            raise type(error)(error.errno, error.strerror, redacted(folder)) from None
        with suppress(OSError):
            self.remove(probe)


def _written_at(facts: Mapping[str, Any]) -> float | None:
    """Return when an object was written, in seconds since 1970; None if that is unknown.

    Args:
        facts: what a library reports about the object, under names that differ between libraries.
    """
    named = (facts.get(name) for name in WRITTEN_AT)
    found = next((time for time in named if time is not None), None)
    if isinstance(found, str):
        try:
            found = datetime.fromisoformat(found)
        except ValueError:
            return None
    if isinstance(found, datetime):
        return found.timestamp()
    return float(found) if isinstance(found, int | float) else None


def _bare(tag: Any) -> str:
    return str(tag).strip('"')


def ask_storage(remote: UPath, ask: Callable[[Any, str], Answer]) -> Answer:
    """Return a storage's response; its library's errors become an `OSError` without secrets.

    Args:
        remote: the place to ask about; errors name it.
        ask: called with fsspec's file system and the path in it. On the web, it is tried three
            times; the libraries of other storages retry by themselves.
    """
    patiently = retry(
        retry=retry_if_exception(_may_pass),
        stop=stop_after_attempt(WEB_ATTEMPTS if is_read_only(remote.protocol) else 1),
        wait=wait_exponential(min=1, max=4),
        reraise=True,
    )
    try:
        answer: Answer = patiently(ask)(remote.fs, remote.path)
        return answer
    # These errors are not chained, because the library's own error may quote a signed URL.
    except FileNotFoundError:
        raise FileNotFoundError(errno.ENOENT, "No such file", redacted(remote)) from None
    except PermissionError:
        denied = "access denied by the storage service"
        raise StorageError(errno.EACCES, denied, redacted(remote)) from None
    except Exception as error:  # noqa: BLE001 - each library raises errors of its own
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        reason = redacted_reason(remote, reason)[:300]
        raise StorageError(errno.EIO, reason, redacted(remote)) from None


def _may_pass(error: BaseException) -> bool:
    lasting = (FileNotFoundError, PermissionError, ValueError, NotImplementedError)
    refused = 400 <= getattr(error, "status", 0) < 500
    return not isinstance(error, lasting) and not refused
