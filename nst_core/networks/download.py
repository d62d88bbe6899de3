"""Download published weights once, verify them, and store them atomically."""

import hashlib
import math
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nst_core.networks.catalogue import PublishedFile
from nst_core.networks.weight_files import WeightsError
from nst_core.storage.folders import flush_folder
from nst_core.storage.local import make_private
from nst_core.storage.locks import LockError, locked

# pooch and requests are imported where they are used, because most commands download nothing.
if TYPE_CHECKING:
    from requests import RequestException

MIRROR = "NST_BATCH_MIRROR"
"""The environment variable with the URL of a folder that replaces the publishers' servers."""

CHUNK = 2**19
"""The number of bytes between two progress reports."""

OnProgress = Callable[[int, int], None]


def fetch_published(
    published: PublishedFile,
    folder: Path,
    *,
    on_progress: OnProgress | None = None,
    timeout: float = 30.0,
    pauses: Sequence[float] = (1.0, 3.0, 9.0),
) -> Path:
    """Return the file in the folder, after downloading it if it is missing or not as published.

    The file gets its name only when it is complete and its checksum is right. If several processes
    or threads want the same file, one of them downloads it, and the others wait. Proxies are taken
    from the usual environment variables; `NST_BATCH_MIRROR` replaces the folder part of the URL.

    Args:
        published: the file to download.
        folder: where to store it; created if it does not exist.
        on_progress: called about every `CHUNK` bytes with the number of bytes received and the
            size of the complete file; the count restarts if the transfer is retried.
        timeout: how many seconds a server may stay silent.
        pauses: seconds before each further attempt, as long as a retry may help.

    Raises:
        WeightsError: the file cannot be downloaded or stored; an old file remains unchanged.
    """
    path, url = folder / published.name, _source(published)
    parts = folder / f".{published.name}.parts"
    found = _fault(path, published)
    if not found and not parts.exists():
        return path
    try:
        make_private(folder.parent, folder)
        with locked(folder / f".{published.name}.lock"), _emptied(parts):
            if _fault(path, published):
                part = parts / published.name
                _patiently(lambda: _transfer(url, part, published, on_progress, timeout), pauses)
                _move_into_place(part, path)
    except (_TransferError, LockError, OSError) as error:
        raise _unobtainable(published, url, path, error, found) from error
    return path


def is_as_published(path: Path, published: PublishedFile) -> bool:
    """Return whether a file exists, is complete, and is as its authors publish it."""
    return not _fault(path, published)


def _source(published: PublishedFile) -> str:
    mirror = os.environ.get(MIRROR)
    return f"{mirror.rstrip('/')}/{published.name}" if mirror else published.url


def _fault(path: Path, published: PublishedFile) -> str:
    """Return what was found instead of the published file; empty if it is the published file."""
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "md5").hexdigest()
        size = path.stat().st_size
    except FileNotFoundError:
        return "no such file"
    except OSError as error:
        return f"something that cannot be read ({error.strerror})"
    return "" if found == published.md5.lower() else f"a file with MD5 {found} ({size:,} bytes)"


@contextmanager
def _emptied(folder: Path) -> Iterator[None]:
    """Create an empty folder, replacing one that a killed process left; remove it at the end."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()
    try:
        yield
    finally:
        shutil.rmtree(folder)


class _TransferError(Exception):
    """An attempt to download failed; the message gives the reason in one line."""

    attempts: float = math.inf
    """How many attempts are worthwhile if they fail in this way."""


class _RefusalError(_TransferError):
    """The server refuses permanently, or the URL is invalid."""

    attempts = 1


class _WrongFileError(_TransferError):
    """The server sent another file; data is hardly ever damaged in transit twice in succession."""

    attempts = 2


def _patiently(attempt: Callable[[], None], pauses: Sequence[float]) -> None:
    failures: Counter[type[_TransferError]] = Counter()
    for pause in pauses:
        try:
            return attempt()
        except _TransferError as error:
            failures[type(error)] += 1
            if failures[type(error)] >= error.attempts:
                raise
        time.sleep(pause)
    return attempt()


def _transfer(
    url: str,
    part: Path,
    published: PublishedFile,
    on_progress: OnProgress | None,
    timeout: float,
) -> None:
    """Download and verify the file, in one attempt."""
    import pooch
    from requests import RequestException

    bar = _Progress(on_progress, published.size) if on_progress else False
    download = pooch.HTTPDownloader(progressbar=bar, chunk_size=CHUNK, timeout=timeout)
    try:
        with part.open("wb") as file:
            download(url, file, None)
    except RequestException as error:
        kind = _RefusalError if _is_refusal(error) else _TransferError
        raise kind(_reason(error)) from error
    if fault := _fault(part, published):
        raise _WrongFileError(f"the server sent {fault}")


class _Progress:
    """An adapter that calls `on_progress`, used where pooch expects a progress bar like tqdm's."""

    total = 0  # Pooch sets it to the size that the server reports, which may be missing.

    def __init__(self, on_progress: OnProgress, size: int) -> None:
        self.on_progress = on_progress
        self.size = size
        self.done = 0

    def update(self, count: int) -> None:
        # Pooch counts the last chunk as a full one, and then adds the size of the file once more.
        self.done = min(self.done + count, self.size)
        self.on_progress(self.done, self.size)

    def reset(self) -> None:
        pass

    def close(self) -> None:
        pass


def _reason(error: "RequestException") -> str:
    if error.response is not None:
        return f"the server answered {error.response.status_code} {error.response.reason}"
    root = _root(error)
    return " ".join(str(root).split()) or type(root).__name__


def _root(error: BaseException) -> BaseException:
    """Return the error that requests and urllib3 wrapped, not one that was being handled."""
    wrapped = (part for part in error.args if isinstance(part, BaseException))
    inner = error.__cause__ or next(wrapped, None)
    return _root(inner) if inner else error


def _is_refusal(error: "RequestException") -> bool:
    if error.response is None:
        # The errors of the requests library that concern the URL are also ValueErrors.
        return isinstance(error, ValueError)
    status = error.response.status_code
    return status < 500 and status not in (408, 429)


def _move_into_place(part: Path, path: Path) -> None:
    """Rename a file so that not even a power failure leaves an incomplete file with that name."""
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    part.replace(path)
    flush_folder(path.parent)


def _unobtainable(
    published: PublishedFile, url: str, path: Path, error: Exception, found: str
) -> WeightsError:
    # A mirror's URL may contain a password, and messages end up in logs.
    shown = re.sub("(?<=//)[^/]*@", "", url)
    place = shown if url == published.url else f"{shown} ({MIRROR}; published at {published.url})"
    reason = str(error).replace(url, shown)
    return WeightsError(
        f"{published.name}: cannot be downloaded from {place}: {reason}. "
        f"Expected MD5 {published.md5} ({published.size:,} bytes); found "
        f"{found or 'that file'} in {path.parent}. "
        "If this machine has no internet access, get the file elsewhere and put it in that folder."
    )
