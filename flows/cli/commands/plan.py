"""`nst-batch plan`: what a run would do, and the time, memory and disk it would take."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass

from flows.cli.commands.check import show_downloads
from flows.cli.exit_codes import ROWS_FAILED, SUCCESS
from flows.cli.laid_out import manifest_asked_for
from flows.cli.layout_options import Asked
from flows.cli.preconditions import check_output
from flows.cli.results import show_replaced
from flows.cli.room import Room, room_for
from flows.cli.terminal import Terminal, duration, refuse
from nst_core.errors import UserError
from nst_core.networks.catalogue import PublishedFile
from tasks.events import RowsSelected
from tasks.intake.encoders import check_weights_place, downloads_of, encoders_of
from tasks.intake.examine import examine_rows
from tasks.intake.outputs import check_places
from tasks.job import Examined, Job, by_priority
from tasks.report.estimated_time import EstimatedTime, estimated_time
from tasks.report.selection import Selection, select
from tasks.request import BatchRequest
from tasks.request_checks import check_request
from tasks.row import Row
from tasks.store.disk_use import disk_use
from tasks.store.finished import count_replaced
from tasks.store.lookup import find_finished, first_lines
from tasks.store.preview_folder import check_apart
from tasks.store.row_kinds import expected_devices
from tasks.store.speeds import Speeds
from tasks.work.ladder import memory_mb

STATUSES = ("new", "equal", "done", "invalid")
"""The statuses of a row before a run; an `equal` row gets a copy of an earlier line's picture."""

IN_WORDS = {"equal": "equal to another row", "done": "done already"}
"""The statuses that are said in other words in a sentence."""

UNASKED = "pending"
"""The status of a row that is not done and that `--only` does not ask for."""


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
    replaced: int
    room: Room


def plan(terminal: Terminal, asked: Asked, *, with_rows: bool = False) -> int:
    """Show which rows are new, done or invalid, which styles are cached, the time and the disk."""
    request = asked.request
    output, store = request.output_folder, request.weight_store()
    try:
        check_request(request, once=True)
        check_apart(output, is_preview=False)
        check_output(output)
        manifest = manifest_asked_for(asked, terminal)
        rows = check_places(manifest.rows, output)
        selection = select(request.only, rows, output)
        check_weights_place(store, output)
        encoders = encoders_of(rows, store)
    except (UserError, OSError) as error:
        return refuse(terminal, error)
    if manifest.understood:
        terminal.say(manifest.understood)
    if selection.lines is not None:
        terminal.say(str(RowsSelected(selection.text, len(selection.lines), len(rows))))
    examined = examine_rows(rows, encoders, max_pixels=request.max_pixels)
    planned = _plan(examined, request, selection)
    if with_rows:
        terminal.table([asdict(row) for row in planned.rows])
    _report(terminal, planned, downloads_of(encoders))
    wrong = [row for row in planned.rows if row.status == "invalid"]
    return ROWS_FAILED if any(selection.asks_for(row.line) for row in wrong) else SUCCESS


def _plan(examined: Examined, request: BatchRequest, selection: Selection) -> _Plan:
    output, cache, jobs = request.output_folder, request.style_cache, examined.jobs
    newer: dict[str, str] = {}
    found = find_finished(jobs, output, newer)
    asked, finished = _asked(examined, request, selection, found)
    firsts = dict(zip((job.line for job in asked), first_lines(asked), strict=True))
    statuses = {job.line: _status(job, firsts.get(job.line), finished, newer) for job in jobs}
    to_run, equal = (
        [job for job in jobs if statuses[job.line] == status] for status in ("new", "equal")
    )
    device, *_ = expected_devices(request.devices)
    speeds = Speeds.read(cache, request.devices)
    time = estimated_time(to_run, speeds, output)
    styles = {style.key: job for job in to_run for style in job.styles}
    missing = [job for key, job in styles.items() if not cache.find(key)]
    records = [each.found for each in found.values()]
    use = disk_use(to_run, equal, missing, records, speeds.at_once)
    planned = [
        _plan_job(
            job,
            statuses[job.line],
            _why(job, statuses[job.line], firsts.get(job.line), newer),
            time.seconds_of.get(job.line),
            device,
        )
        for job in jobs
    ]
    planned += [_plan_invalid(row) for row in examined.rows if row.faults]
    return _Plan(
        rows=tuple(sorted(planned, key=lambda row: row.line)),
        styles=len(styles),
        styles_to_compute=len(missing),
        time=time,
        replaced=count_replaced([*to_run, *equal], found, output),
        room=room_for(use, output.root, cache.root),
    )


