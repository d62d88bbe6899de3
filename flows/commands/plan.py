"""`nst-batch plan`: what a run would do, and what it would take."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
from pydantic import BaseModel

from flows.exit_codes import ROWS_FAILED, SUCCESS
from flows.terminal import Terminal, duration, refuse
from nst_core.devices import device_count
from tasks.jobs import Job, examine_rows
from tasks.layout import picture_path, row_records, style_records, summary_path
from tasks.manifest import ManifestError, Row, check_places, read_manifest
from tasks.records import find_picture, find_style

SECONDS_A_ROW = 0.5
"""To read and write pictures."""

SECONDS_A_PIXEL_STEP = 3.2e-6
"""Of the compact encoder with L-BFGS on 2 CPU cores (docs/benchmarks.md)."""

ENOUGH_PIXEL_STEPS = 1_000_000
"""A row of less work took most of its time to get ready, and says nothing of larger ones."""

MEMORY_MB = 900
MEMORY_MB_A_PIXEL = 3.8e-3
"""Resident memory of the process on a CPU, and what each pixel of the result adds to it."""


@dataclass(frozen=True)
class PlannedRow:
    """A row and what it would take; seconds and megabytes are estimates."""

    line: int
    status: str
    picture: str
    width: int | None
    height: int | None
    seconds: float | None
    memory_mb: float | None
    why: str


def plan(
    terminal: Terminal,
    manifest: Path,
    output: Path,
    cache: Path,
    settings: BaseModel,
    max_pixels: int,
) -> int:
    """Say which rows are new, done and invalid, which styles are kept, and the time it takes."""
    try:
        rows = check_places(read_manifest(manifest, settings), output)
    except ManifestError as error:
        return refuse(terminal, error)
    examined = examine_rows(rows, max_pixels=max_pixels)
    rate, measured = _seconds_a_pixel_step(output)
    jobs = [(job, _plan_job(job, output, rate)) for job in examined.jobs]
    invalid = [_plan_invalid(row) for row in examined.rows if row.faults]
    planned = sorted([*(row for _, row in jobs), *invalid], key=lambda row: row.line)
    styles = {job.style_key for job, row in jobs if row.status == "new"}
    kept = {key for key in styles if find_style(style_records(cache), key)}
    _tell(terminal, planned, len(styles), len(kept), measured)
    return ROWS_FAILED if invalid else SUCCESS


def _plan_invalid(row: Row) -> PlannedRow:
    return PlannedRow(row.line, "invalid", row.output, None, None, None, None, str(row.faults[0]))


def _plan_job(job: Job, output: Path, rate: float) -> PlannedRow:
    height, width = job.shape
    wanted = picture_path(output, job.output)
    is_done = find_picture(row_records(output), job.key, wanted) is not None
    return PlannedRow(
        line=job.line,
        status="done" if is_done else "new",
        picture=job.output,
        width=width,
        height=height,
        seconds=None if is_done else round(SECONDS_A_ROW + job.evaluated_pixels * rate, 1),
        memory_mb=None if is_done else round(MEMORY_MB + MEMORY_MB_A_PIXEL * width * height),
        why="",
    )


def _seconds_a_pixel_step(output: Path) -> tuple[float, bool]:
    """From the rows that ran here before, else what we measured; and which of the two it is."""
    try:
        table = pd.read_parquet(summary_path(output, ".parquet"))
    except (OSError, ValueError):
        return SECONDS_A_PIXEL_STEP, False
    # Each octave has a quarter of the pixels of the next, so that all take 4/3 of the last.
    work = table["width"] * table["height"] * table["steps"] / table["octaves"] * 4 / 3
    long_enough = table[work > ENOUGH_PIXEL_STEPS]
    if long_enough.empty:
        return SECONDS_A_PIXEL_STEP, False
    return float((long_enough["seconds"] / work[long_enough.index]).median()), True


def _tell(
    terminal: Terminal,
    planned: Sequence[PlannedRow],
    styles: int,
    kept: int,
    measured: bool,
) -> None:
    terminal.table([asdict(row) for row in planned])
    counts = {
        name: sum(row.status == name for row in planned) for name in ("new", "done", "invalid")
    }
    seconds = sum(row.seconds or 0 for row in planned) / device_count()
    memory = max((row.memory_mb or 0 for row in planned), default=0)
    terminal.say(", ".join(f"{count} {name}" for name, count in counts.items()))
    terminal.say(f"styles needed: {styles}, of which {kept} kept and {styles - kept} to compute")
    source = "from rows that ran here" if measured else "a guess from 2 CPU cores"
    terminal.say(f"about {duration(seconds)} ({source}) and {memory:.0f} MB at most")
    terminal.result(
        {
            "counts": counts,
            "styles": {"needed": styles, "kept": kept, "to_compute": styles - kept},
            "seconds": seconds,
            "seconds_measured_here": measured,
            "memory_mb": memory,
            "rows": [asdict(row) for row in planned],
        }
    )
