"""TensorFlow, imported without the lines that it would print whatever its log level is.

All modules import TensorFlow from here. With `TF_CPP_MIN_LOG_LEVEL` below 3, nothing is hidden.

On x86-64, TensorFlow uses oneDNN's convolutions only if the CPU has certain instructions (AVX-512
VNNI, for example). They also take less time and memory without these (docs/benchmarks.md), so they
are always switched on, unless the user has set `TF_ENABLE_ONEDNN_OPTS`.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

VARIABLE, SILENT = "TF_CPP_MIN_LOG_LEVEL", "3"
ONEDNN = "TF_ENABLE_ONEDNN_OPTS"


@contextmanager
def without_start_lines() -> Iterator[None]:
    """Hide what libraries write to file descriptor 2, unless an error follows.

    If the descriptor is not that of `sys.stderr`, but of a log, for example, nothing is hidden.
    """
    if os.environ.setdefault(VARIABLE, SILENT) != SILENT or not _is_seen():
        yield
        return
    original = os.dup(2)
    with tempfile.TemporaryFile() as printed:
        os.dup2(printed.fileno(), 2)
        try:
            yield
        except BaseException:
            printed.seek(0)
            os.write(original, printed.read())
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)


def _is_seen() -> bool:
    try:
        sys.stderr.flush()
        return os.path.sameopenfile(2, sys.stderr.fileno())
    except (AttributeError, OSError, ValueError):
        # The descriptor is closed, or this is a notebook, whose `sys.stderr` is not a file.
        return False


def _load() -> Any:
    os.environ.setdefault(ONEDNN, "1")
    with without_start_lines():
        import tensorflow

        # This also looks for CUDA now, which prints a message if it is missing.
        tensorflow.config.list_physical_devices()
        return tensorflow


tf = _load()
