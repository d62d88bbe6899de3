"""What a row says while it runs, sent through `logging` so that anyone may listen or nobody."""

import logging
from typing import Literal, NamedTuple

logger = logging.getLogger("nst_batch.progress")


class RowProgress(NamedTuple):
    """Where a row is; `share` is the part of its planned steps that is done, from 0 to 1."""

    line: int
    output: str
    event: Literal["started", "step", "done", "failed"]
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

    Of weights bytes are downloaded, pictures are looked at, and rows are found that are to be run.
    """

    event: Literal["downloading", "examined", "planned"]
    done: int
    total: int


def tell_batch(progress: BatchProgress) -> None:
    """Log it, the value itself as the record's attribute `progress`."""
    logger.info("%s: %d of %d", *progress, extra={"progress": progress})
