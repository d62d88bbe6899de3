"""What the rows of a preview would take in full, compared with estimates of these rows."""

from pathlib import Path

import pytest

from nst_core.networks.store import WeightStore
from tasks.intake.encoders import encoders_of
from tasks.intake.examine import examine_rows
from tasks.intake.manifest import read_manifest
from tasks.job import Job
from tasks.report.estimated_time import estimated_time
from tasks.report.gallery.in_full import BatchInFull, InFull
from tasks.store.output_folder import OutputFolder
from tasks.store.speeds import Speeds
from tasks.work.in_full import batch_in_full
from tasks.work.ladder import memory_mb
from tests.pictures import write_csv, write_picture

ROWS = (
    *(("content", "style", "size", "output"), ("a.png", "s.png", 60, "one")),
    *(("b.png", "s.png", 64, "two"), ("a.png", "s.png", 60, "one-again")),
    ("a.png", "s.png", 50, "three"),
)


def jobs_of(folder: Path, side: int | None) -> tuple[Job, ...]:
    rows = read_manifest(write_csv(folder / "m.csv", *ROWS))
    encoders = encoders_of(rows, WeightStore(folder / "weights"))
    return examine_rows(rows, encoders, max_pixels=10**6, preview=side).jobs


def test_it_is_what_the_rows_would_take(tmp_path: Path) -> None:
    for seed, name in enumerate("abs"):
        write_picture(tmp_path / f"{name}.png", seed, 48, 64)
    full, small = jobs_of(tmp_path, None), jobs_of(tmp_path, 32)
    speeds, output = Speeds(), OutputFolder(tmp_path / "out")
    found = batch_in_full(small, 32, speeds, output, "CPU:0")
    time = estimated_time([full[0], full[1], full[3]], speeds, output)
    assert found.seconds == time.seconds
    assert found.source == time.source
    seconds = {**time.seconds_of, 4: time.seconds_of[2]}
    for job in full:
        height, width = job.shape
        expected = InFull(width, height, seconds[job.line], memory_mb(job, "CPU:0"))
        assert found.rows[job.line] == expected
    assert found.rows[2].seconds == found.rows[4].seconds, "equal rows run once"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [((2,), "this row would take about 10 min"), ((2, 3), "all 2 rows would take about 10 min")],
)
def test_the_page_says_what_the_batch_would_take(lines: tuple[int, ...], expected: str) -> None:
    rows = {line: InFull(1024, 683, 30.0, 1000 + line) for line in lines}
    text = BatchInFull(128, rows, 600.0, "a guess").text
    assert f"In full, {expected} (a guess) and 1,00{lines[-1]} MB of memory at most." in text
    assert "at most 128 pixels" in text
