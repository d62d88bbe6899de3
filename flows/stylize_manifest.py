"""The flow, which is also an outline of the whole program."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar

from prefect import Task, flow, runtime
from prefect.client.schemas.objects import State
from prefect.exceptions import TerminationSignal
from prefect.futures import PrefectFuture
from prefect.states import Completed, Failed
from pydantic import BeforeValidator, Field

from flows.process.signals import deferring_signals
from nst_core.devices import AUTO, PATTERN, parse_devices
from nst_core.images.picture_files import DEFAULT_MAX_PIXELS
from nst_core.networks.store import WeightStore
from nst_core.storage.files import StorageError, user_cache
from nst_core.storage.held_files import sweep_parts
from nst_core.storage.places import (
    WEB_ADDRESS,
    Place,
    name_of,
    place,
    redacted,
    reject_signed_address,
)
from nst_core.storage.write_errors import writing_to
from nst_core.transfer.octaves import REPORT_EVERY
from nst_core.transfer.settings import Overrides
from tasks.engine.caching import keep_by_key
from tasks.engine.collect import Style, gather, has_begun, tell_end
from tasks.engine.run_log import omit_tracebacks
from tasks.engine.runner_choice import LOCAL, RunnerName, check_runner
from tasks.engine.runners import Workers, in_threads, start_workers
from tasks.events import PictureExamined, RowsPlanned, emit
from tasks.intake.encoders import check_weights_place, encoders_of
from tasks.intake.examine import examine_rows
from tasks.intake.manifest import (
    ManifestError,
    check_manifest_kind,
    check_manifest_place,
    check_places,
    read_manifest,
)
from tasks.job import Job
from tasks.report.prefect_page import log_wrong_rows, show_on_page, shown_progress
from tasks.report.table import count_by_status
from tasks.report.write import write_report
from tasks.row import Row
from tasks.stopping import raise_if_asked_to_stop, stopping_rows
from tasks.store.finished import result_of_equal, results_of_finished
from tasks.store.layout import (
    folders_written,
    make_folders,
    output_lock,
    row_records,
    style_files,
    style_locks,
    style_records,
)
from tasks.store.locks import exclusive
from tasks.store.placement import forget_foreign
from tasks.store.records import PictureRecord, StyleRecord, find_style, remove_failures
from tasks.store.statuses import PENDING, RowResult
from tasks.store.styles_in_use import using_styles
from tasks.style_targets import compute_style_targets, mark_used
from tasks.stylize import stylize_row
from tasks.weights import fetch_weights

MAX_IN_FLIGHT = 1000
"""The most rows that are submitted but not yet gathered; more would only take memory."""

PlaceText = Annotated[str, BeforeValidator(lambda named: str(reject_signed_address(place(named))))]
"""A path or an address, as text, so that the server's page has a field for it."""

MAX_STORAGE_FAILURES = 3
"""Rows in succession that could not reach the output's storage; after so many, the batch ends.

A later run resumes it.
"""

SaveEvery = Annotated[int, Field(gt=0, multiple_of=REPORT_EVERY)]
Devices = Annotated[str, Field(pattern=f"^({PATTERN})$")]
WebAddress = Annotated[str, Field(pattern=WEB_ADDRESS)]
Item = TypeVar("Item")


@dataclass(frozen=True)
class Batch:
    """What was asked for, besides the rows: the flow's parameters, parsed and completed."""

    manifest: Place
    output: Place
    cache: Place
    refresh: bool
    strict: bool
    max_pixels: int
    save_every: int | None
    devices: str
    runner: RunnerName
    address: str | None
    served_at: str | None


class InFlight(NamedTuple):
    """What is in flight, and what has ended.

    Attributes:
        pictures: futures, by the keys of rows; each is removed once it is gathered.
        styles: records of cached targets, futures of those being computed, by the keys of styles.
        ended: the line of the first row with a key, and how it ended.
    """

    pictures: dict[str, PrefectFuture[PictureRecord]]
    styles: dict[str, Style]
    ended: dict[str, tuple[int, RowResult]]


# A worker imports this module to run the flow, and afterwards logs how it ended.
omit_tracebacks()


def run_name() -> str:
    """Return the name of a run: its manifest and its scheduled start in local time."""
    manifest = Path(name_of(place(runtime.flow_run.parameters["manifest"]))).stem
    return f"{manifest} {runtime.flow_run.scheduled_start_time.astimezone():%Y-%m-%d %H:%M}"


