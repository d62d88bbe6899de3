"""Nights that are too short for their batch end in time, and together they complete it."""

import time
from datetime import datetime, timedelta

import pandas as pd
import pytest

from flows.cli.exit_codes import OUT_OF_TIME, SUCCESS
from tests.end_to_end.conftest import Shell
from tests.pictures import write_csv

HEADER = ("content", "style", "output", "seed", "steps")
SHORT = [("a.png", "s.png", f"short{seed}.png", seed, 1200) for seed in range(4)]
LONG = [("b.png", "s.png", f"long{seed}.png", seed, 5000) for seed in range(2)]
SETTINGS = ["--size", "64", "--octaves", "1", "--tolerance", "0", "--enlarge"]
SETTINGS += ["--optimizer", "adam", "--checkpoint-every", "1", "--cache", "cache"]
MOST_NIGHTS = 20


@pytest.mark.torture
def test_short_nights_end_in_time_and_add_up_to_an_undisturbed_run(shell: Shell) -> None:
    write_csv(shell.folder / "m.csv", HEADER, *LONG, *SHORT)
    began = time.monotonic()
    assert shell.run("run", "m.csv", "-o", "calm", *SETTINGS).returncode == SUCCESS
    # A long row takes a third of the batch, so it takes more than one such night.
    night = max(30.0, (time.monotonic() - began) / 4)

    output, checkpoints = shell.folder / "wild", 0
    codes: list[int] = []
    late: list[float] = []
    while SUCCESS not in codes and len(codes) < MOST_NIGHTS:
        deadline = datetime.now().astimezone() + timedelta(seconds=night)
        until = deadline.isoformat(timespec="seconds")
        result = shell.run("run", "m.csv", "-o", "wild", *SETTINGS, "--until", until)
        codes.append(result.returncode)
        assert result.returncode in (SUCCESS, OUT_OF_TIME), result.stderr
        if result.returncode == OUT_OF_TIME:
            late.append((datetime.now().astimezone() - deadline).total_seconds())
            assert " left, which would take about " in result.stderr
            statuses = set(pd.read_csv(output / "summary.csv")["status"])
            assert statuses <= {"done", "cached", "interrupted", "pending"}
            checkpoints += any((output / ".nst-batch" / "checkpoints").iterdir())
    assert codes[-1] == SUCCESS
    assert len(codes) > 2
    assert max(late) < 10
    assert checkpoints, "no long row was continued in another night"
    for _, _, name, *_ in (*LONG, *SHORT):
        calmly = (shell.folder / "calm" / "pictures" / name).read_bytes()
        assert (output / "pictures" / name).read_bytes() == calmly, name
