"""Reading and atomic writing of files, and the place of the user's cache."""

import errno
import hashlib
import io
import os
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tenacity import retry, retry_if_exception, stop_after_attempt, wait_exponential
from upath import UPath

from nst_core.errors import UserError
from nst_core.storage.held_files import create_held, part_name
from nst_core.storage.places import READ_ONLY, Place, PlaceError, place, redacted, redacted_reason

Answer = TypeVar("Answer")
WEB_ATTEMPTS = 3


def user_cache() -> Place:
    """Return `NST_BATCH_CACHE`, or `nst-batch` in the user's cache folder.

    Raises:
        PlaceError: the variable does not name a usable place.
    """
    named = os.environ.get("NST_BATCH_CACHE")
    return place(named) if named else local_cache()


def local_cache(cache: Place | None = None) -> Path:
    """Return the cache, or the user's cache folder if the cache is not on this machine.

    Raises:
        PlaceError: the user has no home folder.
    """
    if isinstance(cache, Path):
        return cache
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nst-batch"
    except RuntimeError:
        raise PlaceError(
            "no cache folder: HOME is not set, and this user has no home folder; set "
            "NST_BATCH_CACHE to a folder that you may write"
        ) from None


def make_private(*folders: Path) -> None:
    """Make folders for their owner only, outer ones first, and leave existing ones unchanged.

    Folders around the first are made with the usual permissions.

    Raises:
        OSError: a folder cannot be made.
    """
    folders[0].parent.mkdir(parents=True, exist_ok=True)
    for folder in folders:
        folder.mkdir(exist_ok=True, mode=0o700)


class StorageError(UserError, OSError):
    """An object storage that refuses or does not answer, which says nothing about its contents."""


def special_kind(path: Path) -> str:
    """Name what a path leads to if it is not a file, without opening it: reading may never end.

    Returns:
        A name such as "a pipe"; empty for files and folders, and if nothing is there.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return ""
    kinds = {stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket"}
    devices = {stat.S_ISCHR: "a device or terminal", stat.S_ISBLK: "a device"}
    return next((kind for is_one, kind in (kinds | devices).items() if is_one(mode)), "")


def read_whole(path: Place) -> bytes:
    """Return all bytes of a file, wherever it is.

    Raises:
        OSError: it is not there (`FileNotFoundError`) or cannot be read, with a reason in
            `strerror`; `StorageError` if it may exist all the same.
    """
    if isinstance(path, Path):
        if kind := special_kind(path):
            raise OSError(errno.EINVAL, f"this is {kind}, expected a file", str(path))
        return path.read_bytes()
    return ask_storage(path, lambda storage, key: bytes(storage.cat_file(key)))


class NotAFileError(OSError):
    """A link, folder, pipe, device or oversized file where a small file is expected."""


def read_kept(path: Place, most: int | None = None) -> bytes:
    """Return the bytes of a regular file or of an object; anything else is not opened.

    Args:
        path: where it is.
        most: bytes that it may have on a disk; a larger file is not read to its end. It may then
            not be a symbolic link either.

    Raises:
        OSError: as in `read_whole`; `NotAFileError` if it is something else.
    """
    if not isinstance(path, Path):
        return read_whole(path)
    if most is not None and path.is_symlink():
        raise NotAFileError(errno.ELOOP, "found a symbolic link, expected a file", str(path))
    with _opened_regular(path) as file:
        data = file.read(-1 if most is None else most + 1)
    if most is not None and len(data) > most:
        raise NotAFileError(errno.EFBIG, f"found more than {most} bytes", str(path))
    return data


class Contents(NamedTuple):
    """A file's size in bytes, and its SHA-256."""

    size: int
    sha256: str


def contents_of(path: Place, size: int) -> Contents:
    """Return a file's size and SHA-256, in little memory; no SHA-256 if the size is different.

    Raises:
        OSError: as in `read_kept`.
    """
    if not isinstance(path, Path):
        data = read_whole(path)
        return Contents(len(data), hashlib.sha256(data).hexdigest())
    with _opened_regular(path) as file:
        found = os.fstat(file.fileno()).st_size
        if found != size:
            return Contents(found, "")
        return Contents(found, hashlib.file_digest(file, "sha256").hexdigest())


def size_of(path: Place) -> int:
    """Return the size in bytes of a regular file or an object, without reading it.

    Raises:
        OSError: as in `read_kept`.
    """
    if not isinstance(path, Path):
        return version_of(path).size
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise NotAFileError(
            errno.EINVAL, "found a folder, a pipe or a device, expected a file", str(path)
        )
    return found.st_size


def _opened_regular(path: Path) -> io.BufferedReader:
    # Merely opening a pipe would wait for a writer, and some devices react to being opened.
    size_of(path)
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")


class Version(NamedTuple):
    """What a storage reports about an object without reading it.

    Attributes:
        size: in bytes.
        tag: different for different bytes; empty if the storage has none.
    """

    size: int
    tag: str


def version_of(path: UPath) -> Version:
    """Return the version of an object as it is now.

    Raises:
        OSError: as in `read_whole`.
    """

    def look(storage: Any, key: str) -> Version:
        facts = storage.info(key)
        tag = facts.get("ETag") or facts.get("etag") or ""
        return Version(int(facts["size"] or 0), _bare(tag))

    return ask_storage(path, look)


