"""A file for what libraries write to the terminal past Python: TensorFlow, CUDA, the server."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.streams import patient


@contextmanager
def libraries_log(path: Path) -> Iterator[None]:
    """Let file descriptor 2 lead to a file, `sys.stderr` to where it led before.

    TensorFlow writes dozens of lines there before any of its settings can silence it, which would
    tear the progress bar and hide what we have to say.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    ours = sys.stderr
    ours.flush()
    original = os.dup(2)
    with path.open("ab") as file:
        os.dup2(file.fileno(), 2)
    # Left open on purpose: log handlers made meanwhile keep it until the process ends.
    sys.stderr = patient(os.dup(original), ours.encoding or "utf-8")
    try:
        yield
    finally:
        sys.stderr.flush()
        sys.stderr = ours
        os.dup2(original, 2)
        os.close(original)
