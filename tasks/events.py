"""Events of a batch: one for each thing that happens, emitted once and sent to every subscriber.

If you set the logger `nst_batch.events` to the level INFO, you get a line for each event.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from tasks.row_estimate import RowEstimate as RowEstimate

logger = logging.getLogger("nst_batch.events")

RowEnd = Literal["done", "failed", "interrupted", "pending"]
ROW_ENDS: tuple[RowEnd, ...] = get_args(RowEnd)
"""How a row can end in this run; a row that never begins is `pending`."""


@dataclass(frozen=True)
class StageEntered:
    """The batch begins something that may take seconds before any row runs; `doing` says what."""

    doing: str

    def __str__(self) -> str:
        return f"{self.doing} ..."


@dataclass(frozen=True)
class FileDownloading:
    """Some bytes of a file have been downloaded: `done` of `total`."""

    name: str
    done: int
    total: int

    def __str__(self) -> str:
        return f"downloading {self.name}: {self.done} of {self.total} bytes"


@dataclass(frozen=True)
class ManifestUnderstood:
    """The manifest was read, and has another form than UTF-8 with commas; `text` says which."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class PictureExamined:
    """Some of all pictures have been examined: `done` of `total`."""

    done: int
    total: int

    def __str__(self) -> str:
        return f"{self.done} of {self.total} pictures examined"


@dataclass(frozen=True)
class RowsSelected:
    """It is known which rows of the manifest are asked for, if not all of them are.

    Attributes:
        only: what `--only` says.
        rows: how many rows are asked for.
        total: how many rows the manifest has.
        is_preview: whether previews are made of them.
    """

    only: str
    rows: int
    total: int
    is_preview: bool = False

    def __str__(self) -> str:
        if self.is_preview:
            return f"previews of {self.rows} of {self.total} rows"
        if not self.rows:
            return (
                f"--only {self.only}: no row ended that way in the last run; nothing is left to do"
            )
        return f"--only {self.only}: {self.rows} of {self.total} rows are asked for"


@dataclass(frozen=True)
class RowsPlanned:
    """It is known which rows are to run.

    Attributes:
        to_run: how many rows are to run.
        total: how many rows can run and are asked for or done; those that are not to run were
            done by an earlier run.
        equal: how many of the rows to run only get a copy of an earlier row's picture.
        estimates: how long the others take, in the order in which they run.
        is_part: whether only some rows of the manifest are asked for.
        replaced: how many rows replace pictures that were made with other settings or pictures.
    """

    to_run: int
    total: int
    equal: int = 0
    estimates: tuple[RowEstimate, ...] = ()
    is_part: bool = False
    replaced: int = 0

    def __str__(self) -> str:
        return f"{self.to_run} of {self.total} rows to run"


@dataclass(frozen=True)
class DevicesOpened:
    """It is known on which devices rows run.

    Attributes:
        devices: as TensorFlow names them, such as `GPU:0`.
        cpu_shared_with: another run that works on the CPU, such as `process 4711 of anna`; empty if
            there is none.
    """

    devices: tuple[str, ...]
    cpu_shared_with: str = ""

    def __str__(self) -> str:
        return f"rows run on {', '.join(self.devices)}"


@dataclass(frozen=True)
class RowStarted:
    """A row begins; its pictures are not loaded yet, and it has no device yet."""

    line: int
    output: str

    def __str__(self) -> str:
        return f"line {self.line} {self.output}: started"


@dataclass(frozen=True)
class RowWaiting:
    """A row, or its style before it, waits for a device; `reason` says so, and who uses it."""

    line: int
    output: str
    reason: str = ""

    def __str__(self) -> str:
        return f"line {self.line} {self.output} {self.reason}"


@dataclass(frozen=True)
class RowRetried:
    """A row, or its style before it, failed and is tried again; `reason` says why, and when."""

    line: int
    output: str
    reason: str

    def __str__(self) -> str:
        return f"line {self.line} {self.output} {self.reason}"


@dataclass(frozen=True)
class RowStepped:
    """A row took some optimizer steps.

    Attributes:
        step, steps: the steps taken so far, and their maximum.
        share: the part of the row's planned work that is done, from 0 to 1.
        loss: the total loss of the best picture so far.
    """

    line: int
    output: str
    step: int
    steps: int
    share: float
    loss: float

    def __str__(self) -> str:
        at = f"step {self.step} of {self.steps}"
        return f"line {self.line} {self.output}: {at}, loss {self.loss:.5g}"


@dataclass(frozen=True)
class RowEnded:
    """A row ended.

    Attributes:
        status: how it ended.
        loss: the total loss of its picture; NaN if it has none.
        reason: why it ended this way, for people.
        is_typical: whether it says how long such rows take; not if it was made to end early.
    """

    line: int
    output: str
    status: RowEnd
    loss: float = float("nan")
    reason: str = ""
    is_typical: bool = True

    def __str__(self) -> str:
        why = f"loss {self.loss:.4g}" if self.status == "done" else self.reason
        return f"line {self.line} {self.output}: {self.status}, {why}"


@dataclass(frozen=True)
class TableWritten:
    """The table of `rows` rows was written, and so was every picture of this run."""

    rows: int

    def __str__(self) -> str:
        return f"the table of {self.rows} rows is written"


@dataclass(frozen=True)
class GalleryWritten:
    """The page was written.

    Attributes:
        page: its place.
        cost: of previews, what the whole batch would take, for people; else empty.
    """

    page: str
    cost: str = ""

    def __str__(self) -> str:
        return f"the gallery is written: {self.page}"


RowEvent: TypeAlias = RowStarted | RowWaiting | RowRetried | RowStepped | RowEnded
Event: TypeAlias = (
    StageEntered
    | FileDownloading
    | ManifestUnderstood
    | PictureExamined
    | RowsSelected
    | RowsPlanned
    | DevicesOpened
    | RowEvent
    | TableWritten
    | GalleryWritten
)
"""Subscribers `match` on it, with `assert_never` at the end: the type checker finds those that lack
a new event."""


class _Subscription:
    """A function that receives events; its calls never overlap."""

    def __init__(self, subscriber: Callable[[Event], object]) -> None:
        self._subscriber = subscriber
        self._calls = threading.RLock()

    def __call__(self, event: Event) -> None:
        with self._calls:
            self._subscriber(event)


# Subscriptions of several threads begin and end in any order.
_subscriptions: list[_Subscription] = []


def emit(event: Event) -> None:
    """Send an event to the log and to every subscriber."""
    logger.info("%s", event)
    for subscription in tuple(_subscriptions):
        subscription(event)


@contextmanager
def subscribed(subscriber: Callable[[Event], object]) -> Iterator[None]:
    """Call a function with each event, in the thread that emits it, while the context lasts.

    Calls of one subscriber never overlap.
    """
    subscription = _Subscription(subscriber)
    _subscriptions.append(subscription)
    try:
        yield
    finally:
        _subscriptions.remove(subscription)
