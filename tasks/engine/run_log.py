"""A run's log in the Prefect UI: rows that are not done, and why, without tracebacks."""

import logging

from prefect.exceptions import FailedRun, MissingContextError
from prefect.logging import get_run_logger

from nst_core.errors import UserError

LOGGERS = ("prefect.flow_runs", "prefect.task_runs", "prefect.engine")

Log = logging.Logger | logging.LoggerAdapter[logging.Logger]


def run_log() -> Log:
    """Return the log of the flow run or task run, or a plain one if there is none."""
    try:
        return get_run_logger()
    except MissingContextError:
        return logging.getLogger("nst_batch.run")


class _WithoutTraceback(logging.Filter):
    """Filter that shortens errors that are not bugs to one line; bugs keep their traceback.

    Prefect's `FailedRun` stands for failed rows.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, UserError | FailedRun):
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
