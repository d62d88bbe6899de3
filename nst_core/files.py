"""Files: read and written whole, and where the user's cache is."""

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

from nst_core.held_files import create_held, part_name
from nst_core.places import READ_ONLY, Place, PlaceError, place, told, without_secrets_of

Answer = TypeVar("Answer")
WEB_ATTEMPTS = 3


def user_cache() -> Place:
    """`NST_BATCH_CACHE`, or `nst-batch` in the user's cache folder.

    Raises:
        PlaceError: the variable is no place that can be used.
    """
    named = os.environ.get("NST_BATCH_CACHE")
    return place(named) if named else local_cache()


def local_cache(cache: Place | None = None) -> Path:
    """A cache, or the user's cache folder on this machine where the cache is elsewhere.

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
    """Make folders for their owner alone, outer ones first; what is there stays as it is.

    Folders around the first are made as usual.

    Raises:
        OSError: one cannot be made.
    """
    folders[0].parent.mkdir(parents=True, exist_ok=True)
    for folder in folders:
        folder.mkdir(exist_ok=True, mode=0o700)


class StorageError(OSError):
    """An object storage refuses or does not answer, which says nothing of what is in it."""


def special_kind(path: Path) -> str:
    """What a path leads to that is no file, without opening it: reading it may never end.

    Returns:
        Such as "a pipe"; empty for files and folders, and for what is not there.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return ""
    kinds = {stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket"}
    devices = {stat.S_ISCHR: "a device or terminal", stat.S_ISBLK: "a device"}
    return next((kind for is_one, kind in (kinds | devices).items() if is_one(mode)), "")


def read_whole(path: Place) -> bytes:
    """A file's bytes, wherever it is.

    Raises:
        OSError: it is not there (`FileNotFoundError`) or cannot be read, with a reason in
            `strerror`; `StorageError` where it may be there all the same.
    """
    if isinstance(path, Path):
        if kind := special_kind(path):
            raise OSError(errno.EINVAL, f"this is {kind}, expected a file", str(path))
        return path.read_bytes()
    return ask_storage(path, lambda storage, key: bytes(storage.cat_file(key)))


class NotAFileError(OSError):
    """A link, a folder, a pipe, a device or a file of any size lies where a small file should."""


def read_kept(path: Place, most: int | None = None) -> bytes:
    """The bytes of a regular file or of an object; anything else is not opened.

    Args:
        path: where it is.
        most: bytes that it may have on a disk, no more of which are read; it may then be no
            symbolic link either.

    Raises:
        OSError: as `read_whole`; `NotAFileError` where it is something else.
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
    """What a file holds: its size in bytes and its SHA-256."""

    size: int
    sha256: str


def contents_of(path: Place, size: int) -> Contents:
    """What a file holds, in little memory; the SHA-256 is empty where the size is another.

    Raises:
        OSError: as `read_kept`.
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
    """The bytes of a regular file or an object, without reading it.

    Raises:
        OSError: as `read_kept`.
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
    # Merely opening a pipe would wait for whoever writes to it, and some devices act on it.
    size_of(path)
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")


class Version(NamedTuple):
    """What a storage says of an object without reading it.

    Attributes:
        size: in bytes.
        tag: another for other bytes; empty where the storage has none.
    """

    size: int
    tag: str


def version_of(path: UPath) -> Version:
    """Of an object as it is now.

    Raises:
        OSError: as `read_whole`.
    """

    def look(storage: Any, key: str) -> Version:
        facts = storage.info(key)
        tag = facts.get("ETag") or facts.get("etag") or ""
        return Version(int(facts["size"] or 0), _bare(tag))

    return ask_storage(path, look)


def names_below(folder: Place) -> set[str]:
    """All files in a folder and its folders, as relative paths with `/` between them.

    Raises:
        OSError: as `read_whole`; a folder that is not there has none.
    """
    if isinstance(folder, Path):
        return {
            found.relative_to(folder).as_posix() for found in folder.rglob("*") if found.is_file()
        }
    root = f"{folder.path.rstrip('/')}/"
    found = ask_storage(folder, lambda storage, key: list(storage.find(key)))
    return {name.removeprefix(root) for name in found}


def sizes_below(folder: UPath) -> dict[str, int]:
    """All objects in a folder of a storage, by their relative paths; few requests for many.

    Raises:
        OSError: as `read_whole`.
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


def write_whole(path: str | os.PathLike[str] | Place, data: bytes) -> None:
    """Write a file so that readers see the old one or the new one, never a part.

    Missing folders are made. On a disk the folder holds a part meanwhile (see `part_name`); it is
    removed on any error. Only a killed process or a power cut can leave it behind, and
    `sweep_parts` removes it then. In object storage an object is there once all of it has arrived.

    Raises:
        OSError: the folder cannot be made, is not writable or full; an old file is then unchanged.
    """
    path = place(path)
    if isinstance(path, Path):
        _write_on_disk(path, data)
    else:
        _write_object(path, data)


def write_tagged(path: Place, data: bytes) -> str:
    """`write_whole`; the tag that the file's storage gives to just these bytes.

    Another machine may write to the same place at any moment, so that the tag of what is there
    afterwards need not be that of these bytes. It is the one in the storage's answer to the write,
    or else the one that was there both before and after these bytes were read back.

    Returns:
        As `Version` has it; empty on a disk, where the storage has no tags, and where something
        else is there by now.

    Raises:
        OSError: as `write_whole`.
    """
    if isinstance(path, Path):
        write_whole(path, data)
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
    """What a storage answers; whatever its library raises becomes an `OSError` without secrets.

    Args:
        remote: of which is asked; errors name it.
        ask: gets fsspec's file system, and the place in it. Tried three times on the web; the
            libraries of other storages do so themselves.
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
        raise FileNotFoundError(errno.ENOENT, "No such file", told(remote)) from None
    except PermissionError:
        raise StorageError(errno.EACCES, "access denied by the storage", told(remote)) from None
    except Exception as error:  # noqa: BLE001 - each library raises errors of its own
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        reason = without_secrets_of(remote, reason)[:300]
        raise StorageError(errno.EIO, reason, told(remote)) from None


def _may_pass(error: BaseException) -> bool:
    lasting = (FileNotFoundError, PermissionError, ValueError, NotImplementedError)
    refused = 400 <= getattr(error, "status", 0) < 500
    return not isinstance(error, lasting) and not refused


def _write_on_disk(path: Path, data: bytes) -> None:
    try:
        _write_beside(path, data)
    except OSError as error:
        # The system names the part, or no file at all where the disk is full.
        raise OSError(error.errno, error.strerror, str(path)) from error


def _write_beside(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part, descriptor = create_held(lambda: path.with_name(part_name(path.name)))
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            # Held until it has its name, or another run would sweep it away.
            part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
