"""What a row says while it runs, sent through `logging` so that anyone may listen or nobody."""

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Literal, NamedTuple, get_args

logger = logging.getLogger("nst_batch.progress")

RowEnd = Literal["done", "failed", "interrupted", "pending"]
ENDS: tuple[RowEnd, ...] = get_args(RowEnd)
"""The events that are a row's last; a row that never begins is `pending`."""


class RowProgress(NamedTuple):
    """Where a row is; `share` is the part of its planned steps that is done, from 0 to 1."""

    line: int
    output: str
    event: Literal["started", "waiting", "step"] | RowEnd
    share: float = 0.0
    step: int = 0
    steps: int = 0
    loss: float = float("nan")
    message: str = ""


def tell(progress: RowProgress) -> None:
    """Log it, the value itself as the record's attribute `progress`."""
    logger.info(
        "line %d %s: %s, step %d of %d, loss %.5g %s",
        *(progress.line, progress.output, progress.event),
        *(progress.step, progress.steps, progress.loss, progress.message),
        extra={"progress": progress},
    )


class BatchProgress(NamedTuple):
    """How far a batch is before its rows run.

    Attributes:
        event: pictures were `examined`, or rows `planned`.
        done: pictures looked at so far, or rows that are to be run.
        total: all pictures, or all rows that can run.
        equal: rows among those to be run that only get a copy of an earlier one's picture.
    """

    event: Literal["examined", "planned"]
    done: int
    total: int
    equal: int = 0


class DevicesProgress(NamedTuple):
    """The devices that rows run on, as TensorFlow names them.

    Attributes:
        cpu_shared_with: another run that works on the CPU, such as `process 4711 of anna`; empty if
            there is none.
    """

    devices: tuple[str, ...]
    cpu_shared_with: str = ""
    event: Literal["devices"] = "devices"


def tell_devices(progress: DevicesProgress) -> None:
    """Log it, the value itself as the record's attribute `progress`."""
    logger.info("rows run on %s", ", ".join(progress.devices), extra={"progress": progress})


class DownloadProgress(NamedTuple):
    """How many bytes of a file came."""

    name: str
    done: int
    total: int
    event: Literal["downloading"] = "downloading"


def tell_download(progress: DownloadProgress) -> None:
    """Log it, the value itself as the record's attribute `progress`."""
    logger.info("downloading %s: %d of %d bytes", *progress[:3], extra={"progress": progress})


class TableProgress(NamedTuple):
    """The table was written, and with it every picture that there will be."""

    rows: int
    event: Literal["written"] = "written"


def tell_table(progress: TableProgress) -> None:
    """Log it, the value itself as the record's attribute `progress`."""
    logger.info("the table of %d rows is written", progress.rows, extra={"progress": progress})


class GalleryProgress(NamedTuple):
    """The page was written, and where it is."""

    page: str
    event: Literal["shown"] = "shown"


def tell_gallery(progress: GalleryProgress) -> None:
    """Log it, the value itself as the record's attribute `progress`."""
    logger.info("the gallery is written: %s", progress.page, extra={"progress": progress})


def tell_batch(progress: BatchProgress) -> None:
    """Log it, the value itself as the record's attribute `progress`."""
    logger.info("%s: %d of %d", *progress[:3], extra={"progress": progress})


class Tally(logging.Handler):
    """How far a batch is, counted from what is told; may be read while it is counted.

    Attributes:
        to_run, rows: how many rows are to run, of how many; None until it is known.
        ended: how many rows ended, by event.
    """

    def __init__(self) -> None:
        super().__init__()
        self.to_run: int | None = None
        self.rows = 0
        self.ended: Counter[str] = Counter()
        self._shares: dict[int, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Count one value."""
        progress = getattr(record, "progress", None)
        if isinstance(progress, BatchProgress) and progress.event == "planned":
            self.to_run, self.rows = progress.done, progress.total
        elif isinstance(progress, RowProgress):
            self._shares[progress.line] = progress.share
            if progress.event in ENDS:
                del self._shares[progress.line]
                self.ended[progress.event] += 1

    @property
    def completed(self) -> float:
        """Rows that ended, with the parts of those that run."""
        with self.lock or nullcontext():
            return self.ended.total() + sum(self._shares.values())

    @property
    def share(self) -> float:
        """Of the rows to run, from 0 to 1."""
        return min(1.0, self.completed / self.to_run) if self.to_run else float(self.to_run == 0)

    def __str__(self) -> str:
        """For people; empty until it is known how many rows are to run."""
        if self.to_run is None:
            return ""
        if self.to_run == 0:
            return f"all {self.rows} rows were done before"
        wrong = self.ended["failed"]
        failed = f", {wrong} of them failed" if wrong else ""
        return f"{self.ended.total()} of {self.to_run} rows ended{failed}"


@contextmanager
def listened_to_by(handler: logging.Handler) -> Iterator[None]:
    """Let a handler hear of all progress, and no handler that did not hear of it before."""
    level, propagate = logger.level, logger.propagate
    if not logger.isEnabledFor(logging.INFO):
        logger.setLevel(logging.INFO)
        logger.propagate = False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate
