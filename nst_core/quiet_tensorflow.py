"""TensorFlow, loaded without the lines that it writes to standard error past its own settings.

All modules take it from here. Whoever sets `TF_CPP_MIN_LOG_LEVEL` to less than 3 hears everything.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

VARIABLE, SILENT = "TF_CPP_MIN_LOG_LEVEL", "3"


@contextmanager
def without_start_lines() -> Iterator[None]:
    """Keep what libraries write to file descriptor 2 to ourselves, unless an error follows.

    Where the descriptor leads elsewhere than `sys.stderr`, as to a log, it is left alone.
    """
    if os.environ.setdefault(VARIABLE, SILENT) != SILENT or not _is_seen():
        yield
        return
    original = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        except BaseException:
            said.seek(0)
            os.write(original, said.read())
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)


def _is_seen() -> bool:
    try:
        sys.stderr.flush()
        return os.path.sameopenfile(2, sys.stderr.fileno())
    except (AttributeError, OSError, ValueError):
        # A closed descriptor, or a notebook, whose `sys.stderr` is no file.
        return False


def _load() -> Any:
    with without_start_lines():
        import tensorflow

        # CUDA, too, is looked for now, and says that it is not there.
        tensorflow.config.list_physical_devices()
        return tensorflow


tf = _load()
