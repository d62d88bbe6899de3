"""What a row says while it runs, sent through `logging` so that anyone may listen or nobody."""

import logging
from typing import Literal, NamedTuple

logger = logging.getLogger("nst_batch.progress")


class RowProgress(NamedTuple):
    """Where a row is; `share` is the part of its planned steps that is done, from 0 to 1."""

    line: int
    output: str
    event: Literal["started", "waiting", "step", "done", "failed"]
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
    """How far a batch is before its rows run: pictures looked at, or rows found to be run."""

    event: Literal["examined", "planned"]
    done: int
    total: int


class DevicesProgress(NamedTuple):
    """The devices that rows run on, as TensorFlow names them."""

    devices: tuple[str, ...]
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


def tell_batch(progress: BatchProgress) -> None:
    """Log it, the value itself as the record's attribute `progress`."""
    logger.info("%s: %d of %d", *progress, extra={"progress": progress})