def _asked(
    examined: Examined, request: BatchRequest, selection: Selection, found: Collection[str]
) -> tuple[list[Job], set[str]]:
    """Return the jobs that are asked for, and the keys of those that stay as they are.

    Args:
        examined: all rows and jobs.
        request: what is asked of the run.
        selection: the rows that `--only` asks for.
        found: the keys of finished jobs.
    """
    asked = [job for job in examined.jobs if selection.asks_for(job.line)]
    again = {job.key for job in asked} if request.refresh else set()
    if request.limit is not None:
        left = [job.line for job in by_priority(asked) if job.key not in {*found} - again]
        selection = selection.limited_to(request.limit, left, examined.rows)
        asked = [job for job in asked if selection.asks_for(job.line)]
    again &= {job.key for job in asked}
    return asked, {*found} - again


def _plan_invalid(row: Row) -> PlannedRow:
    return PlannedRow(row.line, "invalid", row.output, None, None, None, None, str(row.faults[0]))


def _status(job: Job, first: int | None, finished: Collection[str], newer: Collection[str]) -> str:
    """Return the status of a job.

    Args:
        job: the job.
        first: the line of the first job that is equal to it; None if `--only` does not ask for it.
        finished: the keys of jobs that are done.
        newer: the keys of jobs that a newer version finished, so that they must not run.
    """
    if job.key in newer:
        return "invalid"
    if job.key in finished:
        return "done"
    if first is None:
        return UNASKED
    return "new" if first == job.line else "equal"


def _why(job: Job, status: str, first: int | None, newer: Mapping[str, str]) -> str:
    """Return why a job has its status; see `_status`."""
    if job.key in newer:
        return newer[job.key]
    if status == UNASKED:
        return "not asked for"
    return f"the same as line {first}" if first not in (None, job.line) else ""


def _plan_job(job: Job, status: str, why: str, seconds: float | None, device: str) -> PlannedRow:
    height, width = job.shape
    return PlannedRow(
        line=job.line,
        status=status,
        picture=job.output,
        width=width,
        height=height,
        seconds=seconds,
        memory_mb=memory_mb(job, device) if status == "new" else None,
        why=why,
    )


def _report(terminal: Terminal, plan: _Plan, downloads: Sequence[PublishedFile]) -> None:
    names = (*STATUSES, *([UNASKED] if any(row.status == UNASKED for row in plan.rows) else ()))
    counts = {name: sum(row.status == name for row in plan.rows) for name in names}
    memory = max((row.memory_mb or 0 for row in plan.rows), default=0)
    cached = plan.styles - plan.styles_to_compute
    terminal.say(
        f"style targets needed: {plan.styles} ({cached} cached, {plan.styles_to_compute} to "
        "compute)"
    )
    show_downloads(terminal, downloads)
    # What most people want to know comes last, where they look.
    advice = "; nst-batch check lists the errors" if counts["invalid"] else ""
    said = (f"{count} {IN_WORDS.get(name, name)}" for name, count in counts.items() if count)
    terminal.say(", ".join(said) + advice)
    show_replaced(terminal, plan.replaced)
    time = plan.time
    terminal.say(
        f"about {duration(time.seconds)} ({time.source}) and {memory:.0f} MB of memory at most"
    )
    terminal.say(str(plan.room))
    terminal.result(
        {
            "counts": counts,
            "replaced": plan.replaced,
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
