"""A file for what TensorFlow, CUDA and the server write to the terminal outside of Python."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.process.streams import patient

WARNINGS = "py.warnings"
"""The logger that receives Python's warnings while they are captured."""


def capture_warnings() -> None:
    """Log Python's warnings instead of printing them, unless the user asked for them (`-W`)."""
    if not sys.warnoptions:
        logging.captureWarnings(True)
        logger = logging.getLogger(WARNINGS)
        logger.propagate = False
        logger.addHandler(logging.NullHandler())


def print_warnings() -> None:
    """Undo `capture_warnings`."""
    logging.captureWarnings(False)


@contextmanager
def libraries_log(path: Path) -> Iterator[None]:
    """Redirect file descriptor 2 to a file, and `sys.stderr` to where the descriptor led before.

    Captured warnings of Python go to the file, too.

    TensorFlow writes dozens of lines to the descriptor before any of its settings can silence it.
    These lines would break up the progress bar and hide our own messages.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    ours = sys.stderr
    ours.flush()
    original = os.dup(2)
    with path.open("ab") as file:
        os.dup2(file.fileno(), 2)
    # Left open on purpose: log handlers created meanwhile hold it until the process ends.
    sys.stderr = patient(os.dup(original), ours.encoding or "utf-8")
    handler = logging.FileHandler(path, encoding="utf-8", delay=True)
    logging.getLogger(WARNINGS).addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger(WARNINGS).removeHandler(handler)
        handler.close()
        sys.stderr.flush()
        sys.stderr = ours
        os.dup2(original, 2)
        os.close(original)