def list_files(folder: Place) -> set[str]:
    """Return all files in a folder and its subfolders, as relative paths separated by `/`.

    Raises:
        OSError: as in `read_whole`; a folder that does not exist has no files.
    """
    if isinstance(folder, Path):
        return {
            found.relative_to(folder).as_posix() for found in folder.rglob("*") if found.is_file()
        }
    root = f"{folder.path.rstrip('/')}/"
    found = ask_storage(folder, lambda storage, key: list(storage.find(key)))
    return {name.removeprefix(root) for name in found}


def sizes_below(folder: UPath) -> dict[str, int]:
    """Return the sizes of all objects in a storage folder by relative path, with few requests.

    Raises:
        OSError: as in `read_whole`.
    """
    root = f"{folder.path.rstrip('/')}/"
    found = ask_storage(folder, lambda storage, key: storage.find(key, detail=True))
    return {name.removeprefix(root): int(facts["size"] or 0) for name, facts in found.items()}


def remove(path: Place) -> None:
    """Remove a file, if it is there.

    Raises:
        OSError: it cannot be removed.
    """
    if isinstance(path, Path):
        path.unlink(missing_ok=True)
        return
    with suppress(FileNotFoundError):
        ask_storage(path, lambda storage, key: storage.rm_file(key))


def write_atomic(path: str | os.PathLike[str] | Place, data: bytes) -> None:
    """Write a file so that readers see either the old one or the new one, never a part.

    Missing folders are made. On a disk, the data first goes to a temporary file in the same folder
    (see `part_name`), which is removed on any error. Only a killed process or a power failure can
    leave it behind; `sweep_parts` then removes it. In object storage, an object appears complete.

    Raises:
        OSError: the folder cannot be made, is not writable or is full; an old file is unchanged.
    """
    path = place(path)
    if isinstance(path, Path):
        _write_on_disk(path, data)
    else:
        _write_object(path, data)


write_whole = write_atomic
"""The name of `write_atomic` in version 0.1.0, for users' scripts."""


def write_tagged(path: Place, data: bytes) -> str:
    """Write a file like `write_atomic`, and return the storage's tag of exactly these bytes.

    Another machine may write to the same place at any moment, so the tag of what is there
    afterwards need not belong to these bytes. The tag is the one in the storage's answer to the
    write, or else the one that was there both before and after these bytes were read back.

    Returns:
        The tag, as in `Version`; empty on a disk, if the storage has no tags, and if something
        else is there by now.

    Raises:
        OSError: as in `write_atomic`.
    """
    if isinstance(path, Path):
        write_atomic(path, data)
        return ""
    answer = _write_object(path, data)
    if isinstance(answer, Mapping) and answer.get("ETag"):
        return _bare(answer["ETag"])
    with suppress(OSError):
        found = version_of(path)
        if found.tag and read_whole(path) == data and version_of(path) == found:
            return found.tag
    return ""


def _write_object(path: UPath, data: bytes) -> Any:
    return ask_storage(path, lambda storage, key: storage.pipe_file(key, data))


def _bare(tag: Any) -> str:
    return str(tag).strip('"')


def ask_storage(remote: UPath, ask: Callable[[Any, str], Answer]) -> Answer:
    """Return a storage's answer; its library's errors become an `OSError` without secrets.

    Args:
        remote: the place to ask about; errors name it.
        ask: called with fsspec's file system and the path in it. On the web, it is tried three
            times; the libraries of other storages retry by themselves.
    """
    patiently = retry(
        retry=retry_if_exception(_may_pass),
        stop=stop_after_attempt(WEB_ATTEMPTS if remote.protocol in READ_ONLY else 1),
        wait=wait_exponential(min=1, max=4),
        reraise=True,
    )
    try:
        answer: Answer = patiently(ask)(remote.fs, remote.path)
        return answer
    # Not chained: the library's own error may quote a signed address.
    except FileNotFoundError:
        raise FileNotFoundError(errno.ENOENT, "No such file", redacted(remote)) from None
    except PermissionError:
        raise StorageError(errno.EACCES, "access denied by the storage", redacted(remote)) from None
    except Exception as error:  # noqa: BLE001 - each library raises errors of its own
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        reason = redacted_reason(remote, reason)[:300]
        raise StorageError(errno.EIO, reason, redacted(remote)) from None


def _may_pass(error: BaseException) -> bool:
    lasting = (FileNotFoundError, PermissionError, ValueError, NotImplementedError)
    refused = 400 <= getattr(error, "status", 0) < 500
    return not isinstance(error, lasting) and not refused


def _write_on_disk(path: Path, data: bytes) -> None:
    try:
        _write_beside(path, data)
    except OSError as error:
        # The system's error names the temporary file, or no file at all if the disk is full.
        raise OSError(error.errno, error.strerror, str(path)) from error


def _write_beside(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part, descriptor = create_held(lambda: path.with_name(part_name(path.name)))
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            # It is locked until it has its final name, or else another run would sweep it.
            part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
