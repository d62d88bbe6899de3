"""About how long a batch takes, as `plan` says it, and what that is based on."""

from dataclasses import replace
from pathlib import Path

import pytest

from tasks.report import estimated_time as module
from tasks.report.estimated_time import EstimatedTime, estimated_time
from tasks.store.output_folder import OutputFolder
from tasks.store.row_kinds import Kind, MeasuredRow
from tasks.store.speeds import COMPILATION, SECONDS_A_MULTIPLICATION, Speeds
from tests.jobs import job_of_size

NONE = Speeds()


def speeds_of(side: int, at_once: int = 1) -> Speeds:
    """Return speeds of one size: no preparation, 5 s of compilation, 1e-11 s a multiplication."""
    job = job_of_size(side)
    kind, work = Kind.of(job, "CPU", NONE.host), job.multiplications
    rows = [
        MeasuredRow(kind, work, 1.0, 1e-11 * work + first, 1e-11 * work, 1.0, first > 0)
        for first in (0, 5)
    ]
    return replace(NONE.with_rows(rows), at_once=at_once)


def estimate(speeds: Speeds, *sides: int, output: Path = Path("nowhere")) -> EstimatedTime:
    jobs = [job_of_size(side, line=line) for line, side in enumerate(sides, start=2)]
    return estimated_time(jobs, speeds, OutputFolder(output))


def test_it_says_what_it_is_based_on(monkeypatch: pytest.MonkeyPatch) -> None:
    guess = estimate(NONE, 512, 512)
    assert (guess.source, guess.is_measured) == ("a guess", False)
    here = estimate(speeds_of(512), 512, 256)
    assert (here.source, here.is_measured) == ("measured on this machine", True)
    partly = estimate(speeds_of(512), 512, 64)
    assert partly.source == "partly measured on this machine, partly a guess"
    assert not partly.is_measured
    far = estimate(speeds_of(512), 64)
    assert (far.source, far.is_measured) == (
        "a guess from rows with other sizes or settings",
        False,
    )
    shared = replace(NONE, beside=speeds_of(512).measured)
    beside = estimate(shared, 512, 512)
    assert beside.source == "measured on this machine while another run used its CPU, too"
    assert beside.seconds == estimate(speeds_of(512), 512, 512).seconds
    assert estimate(shared, 512, 64).source == f"{beside.source}, and partly a guess"
    assert estimate(NONE).source == "there is nothing to run"
    monkeypatch.setattr(module, "seconds_a_multiplication", lambda _: SECONDS_A_MULTIPLICATION * 9)
    table = estimate(NONE, 512, 512)
    assert (table.source, table.is_measured) == (
        "measured on earlier rows in this output folder",
        True,
    )
    assert table.seconds > 3 * guess.seconds
    assert estimate(speeds_of(512), 512) == estimate(speeds_of(512), 512), "the table is not asked"


def test_the_longest_row_decides_when_there_are_several_devices() -> None:
    work = {side: 1e-11 * job_of_size(side).multiplications for side in (256, 512)}
    alone = estimate(speeds_of(512), 256, 256, 512)
    assert alone.seconds == pytest.approx(5 + 2 * work[256] + work[512], abs=0.2)
    assert alone.seconds_of[2] == pytest.approx(5 + work[256], abs=0.1)
    several = estimate(speeds_of(512, at_once=3), 256, 256, 512)
    assert several.seconds == pytest.approx(5 + work[512], abs=0.1)
    assert several.seconds > alone.seconds / 3
    assert COMPILATION == 5, "a guess, which is the same here"
