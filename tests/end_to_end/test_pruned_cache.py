"""`cache prune`, run again and again by another process while batches run."""

import json
import logging
import time
from pathlib import Path

import pandas as pd
import pytest

from tests.end_to_end.conftest import QUICK, Shell
from tests.pictures import write_csv

logger = logging.getLogger(__name__)
PRUNES = 20


@pytest.mark.nights
def test_no_row_fails_while_the_cache_is_pruned_repeatedly(shell: Shell) -> None:
    """A prune leaves what runs need."""
    cache = Path(shell.environment["NST_BATCH_CACHE"])
    names = [f"{number}.png" for number in range(6)]
    for number, name in enumerate(names):
        shell.picture(name, 10 + number)
    rows = [(name, style) for name in names for style in ("s.png", "t.png")]
    write_csv(shell.folder / "m.csv", ("content", "style"), *rows)
    pruned, runs = 0, 0
    while pruned < PRUNES:
        out = shell.folder / f"out{runs}"
        with shell.start("run", "m.csv", "--output", out, *QUICK) as run:
            while run.poll() is None:
                pruned += _prune(shell, cache)
            output, errors = run.communicate()
        assert run.returncode == 0, output + errors
        assert set(pd.read_csv(out / "summary.csv")["status"]) == {"done"}
        runs += 1
    logger.info("pruned %d times during %d runs of %d rows", pruned, runs, len(rows))


def _prune(shell: Shell, cache: Path) -> int:
    """Prune the cache if it holds targets; return whether it did, as 0 or 1."""
    targets = list((cache / "styles" / "targets").glob("*.safetensors"))
    if targets:
        result = shell.run("cache", "prune", "--older-than", "0", "--json")
        assert result.returncode == 0, result.stderr
        assert json.loads(result.stdout)["dry_run"] is False
    time.sleep(0.2)
    return bool(targets)
