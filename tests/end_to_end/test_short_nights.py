"""Nights that are too short for their batch end in time, and together they complete it."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

import pandas as pd
import pytest

from flows.cli.exit_codes import OUT_OF_TIME, SUCCESS
from tests.end_to_end.conftest import Shell
from tests.end_to_end.pace import pace_of, steps_in
from tests.pictures import write_csv

HEADER = ("content", "style", "output", "seed", "steps")
SETTINGS = ["--size", "192", "--octaves", "1", "--tolerance", "0", "--enlarge"]
SETTINGS += ["--optimizer", "adam", "--checkpoint-every", "1", "--cache", "cache"]
NIGHT, SHORT, LONG = 60, 30, 120
"""The seconds of a night, and about those of short and long rows; together, ten minutes."""

MOST_NIGHTS = 30


@pytest.mark.torture
def test_short_nights_end_in_time_and_add_up_to_an_undisturbed_run(
    shell: Shell, record_property: Callable[[str, object], None]
) -> None:
    pace = pace_of(shell, SETTINGS)
    short, long = (steps_in(seconds, pace) for seconds in (SHORT, LONG))
    rows = [("b.png", "s.png", f"long{seed}.png", seed, long) for seed in range(2)]
    rows += [("a.png", "s.png", f"short{seed}.png", seed, short) for seed in range(12)]
    write_csv(shell.folder / "m.csv", HEADER, *rows)
    began = time.monotonic()
    assert shell.run("run", "m.csv", "-o", "calm", *SETTINGS, timeout=3600).returncode == SUCCESS
    record_property("undisturbed", f"{time.monotonic() - began:.0f} s")

    output, checkpoints = shell.folder / "wild", 0
    codes: list[int] = []
    late: list[float] = []
    while SUCCESS not in codes and len(codes) < MOST_NIGHTS:
        deadline = datetime.now().astimezone() + timedelta(seconds=NIGHT)
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
    record_property("nights", f"{len(codes)}, at most {max(late):.1f} s late")
    assert codes[-1] == SUCCESS
    assert len(codes) > 2
    assert checkpoints, "no long row was continued in another night"
    for _, _, name, *_ in rows:
        calmly = (shell.folder / "calm" / "pictures" / name).read_bytes()
        assert (output / "pictures" / name).read_bytes() == calmly, name
    assert max(late) < 10
