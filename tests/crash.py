"""Disks as they may be after a power failure, computed from what a program did to its files.

A `Journal` records each file operation below a folder. `disks` then returns what POSIX allows to
be there after a failure at any moment: data that was not flushed may be missing or torn, and names
that were not flushed with their folder may be missing, or there without those that changed before
them. A rename is taken to be atomic, as it is on ext4 and xfs.
"""

import os
import random
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import pytest

ALL_SUBSETS_UP_TO = 5
SAMPLED_SUBSETS = 24
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

Disk = dict[str, bytes]
"""The contents of all files, by path relative to the folder."""

Tear = Literal["empty", "half", "whole"]


@dataclass
class File:
    """A file's data, whatever its names.

    Attributes:
        synced: what was flushed last, by the index of the event.
        last: the last data that is known.
    """

    synced: dict[int, bytes] = field(default_factory=dict)
    last: bytes = b""

    def at(self, event: int, tear: Tear) -> bytes:
        """Return the data after a failure that follows this event."""
        flushed = [data for index, data in self.synced.items() if index <= event]
        if flushed:
            return flushed[-1]
        return {"empty": b"", "half": self.last[: len(self.last) // 2], "whole": self.last}[tear]


@dataclass(frozen=True)
class Change:
    """A change of a name: the name `path` then leads to `file`, or to nothing."""

    path: str
    file: File | None
    old_path: str = ""

    def is_in(self, folder: str) -> bool:
        """Return whether the flush of a folder makes the change durable."""
        return folder in {str(Path(path).parent) for path in (self.path, self.old_path) if path}


@dataclass(frozen=True)
class Flush:
    """A flush of a folder."""

    folder: str


@dataclass(frozen=True)
class Mark:
    """A moment that matters to a test."""

    name: str


class Journal:
    """A record of all file operations below a folder, and optionally a fault in one of them.

    Attributes:
        root: the folder.
        events: what happened, in order.
        operations: how many operations there were, reads included.
    """

    def __init__(self, root: Path, fault: Callable[[int, str], OSError | None] | None = None):
        self.root = root.resolve()
        self.events: list[Change | Flush | Mark] = []
        self.operations = 0
        self._names: dict[str, File] = {}
        self._fault = fault
        self._lock = threading.Lock()
        self._thread = 0
        for path in sorted(self.root.rglob("*")):
            if path.is_file():
                data = path.read_bytes()
                self._names[str(path.relative_to(self.root))] = File({-1: data}, data)
        self.before = dict(self._names)

    def mark(self, name: str) -> None:
        """Note that something happens now."""
        with self._alone():
            self.events.append(Mark(name))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self._lock:
            self._thread = threading.get_ident()
            try:
                yield
            finally:
                self._thread = 0

    def _relative(self, path: Any) -> str | None:
        if not isinstance(path, str | bytes | os.PathLike):
            return None
        absolute = Path(os.fsdecode(path)).absolute()
        return str(absolute.relative_to(self.root)) if absolute.is_relative_to(self.root) else None

    def heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Note an audit event (see `sys.addaudithook`), which comes before the operation."""
        handler = getattr(self, f"_on_{event.removeprefix('os.')}", None)
        if handler is None or threading.get_ident() == self._thread:  # that is our own reading
            return
        path = self._relative(arguments[0])
        if path is None:
            return
        with self._alone():
            self._fail(event, arguments[0])
            handler(path, *arguments[1:])

    def _fail(self, event: str, path: Any) -> None:
        self.operations += 1
        if self._fault and (error := self._fault(self.operations, event)):
            error.filename = os.fsdecode(path)
            raise error

    def _on_open(self, path: str, _mode: Any, flags: int) -> None:
        is_new = path not in self._names or flags & os.O_TRUNC
        if flags & WRITES and is_new and not (self.root / path).is_dir():
            self._change(path, File())

    def _on_scandir(self, path: str, *_: Any) -> None:
        """Only count it."""

    def _on_mkdir(self, path: str, *_: Any) -> None:
        """Only count it: a folder without files is as good as none."""

    def _on_remove(self, path: str, *_: Any) -> None:
        self._change(path, None)

    def _on_rename(self, path: str, new: Any, *_: Any) -> None:
        target = self._relative(new)
        assert target is not None, f"{path} was moved out of the folder"
        file = self._names.pop(path)
        if not file.synced:
            file.last = (self.root / path).read_bytes()
        self._change(target, file, old_path=path)

    def _change(self, path: str, file: File | None, old_path: str = "") -> None:
        if file is None:
            self._names.pop(path, None)
        else:
            self._names[path] = file
        self.events.append(Change(path, file, old_path))

    def flushed(self, descriptor: int) -> None:
        """Note the flush of a file or a folder."""
        file = Path(f"/proc/self/fd/{descriptor}").readlink()
        path = self._relative(file)
        if path is None:
            return
        with self._alone():
            self._fail("fsync", file)
            if file.is_dir():
                self.events.append(Flush(path))
            elif path in self._names:
                self._names[path].last = data = file.read_bytes()
                self._names[path].synced[len(self.events)] = data

    def files(self) -> list[File]:
        """Return every file that has ever had a name."""
        changed = (event.file for event in self.events if isinstance(event, Change))
        return [*self.before.values(), *filter(None, changed)]

    def close(self) -> None:
        """Read the data of files that were never flushed."""
        for path, file in self._names.items():
            if not file.synced and (self.root / path).is_file():
                file.last = (self.root / path).read_bytes()


_journals: list[Journal] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    for journal in tuple(_journals):
        journal.heard(event, arguments)


@contextmanager
def journal_of(
    root: Path, fault: Callable[[int, str], OSError | None] | None = None
) -> Iterator[Journal]:
    """Record the file operations of this process below a folder.

    Args:
        root: the folder.
        fault: gets the number of an operation and its name; returns the error that it fails with.
    """
    if not hasattr(sys, "_nst_batch_crash_hook"):
        sys.addaudithook(_hook)  # it stays as long as the process
        sys._nst_batch_crash_hook = True  # type: ignore[attr-defined]
    journal, real = Journal(root, fault), os.fsync
    with pytest.MonkeyPatch.context() as patch:

        def fsync(file: Any) -> None:
            journal.flushed(file if isinstance(file, int) else file.fileno())
            real(file)

        patch.setattr(os, "fsync", fsync)
        _journals.append(journal)
        try:
            yield journal
        finally:
            _journals.remove(journal)
            journal.close()


def moments(journal: Journal) -> range:
    """Return the indexes of all moments at which the power may fail."""
    return range(-1, len(journal.events))


def marks_until(journal: Journal, moment: int) -> set[str]:
    """Return the names of the marks up to a moment."""
    return {event.name for event in journal.events[: moment + 1] if isinstance(event, Mark)}


def disks(journal: Journal, moment: int) -> Iterator[Disk]:
    """Yield the different disks that may be found after a failure at a moment."""
    happened = journal.events[: moment + 1]
    changes = [(index, event) for index, event in enumerate(happened) if isinstance(event, Change)]
    durable = {
        index
        for index, change in changes
        if any(
            isinstance(later, Flush) and change.is_in(later.folder) for later in happened[index:]
        )
    }
    loose = [index for index, _ in changes if index not in durable]
    seen = set()
    for kept in _subsets(loose):
        applied = [change for index, change in changes if index in durable or index in kept]
        names = _applied(journal.before, applied)
        for tear in ("empty", "half", "whole"):
            disk = {path: file.at(moment, tear) for path, file in names.items()}
            state = frozenset(disk.items())
            if state not in seen:
                seen.add(state)
                yield disk


def _subsets(loose: list[int]) -> Iterator[frozenset[int]]:
    """Yield all subsets of a few changes; of many: all orderly ones, those that lack or have one
    change only, and some at random.
    """
    if len(loose) <= ALL_SUBSETS_UP_TO:
        for size in range(len(loose) + 1):
            yield from map(frozenset, combinations(loose, size))
        return
    yield from (frozenset(loose[:size]) for size in range(len(loose) + 1))
    yield from (frozenset(loose) - {one} for one in loose)
    yield from (frozenset({one}) for one in loose)
    generator = random.Random(len(loose))
    for _ in range(SAMPLED_SUBSETS):
        yield frozenset(one for one in loose if generator.random() < 0.5)


def _applied(before: Mapping[str, File], changes: list[Change]) -> dict[str, File]:
    names = dict(before)
    for change in changes:
        if change.old_path and names.get(change.old_path) is change.file:
            del names[change.old_path]
        if change.file is None:
            names.pop(change.path, None)
        else:
            names[change.path] = change.file
    return names


def write_disk(root: Path, disk: Disk) -> None:
    """Make a folder contain exactly these files."""
    for path in sorted(root.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    for name, data in disk.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
