"""`cache prune` in another terminal, again and again, while batches run."""

import json
import logging
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest

from tests.end_to_end.conftest import QUICK, Shell
from tests.pictures import write_csv

logger = logging.getLogger(__name__)
PRUNES = 20


@pytest.mark.nights
@pytest.mark.parametrize("by", ["prune", "hand"])
def test_no_row_fails_however_often_the_cache_is_emptied(shell: Shell, by: str) -> None:
    """Prunes leave what runs need; whoever removes that by hand has it computed once more."""
    cache = Path(shell.environment["NST_BATCH_CACHE"])
    names = [f"{number}.png" for number in range(6)]
    for number, name in enumerate(names):
        shell.picture(name, 10 + number)
    rows = [(name, style) for name in names for style in ("s.png", "t.png")]
    write_csv(shell.folder / "m.csv", ("content", "style"), *rows)
    emptied, runs = 0, 0
    while emptied < PRUNES:
        out = shell.folder / f"out{runs}"
        with shell.start("run", "m.csv", "--output", out, *QUICK) as run:
            while run.poll() is None:
                emptied += _empty(shell, cache, by)
            told, errors = run.communicate()
        assert run.returncode == 0, told + errors
        assert set(pd.read_csv(out / "summary.csv")["status"]) == {"done"}
        runs += 1
    logger.info("emptied %d times during %d runs of %d rows", emptied, runs, len(rows))


def _empty(shell: Shell, cache: Path, by: str) -> int:
    """How many times it was emptied while there was something in it."""
    targets = list((cache / "styles" / "targets").glob("*.safetensors"))
    if by == "prune" and targets:
        pruned: subprocess.CompletedProcess[str] = shell.run(
            "cache", "prune", "--older-than", "0", "--json"
        )
        assert pruned.returncode == 0, pruned.stderr
        assert json.loads(pruned.stdout)["dry_run"] is False
    for path in targets if by == "hand" else ():
        path.unlink(missing_ok=True)
    time.sleep(0.2)
    return bool(targets)
