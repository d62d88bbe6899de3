"""A run's log on Prefect's page: rows that are not done, and why, without tracebacks."""

import logging

import pandas as pd
from prefect.exceptions import FailedRun, MissingContextError
from prefect.logging import get_run_logger

from nst_core.devices import DeviceError
from nst_core.files import StorageError
from nst_core.locks import LockError
from nst_core.networks.weight_files import WeightsError
from nst_core.pictures import PictureError
from nst_core.places import PlaceError
from nst_core.write_errors import WriteError
from tasks.locks import InUseError
from tasks.manifest import ManifestError
from tasks.runner_choice import RunnerError
from tasks.statuses import WRONG
from tasks.stopping import StoppedError
from tasks.summary import why_of

MOST_ROWS = 200
"""The most rows that are logged one by one; the report and the table have all of them."""

NO_BUGS = (
    *(FailedRun, ManifestError, PictureError, PlaceError, WeightsError, DeviceError, RunnerError),
    *(InUseError, LockError, WriteError, StorageError, StoppedError),
)
"""Errors whose message says all there is to know; Prefect's `FailedRun` stands for failed rows."""

LOGGERS = ("prefect.flow_runs", "prefect.task_runs", "prefect.engine")

Log = logging.Logger | logging.LoggerAdapter[logging.Logger]


def run_log() -> Log:
    """Return the log of the flow run or task run, or a plain one if there is none."""
    try:
        return get_run_logger()
    except MissingContextError:
        return logging.getLogger("nst_batch.run")


def log_wrong_rows(table: pd.DataFrame) -> None:
    """Log which rows failed or are invalid, and why.

    Args:
        table: the batch's table, made by `tasks.summary`.
    """
    log = run_log()
    wrong = table[table["status"].isin(WRONG)]
    for _, row in wrong.head(MOST_ROWS).iterrows():
        level = logging.WARNING if row["status"] == "invalid" else logging.ERROR
        log.log(level, "%s: line %d, %s", row["status"], row["line"], why_of(row))
    if len(wrong) > MOST_ROWS:
        log.warning("... and %d more rows that are not done: see the table", len(wrong) - MOST_ROWS)


class _WithoutTraceback(logging.Filter):
    """Filter that reduces errors that are not bugs to one line; all others keep their traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, NO_BUGS):
            record.msg, record.args = "the run ends: %s", (str(error),)
            record.exc_info = record.exc_text = None
            if isinstance(error, FailedRun):
                record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True


def omit_tracebacks() -> None:
    """Make Prefect log errors that are not bugs on one line, in this process, from now on."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(known, _WithoutTraceback) for known in logger.filters):
            logger.addFilter(_WithoutTraceback())
