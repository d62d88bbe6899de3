"""How many inputs fuzz tests try: a few seconds' worth in `make test`, any number by hand.

`NST_BATCH_FUZZ=25000 pytest tests/unit/intake/test_manifest_fuzz.py` tries that many inputs in each
fuzz test. Without the variable, every run tries the same inputs, so no failure is up to chance.
"""

import ctypes
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

EXAMPLES = "NST_BATCH_FUZZ"
"""The environment variable with the number of random inputs that each fuzz test tries."""

MARKS = "é\u0301\u200c\u200d\u00a0\u3000\u202e\u2028\x00\x1b\n\r\t\udce9"
ODD = MARKS + "a \\:.~'\"#%?*|<>ßﬁ\u0958K\U0001fae8"
"""Characters that have broken names before."""

ODD_TEXTS = st.text(st.one_of(st.characters(), st.sampled_from(ODD)))
FILE_NAMES = st.one_of(
    st.binary(min_size=1, max_size=60),
    st.text(st.sampled_from(ODD), min_size=1, max_size=15).map(os.fsencode),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=15).map(str.encode),
).filter(lambda name: not {0, ord("/")} & set(name) and name not in (b".", b".."))
"""File names that a file system accepts, as bytes, in UTF-8 or not."""

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def fuzz(examples: int) -> Callable[[Any], Any]:
    """Return a decorator for tests whose inputs come from Hypothesis.

    Args:
        examples: the number of inputs if `NST_BATCH_FUZZ` is not set.
    """
    wanted = os.environ.get(EXAMPLES)
    return settings(
        max_examples=int(wanted or examples),
        derandomize=not wanted,
        # The example that failed is printed; nothing is written into the working tree.
        print_blob=True,
        database=None,
        # Other processes may keep the machine busy; `bounded` measures processor time instead.
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


@contextmanager
def bounded(seconds: float = 5, megabytes: float = 500) -> Iterator[None]:
    """Fail if the block takes more processor time or memory than this.

    Args:
        seconds: the limit of this process's processor time, over all threads.
        megabytes: the limit by which the peak of resident memory may exceed the memory in use
            before the block. It is checked on Linux only.
    """
    before, begun = _reset_peak(), time.process_time()
    yield
    spent = time.process_time() - begun
    assert spent <= seconds, f"it took {spent:.1f} s of processor time, more than {seconds} s"
    grown = _peak() - before
    assert grown <= megabytes, f"it took {grown:.0f} MB of memory, more than {megabytes} MB"


def _reset_peak() -> float:
    """Reset the system's peak of memory, and return the memory in use now, in megabytes."""
    _return_free_memory()
    try:
        _CLEAR.write_text("5")
    except OSError:
        return _peak()
    return _peak()


def _return_free_memory() -> None:
    """Give memory that this process has freed back to the system, where its C library can.

    Freed memory that the process keeps counts as in use, and using it again would not show.
    """
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)


def _peak() -> float:
    try:
        status = _STATUS.read_text()
    except OSError:
        return 0
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024
