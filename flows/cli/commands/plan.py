"""`nst-batch plan`: what a run would do, and the time and memory it would take."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median

from flows.cli.commands.check import show_downloads
from flows.cli.exit_codes import ROWS_FAILED, SUCCESS
from flows.cli.terminal import Terminal, duration, refuse
from nst_core.devices import parse_devices, visible_gpus
from nst_core.errors import UserError
from nst_core.networks.catalogue import PublishedFile
from nst_core.transfer.settings import Settings
from tasks.intake.encoders import check_weights_place, downloads_of, encoders_of
from tasks.intake.examine import examine_rows
from tasks.intake.manifest import read_manifest
from tasks.intake.outputs import check_places
from tasks.job import Job, cost_of
from tasks.report.table import read_summary
from tasks.report.table_row import TableRow
from tasks.request import BatchRequest
from tasks.row import Row
from tasks.store.lookup import find_finished, first_lines
from tasks.store.output_folder import OutputFolder
from tasks.work.ladder import needed_memory

SECONDS_A_ROW = 0.5
"""Seconds to read and write the pictures of a row."""

SECONDS_A_MULTIPLICATION = 2.8e-11
"""Seconds per step and multiplication of a forward pass, on 2 CPU cores (docs/benchmarks.md)."""

ENOUGH_MULTIPLICATIONS = 1e11
"""A row with fewer spends most of its time on preparation, so its speed is not typical."""

PROCESS_MB = 760
"""Resident memory of a run without its rows, most of it TensorFlow's (docs/benchmarks.md)."""


STATUSES = ("new", "equal", "done", "invalid")
"""The statuses of a row before a run; an `equal` row gets a copy of an earlier line's picture."""


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


def plan(terminal: Terminal, request: BatchRequest) -> int:
    """Show which rows are new, done or invalid, which styles are cached, and the time needed."""
    output, cache = request.output_folder, request.style_cache
    store = request.weight_store()
    try:
        request.check(once=True)
        rows = check_places(read_manifest(request.manifest, request.settings), output)
        check_weights_place(store, output)
        encoders = encoders_of(rows, store)
    except UserError as error:
        return refuse(terminal, error)
    asked, gpus = parse_devices(request.devices), visible_gpus()
    at_once = len(asked) or max(1, len(gpus))
    device = asked[0] if asked else "GPU:0" if gpus else "CPU:0"
    examined = examine_rows(rows, encoders, max_pixels=request.max_pixels)
    rate, measured = _seconds_a_multiplication(output)
    finished = find_finished(examined.jobs, output)
    jobs = [
        (job, _plan_job(job, line, job.key in finished, rate, device))
        for job, line in zip(examined.jobs, first_lines(examined.jobs), strict=True)
    ]
    invalid = [_plan_invalid(row) for row in examined.rows if row.faults]
    planned = sorted([*(row for _, row in jobs), *invalid], key=lambda row: row.line)
    styles = {job.style_key for job, row in jobs if row.status == "new"}
    cached = {key for key in styles if cache.find(key)}
    _report(terminal, planned, len(styles), len(cached), measured, downloads_of(encoders), at_once)
    return ROWS_FAILED if invalid else SUCCESS


def _plan_invalid(row: Row) -> PlannedRow:
    return PlannedRow(row.line, "invalid", row.output, None, None, None, None, str(row.faults[0]))


def _plan_job(job: Job, first: int, is_done: bool, rate: float, device: str) -> PlannedRow:
    """Plan a job; `first` is the line of the first job that is equal to it."""
    height, width = job.shape
    is_equal = first != job.line
    status = "done" if is_done else "equal" if is_equal else "new"
    seconds = SECONDS_A_ROW + job.multiplications * rate
    return PlannedRow(
        line=job.line,
        status=status,
        picture=job.output,
        width=width,
        height=height,
        seconds=round(seconds, 1) if status == "new" else None,
        memory_mb=_memory_mb(job, device) if status == "new" else None,
        why=f"the same as line {first}" if is_equal else "",
    )


def _memory_mb(job: Job, device: str) -> int:
    """Return the peak memory of a row: the device's, or on a CPU that of the whole process."""
    process = 0 if device.startswith("GPU") else PROCESS_MB
    return round(process + needed_memory(job, device) / 1e6)


def _seconds_a_multiplication(output: OutputFolder) -> tuple[float, bool]:
    """Return the rate of earlier rows of this output or a guess, and whether it was measured."""
    try:
        ran = [
            (row.seconds, _multiplications_done(row))
            for row in read_summary(output).rows
            if row.seconds is not None
        ]
    except (OSError, ValueError):
        # There is no table, or it is from another version.
        return SECONDS_A_MULTIPLICATION, False
    rates = [seconds / work for seconds, work in ran if work > ENOUGH_MULTIPLICATIONS]
    return (median(rates), True) if rates else (SECONDS_A_MULTIPLICATION, False)


def _multiplications_done(row: TableRow) -> float:
    """Return the multiplications of a row of an earlier run; 0 if the table does not say.

    Raises:
        ValueError: the row has settings that this version does not know, or lacks one.
    """
    if not row.octaves or row.width is None or row.height is None or row.steps is None:
        return 0.0
    names = ("encoder", "pooling", "content_layers", "style_layers", "normalization")
    settings = Settings.model_validate({name: getattr(row, name) for name in names})
    # Each octave has a quarter of the next one's pixels, so n octaves take (1 - 4^-n) 4/3 of the
    # work of the last one.
    octaves = row.octaves
    pixel_steps = row.width * row.height * row.steps / octaves
    return pixel_steps * (1 - 0.25**octaves) * 4 / 3 * cost_of(settings).multiplications_per_pixel


def _report(
    terminal: Terminal,
    planned: Sequence[PlannedRow],
    styles: int,
    cached: int,
    measured: bool,
    downloads: Sequence[PublishedFile],
    rows_at_once: int,
) -> None:
    terminal.table([asdict(row) for row in planned])
    counts = {name: sum(row.status == name for row in planned) for name in STATUSES}
    seconds = sum(row.seconds or 0 for row in planned) / rows_at_once
    memory = max((row.memory_mb or 0 for row in planned), default=0)
    terminal.say(", ".join(f"{count} {name}" for name, count in counts.items()))
    terminal.say(f"styles needed: {styles} ({cached} cached, {styles - cached} to compute)")
    show_downloads(terminal, downloads)
    source = "measured on earlier rows" if measured else "a guess based on 2 CPU cores"
    terminal.say(f"about {duration(seconds)} ({source}) and {memory:.0f} MB at most")
    terminal.result(
        {
            "counts": counts,
            "styles": {"needed": styles, "kept": cached, "to_compute": styles - cached},
            "seconds": seconds,
            "seconds_measured_here": measured,
            "memory_mb": memory,
            "downloads": [asdict(file) for file in downloads],
            "rows": [asdict(row) for row in planned],
        }
    )