@flow(name="stylize-manifest", flow_run_name=run_name)
def stylize_manifest(
    manifest: PlaceText,
    output: PlaceText,
    settings: Overrides = Overrides(),  # noqa: B008 - frozen, so it can be shared
    weights: Path | None = None,
    cache: PlaceText | None = None,
    refresh: bool = False,
    strict: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    save_every: SaveEvery | None = None,
    devices: Devices = AUTO,
    runner: RunnerName = LOCAL,
    address: str | None = None,
    served_at: WebAddress | None = None,
) -> State:
    """Stylize every row of a manifest that is not done yet; collect pictures and a table.

    Args:
        manifest: a CSV file with a content and a style picture in each row: a path, or an address
            such as s3://bucket/night.csv.
        output: the folder for pictures, loss curves and the summary; created if it does not exist.
            A path or an address.
        settings: a preset and settings for all rows; a row's own cells take precedence.
        weights: a file or folder of weights for encoders that need some, searched before the
            cache; `NST_BATCH_WEIGHTS` if not given.
        cache: the folder for style targets and downloaded weights (weights are always on this
            machine), a path or an address; the user's cache folder if not given.
        refresh: stylize every row again, and compute every style's targets again.
        strict: refuse the whole manifest if any row has an error.
        max_pixels: refuse pictures with more pixels than this.
        save_every: save each picture after every N steps of an octave; N is a multiple of 10.
        devices: `auto` (all GPUs, or the CPU if there is none), `gpu` (all GPUs, never the CPU),
            `cpu`, or a list such as `gpu:0,gpu:2`; each device works on one row at a time.
        runner: `local` (this process), or the workers of a `ray` or `dask` cluster.
        address: the address of a running cluster; if not given, one is started on this machine.
        served_at: the web address of the output folder, for links to the gallery.
    """
    raise_if_asked_to_stop()
    parse_devices(devices)
    check_runner(runner, address, devices)
    batch = Batch(
        manifest=place(manifest),
        output=place(output).absolute(),
        cache=place(cache or user_cache()).absolute(),
        refresh=refresh,
        strict=strict,
        max_pixels=max_pixels,
        save_every=save_every,
        devices=devices,
        runner=runner,
        address=address,
        served_at=served_at,
    )
    check_manifest_place(batch.manifest, batch.output)
    check_manifest_kind(batch.manifest)
    with writing_to({"the output folder": batch.output, "the cache": batch.cache}):
        make_folders(batch.output, batch.cache)
        with exclusive(output_lock(batch.output), batch.output):
            sweep_parts(folders_written(batch.output, batch.cache))
            rows = read_manifest(batch.manifest, settings)
            return stylize_rows(rows, WeightStore.of_user(weights, batch.cache), batch)


def stylize_rows(rows: list[Row], store: WeightStore, batch: Batch) -> State:
    """Examine rows, run those that can run, write the table, and return the final state."""
    rows = check_places(rows, batch.output)
    check_weights_place(store, batch.output)
    examined = examine_rows(
        rows,
        encoders_of(rows, store, lambda published: fetch_weights(published, store.kept)),
        max_pixels=batch.max_pixels,
        on_picture=tell_examined,
    )
    if batch.strict and examined.faults:
        raise ManifestError("\n".join(map(str, examined.faults)))
    results: dict[int, RowResult] = {}
    try:
        with shown_progress(name_of(batch.manifest)):
            stylize_jobs(examined.jobs, results, batch)
    except (KeyboardInterrupt, TerminationSignal):
        with deferring_signals():
            night = write_report(examined, results, batch.manifest, batch.output)
            log_wrong_rows(night.table)
            show_on_page(night, batch.served_at, patiently=False)
        raise
    night = write_report(examined, results, batch.manifest, batch.output)
    log_wrong_rows(night.table)
    show_on_page(night, batch.served_at)
    return final_state(count_by_status(night.table))


def tell_examined(count: int, total: int) -> None:
    """Report how many pictures were examined; a stop does not wait for the others."""
    emit(PictureExamined(count, total))
    raise_if_asked_to_stop()


def stylize_jobs(jobs: tuple[Job, ...], results: dict[int, RowResult], batch: Batch) -> None:
    """Run the jobs that are not done; each waits only for its own style.

    Equal jobs run once, and equal styles are computed once.

    Args:
        jobs: the jobs of the rows that can run.
        results: how each job ended, by its line in the manifest; entries are added as they become
            known, even if the batch is stopped.
        batch: what was asked for.
    """
    remove_failures(row_records(batch.output))
    remove_failures(style_records(batch.cache))
    if not batch.refresh:
        results |= results_of_finished(jobs, batch.output)
    to_run = [job for job in jobs if job.line not in results]
    forget_foreign(to_run, batch.output)
    emit(planned(to_run, results))
    in_flight = InFlight(pictures={}, styles={}, ended={})
    try:
        with (
            workers_for(to_run, batch) as workers,
            using_styles(batch.cache) as use_style,
            stopping_rows(batch.output),
        ):
            submitted = submit_rows(to_run, workers, in_flight, batch, use_style)
            ahead = lookahead(submitted, MAX_IN_FLIGHT)
            gather_rows(ahead, in_flight, results, batch)
    except (KeyboardInterrupt, TerminationSignal):
        with deferring_signals():
            gather_what_is_there(to_run, in_flight, results, batch)
        raise


