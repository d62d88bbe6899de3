"""`nst-batch plan`: what a run would do, and the time, memory and disk it would take."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass

from flows.cli.commands.check import show_downloads
from flows.cli.exit_codes import ROWS_FAILED, SUCCESS
from flows.cli.room import Room, room_for
from flows.cli.terminal import Terminal, duration, refuse
from nst_core.errors import UserError
from nst_core.networks.catalogue import PublishedFile
from tasks.intake.encoders import check_weights_place, downloads_of, encoders_of
from tasks.intake.examine import examine_rows
from tasks.intake.manifest import read_manifest
from tasks.intake.outputs import check_places
from tasks.job import Examined, Job, cost_of
from tasks.report.estimated_time import EstimatedTime, estimated_time
from tasks.request import BatchRequest
from tasks.row import Row
from tasks.store.disk_use import disk_use
from tasks.store.lookup import Finished, find_finished, first_lines
from tasks.store.speeds import Speeds

MEMORY_MB = 900
MEMORY_MB_AN_ACTIVATION = 9.5e-6
"""Resident memory of the process on a CPU, and how much each activation of a layer adds."""


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


@dataclass(frozen=True)
class _Plan:
    """What `plan` shows."""

    rows: tuple[PlannedRow, ...]
    styles: int
    styles_to_compute: int
    time: EstimatedTime
    room: Room


def plan(terminal: Terminal, request: BatchRequest) -> int:
    """Show which rows are new, done or invalid, which styles are cached, the time and the disk."""
    output, store = request.output_folder, request.weight_store()
    try:
        request.check(once=True)
        rows = check_places(read_manifest(request.manifest, request.settings), output)
        check_weights_place(store, output)
        encoders = encoders_of(rows, store)
    except UserError as error:
        return refuse(terminal, error)
    examined = examine_rows(rows, encoders, max_pixels=request.max_pixels)
    planned = _plan(examined, request)
    _report(terminal, planned, downloads_of(encoders))
    return ROWS_FAILED if any(row.status == "invalid" for row in planned.rows) else SUCCESS


def _plan(examined: Examined, request: BatchRequest) -> _Plan:
    output, cache, jobs = request.output_folder, request.style_cache, examined.jobs
    newer: dict[str, str] = {}
    finished = find_finished(jobs, output, newer)
    statuses = _statuses(jobs, finished, newer)
    to_run, equal = (
        [job for job in jobs if statuses[job.line] == status] for status in ("new", "equal")
    )
    speeds = Speeds.read(cache, request.devices)
    time = estimated_time(to_run, speeds, output)
    styles = {job.style_key: job for job in to_run}
    missing = [job for key, job in styles.items() if not cache.find(key)]
    records = [each.found for each in finished.values()]
    use = disk_use(to_run, equal, missing, records, speeds.at_once)
    planned = [
        _plan_job(
            job, statuses[job.line], first, time.seconds_of.get(job.line), newer.get(job.key, "")
        )
        for job, first in zip(jobs, first_lines(jobs), strict=True)
    ]
    planned += [_plan_invalid(row) for row in examined.rows if row.faults]
    return _Plan(
        rows=tuple(sorted(planned, key=lambda row: row.line)),
        styles=len(styles),
        styles_to_compute=len(missing),
        time=time,
        room=room_for(use, output.root, cache.root),
    )


def _plan_invalid(row: Row) -> PlannedRow:
    return PlannedRow(row.line, "invalid", row.output, None, None, None, None, str(row.faults[0]))


def _statuses(
    jobs: Sequence[Job], finished: Mapping[str, Finished], newer: Collection[str]
) -> dict[int, str]:
    """Return the status of each job, by its line.

    Args:
        jobs: the jobs.
        finished: those that are done, by their keys.
        newer: the keys of those that a newer version finished, so that they must not run.
    """

    def status(job: Job, first: int) -> str:
        if job.key in newer:
            return "invalid"
        if job.key in finished:
            return "done"
        return "new" if first == job.line else "equal"

    firsts = first_lines(jobs)
    return {job.line: status(job, first) for job, first in zip(jobs, firsts, strict=True)}


def _plan_job(job: Job, status: str, first: int, seconds: float | None, newer: str) -> PlannedRow:
    """Plan a job; `first` is the line of the first job that is equal to it.

    `newer` says why it must not run, if a newer version finished it.
    """
    height, width = job.shape
    return PlannedRow(
        line=job.line,
        status=status,
        picture=job.output,
        width=width,
        height=height,
        seconds=seconds,
        memory_mb=_memory_mb(job) if status == "new" else None,
        why=newer or (f"the same as line {first}" if first != job.line else ""),
    )


def _memory_mb(job: Job) -> int:
    height, width = job.shape
    numbers = cost_of(job.settings).activations_per_pixel * height * width
    return round(MEMORY_MB + MEMORY_MB_AN_ACTIVATION * numbers)


def _report(terminal: Terminal, plan: _Plan, downloads: Sequence[PublishedFile]) -> None:
    terminal.table([asdict(row) for row in plan.rows])
    counts = {name: sum(row.status == name for row in plan.rows) for name in STATUSES}
    memory = max((row.memory_mb or 0 for row in plan.rows), default=0)
    cached = plan.styles - plan.styles_to_compute
    terminal.say(", ".join(f"{count} {name}" for name, count in counts.items()))
    terminal.say(
        f"styles needed: {plan.styles} ({cached} cached, {plan.styles_to_compute} to compute)"
    )
    show_downloads(terminal, downloads)
    time = plan.time
    terminal.say(f"about {duration(time.seconds)} ({time.source}) and {memory:.0f} MB at most")
    terminal.say(str(plan.room))
    terminal.result(
        {
            "counts": counts,
            "styles": {
                "needed": plan.styles,
                "kept": cached,
                "to_compute": plan.styles_to_compute,
            },
            "seconds": time.seconds,
            "seconds_measured_here": time.is_measured,
            "seconds_source": time.source,
            "memory_mb": memory,
            "disk": plan.room.as_json(),
            "downloads": [asdict(file) for file in downloads],
            "rows": [asdict(row) for row in plan.rows],
        }
    )
