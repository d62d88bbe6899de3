"""How hard the fuzz tests look: a few seconds in `make test`, and as long as is wanted by hand.

`NST_BATCH_FUZZ=25000 pytest tests/unit/test_manifest_fuzz.py` tries so many inputs in each fuzz
test. Without it every run tries the same inputs, so that a failure is never a matter of luck.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

EXAMPLES = "NST_BATCH_FUZZ"
"""The environment variable: how many inputs each fuzz test tries, drawn anew on each run."""

MARKS = "é\u0301\u200c\u200d\u00a0\u3000\u202e\u2028\x00\x1b\n\r\t\udce9"
ODD = MARKS + "a \\:.~'\"#%?*|<>ßﬁ\u0958K\U0001fae8"
"""Characters that names were lost over."""

ODD_TEXTS = st.text(st.one_of(st.characters(), st.sampled_from(ODD)))
FILE_NAMES = st.one_of(
    st.binary(min_size=1, max_size=60),
    st.text(st.sampled_from(ODD), min_size=1, max_size=15).map(os.fsencode),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=15).map(str.encode),
).filter(lambda name: not {0, ord("/")} & set(name) and name not in (b".", b".."))
"""Names that a file system can hold, as bytes, UTF-8 or not."""

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def fuzz(examples: int) -> Callable[[Any], Any]:
    """A decorator for tests that Hypothesis gives their inputs.

    Args:
        examples: how many inputs are tried where `NST_BATCH_FUZZ` does not say.
    """
    wanted = os.environ.get(EXAMPLES)
    return settings(
        max_examples=int(wanted or examples),
        derandomize=not wanted,
        # The example that failed is printed; nothing is written into the working tree.
        print_blob=True,
        database=None,
        # Other processes may keep the machine busy; `bounded` goes by the processor's time.
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


@contextmanager
def bounded(seconds: float = 5, megabytes: float = 500) -> Iterator[None]:
    """Fail where what is inside takes more processor time or memory than this.

    Args:
        seconds: of processor time of this process, all threads together.
        megabytes: of resident memory at the worst moment, above what it was before. Only Linux
            tells; elsewhere memory is not looked at.
    """
    before, begun = _reset_peak(), time.process_time()
    yield
    spent = time.process_time() - begun
    assert spent <= seconds, f"it took {spent:.1f} s of processor time, more than {seconds} s"
    grown = _peak() - before
    assert grown <= megabytes, f"it took {grown:.0f} MB of memory, more than {megabytes} MB"


def _reset_peak() -> float:
    """Let the system measure the peak of memory anew; what is in use now, in megabytes."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return _peak()
    return _peak()


def _peak() -> float:
    try:
        status = _STATUS.read_text()
    except OSError:
        return 0
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024