def planned(to_run: Sequence[Job], results: Mapping[int, RowResult]) -> RowsPlanned:
    """Count the rows to run, all rows that can run, and those to run that equal an earlier row."""
    done = sum(result.record is not None for result in results.values())
    equal = len(to_run) - len({job.key for job in to_run})
    return RowsPlanned(len(to_run), len(to_run) + done, equal)


def submit_rows(
    jobs: Iterable[Job],
    workers: Workers,
    in_flight: InFlight,
    batch: Batch,
    use_style: Callable[[str], None],
) -> Iterator[Job]:
    """Submit the jobs in order, and yield each once its picture is done or in flight.

    A style is submitted just before the first row that needs it; `use_style` receives its key.
    """
    refresh = batch.refresh
    keep = keep_by_key(row_records(batch.output), "job", "key", refresh=refresh)
    stylize = stylize_row.with_options(**keep)
    records, locks = style_records(batch.cache), style_locks(batch.cache)
    keep = keep_by_key(records, "job", "style_key", refresh=refresh, once_under=locks)
    compute = compute_style_targets.with_options(**keep)
    for job in jobs:
        if job.key not in in_flight.pictures and job.key not in in_flight.ended:
            if job.style_key not in in_flight.styles:
                use_style(job.style_key)
                in_flight.styles[job.style_key] = find_or_compute(workers, compute, job, batch)
            parameters = {
                "job": job,
                "style": in_flight.styles[job.style_key],
                "output": batch.output,
                "cache": batch.cache,
                "save_every": batch.save_every,
            }
            in_flight.pictures[job.key] = workers.submit(stylize, parameters)
        yield job


def gather_rows(
    submitted: Iterable[Job], in_flight: InFlight, results: dict[int, RowResult], batch: Batch
) -> None:
    """Wait for each job in order, and store how it ended, by its line in the manifest.

    Raises:
        StorageError: several rows in succession could not reach the output.
    """
    lost = 0
    for job in submitted:
        raise_if_asked_to_stop()
        is_first, picture = job.key not in in_flight.ended, in_flight.pictures.get(job.key)
        result = results[job.line] = gather_row(job, in_flight, batch.output)
        if not is_first or batch.runner != LOCAL or (picture and not has_begun(picture)):
            tell_end(job, result)
        lost = lost + 1 if result.is_output_lost else 0
        if lost == MAX_STORAGE_FAILURES:
            raise StorageError(f"{redacted(batch.output)} does not answer: {result.error}")


def gather_row(job: Job, in_flight: InFlight, output: Place) -> RowResult:
    """Wait for a job, or for its equal in an earlier line, and return how it ended."""
    if job.key in in_flight.ended:
        return result_of_equal(job, *in_flight.ended[job.key], output)
    result = gather(job, in_flight.pictures[job.key], in_flight.styles.get(job.style_key), output)
    in_flight.ended[job.key] = (job.line, result)
    # Without the future, Prefect can free what it holds of the task run.
    del in_flight.pictures[job.key]
    return result


def gather_what_is_there(
    jobs: Iterable[Job], in_flight: InFlight, results: dict[int, RowResult], batch: Batch
) -> None:
    """Store how the other jobs of a stopped batch ended, without waiting for a cluster."""
    for job in jobs:
        if job.line not in results:
            is_known = job.key in in_flight.ended or (
                batch.runner == LOCAL and job.key in in_flight.pictures
            )
            results[job.line] = gather_row(job, in_flight, batch.output) if is_known else PENDING


def lookahead(items: Iterable[Item], most: int) -> Iterator[Item]:
    """Yield the items in order, each only when `most` more have been drawn, or all."""
    drawn: deque[Item] = deque()
    for item in items:
        drawn.append(item)
        if len(drawn) > most:
            yield drawn.popleft()
    yield from drawn


def workers_for(to_run: list[Job], batch: Batch) -> AbstractContextManager[Workers]:
    """Return the workers; if nothing is to run, without asking TensorFlow or a cluster."""
    if not to_run:
        return in_threads(1, batch.devices)
    return start_workers(batch.runner, batch.address, batch.devices)


def find_or_compute(
    workers: Workers, compute: Task[Any, StyleRecord], job: Job, batch: Batch
) -> Style:
    """Return the targets of a job's style: cached by an earlier run, or a task's future."""
    records, files = style_records(batch.cache), style_files(batch.cache)
    if not batch.refresh and (found := find_style(records, job.style_key)):
        mark_used(found)
        return found
    parameters = {"job": job, "folder": files, "output": batch.output}
    future: PrefectFuture[StyleRecord] = workers.submit(compute, parameters)
    return future


def final_state(counts: dict[str, int]) -> State:
    """Return `Completed` only if every row has its picture; else the name shows failed rows."""
    message = ", ".join(f"{count} {status}" for status, count in counts.items())
    wrong = counts.get("failed", 0) + counts.get("invalid", 0)
    if not wrong:
        return Completed(message=message)
    name = "AllRowsFailed" if wrong == sum(counts.values()) else "SomeRowsFailed"
    return Failed(name=name, message=message)
