"""The pace of this machine, so that tests have rows that take a certain time on any machine."""

from collections.abc import Sequence

import pandas as pd

from nst_core.transfer.octaves import REPORT_EVERY
from tests.end_to_end.conftest import Shell
from tests.pictures import write_csv

MOST_STEPS = 10_000
FEW, MANY = 100, 600
ROWS = (FEW, FEW, MANY)


def pace_of(shell: Shell, settings: Sequence[str]) -> float:
    """Return how many steps a second a row with these options takes.

    The first row also compiles the step, so it does not count.
    """
    rows = [("a.png", "s.png", f"{seed}.png", steps, seed) for seed, steps in enumerate(ROWS)]
    write_csv(shell.folder / "pace.csv", ("content", "style", "output", "steps", "seed"), *rows)
    done = shell.run("run", "pace.csv", "-o", "pace", *settings)
    assert done.returncode == 0, done.stderr
    _, few, many = pd.read_csv(shell.folder / "pace" / "summary.csv")["seconds"]
    return float((MANY - FEW) / (many - few))


def steps_in(seconds: float, pace: float) -> int:
    """Return how many steps take about as many seconds, in tens, as rows report them."""
    return min(MOST_STEPS, round(seconds * pace / REPORT_EVERY) * REPORT_EVERY)
