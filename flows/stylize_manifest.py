"""The flow: read it and you have read the program."""

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

from nst_core.devices import AUTO, PATTERN, parse_devices
from nst_core.files import StorageError, user_cache
from nst_core.held_files import sweep_parts
from nst_core.networks.store import WeightStore
from nst_core.octaves import REPORT_EVERY
from nst_core.places import WEB_ADDRESS, Place, checked_for_keeping, name_of, place, told
from nst_core.settings import DEFAULT_MAX_PIXELS, Overrides
from nst_core.write_errors import writing_to
from tasks.artifacts import show_on_page, shown_progress
from tasks.caching import keep_by_key
from tasks.encoders import check_weights_place, encoders_of
from tasks.endings import (
    Style,
    ending_of_equal,
    endings_of_finished,
    gather,
    has_begun,
    tell_end,
)
from tasks.jobs import Job, examine_rows
from tasks.layout import (
    folders_written,
    make_folders,
    output_lock,
    row_records,
    style_files,
    style_locks,
    style_records,
)
from tasks.locks import exclusive
from tasks.manifest import (
    ManifestError,
    check_manifest_kind,
    check_manifest_place,
    check_places,
    read_manifest,
)
from tasks.placement import forget_foreign
from tasks.progress import BatchProgress, tell_batch
from tasks.records import PictureRecord, StyleRecord, find_style, remove_failures
from tasks.report import write_report
from tasks.rows import Row
from tasks.run_log import log_wrong_rows, omit_tracebacks
from tasks.runner_choice import LOCAL, RunnerName, check_runner
from tasks.runners import Workers, in_threads, start_workers
from tasks.statuses import PENDING, Ending
from tasks.stopping import raise_if_asked_to_stop, stopping_rows, undisturbed
from tasks.style_targets import compute_style_targets, mark_used
from tasks.styles_in_use import using_styles
from tasks.stylize import stylize_row
from tasks.summary import count_by_status
from tasks.weights import fetch_weights

MOST_UNDER_WAY = 1000
"""Rows that are submitted and not gathered yet; more would only take memory."""

PlaceText = Annotated[str, BeforeValidator(lambda named: str(checked_for_keeping(place(named))))]
"""A path or an address, as text, so that the server's page has a field for it."""

MOST_LOST = 3
"""Rows in turn that could not reach the output's storage; then the batch ends, to go on later."""

SaveEvery = Annotated[int, Field(gt=0, multiple_of=REPORT_EVERY)]
Devices = Annotated[str, Field(pattern=f"^({PATTERN})$")]
WebAddress = Annotated[str, Field(pattern=WEB_ADDRESS)]
Item = TypeVar("Item")


@dataclass(frozen=True)
class Batch:
    """What was asked for, besides the rows: the flow's parameters, read and completed."""

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


class Work(NamedTuple):
    """What is under way, and how it ended.

    Attributes:
        pictures: futures, by the keys of rows; each goes once it is gathered.
        styles: records of what was kept, futures of what is computed, by the keys of styles.
        ended: the line of the first row of a key, and how it ended.
    """

    pictures: dict[str, PrefectFuture[PictureRecord]]
    styles: dict[str, Style]
    ended: dict[str, tuple[int, Ending]]


# A worker imports this module to run the flow, and logs how it ended after that.
omit_tracebacks()


def run_name() -> str:
    """A run is called by its manifest and when it was to begin, as the clock here has it."""
    manifest = Path(name_of(place(runtime.flow_run.parameters["manifest"]))).stem
    return f"{manifest} {runtime.flow_run.scheduled_start_time.astimezone():%Y-%m-%d %H:%M}"


@flow(name="stylize-manifest", flow_run_name=run_name)
def stylize_manifest(
    manifest: PlaceText,
    output: PlaceText,
    settings: Overrides = Overrides(),  # noqa: B008 - frozen, so that sharing it is harmless
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
    """Stylize every row of a manifest that is not done yet; gather pictures and a table.

    Args:
        manifest: a CSV file with a content and a style picture a row: a path, or an address such as
            s3://bucket/night.csv.
        output: the folder for pictures, loss curves and the summary; made if need be. A path or an
            address.
        settings: a preset and settings for all rows; a row's own cells go before them.
        weights: a file or folder of weights for encoders that need some, looked at before the
            cache; `NST_BATCH_WEIGHTS` if not given.
        cache: where style targets and downloaded weights are kept (weights always on this
            machine), a path or an address; the user's cache folder if not given.
        refresh: stylize every row again, and compute every style's targets again.
        strict: refuse the whole manifest where one of its rows is at fault.
        max_pixels: pictures with more pixels than this are refused.
        save_every: keep the picture after every so many steps of an octave, a multiple of 10.
        devices: `auto` (the GPUs there are, or else the CPU), `gpu` (the GPUs, never the CPU),
            `cpu`, or some such as `gpu:0,gpu:2`; each works on one row at a time.
        runner: `local` (this process), or the workers of a `ray` or `dask` cluster.
        address: of a cluster that is running; one on this machine is started if not given.
        served_at: the address at which people see the output folder, for links to the gallery.
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
    """Examine rows, run those that can, write the table, and say how it went."""
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
    endings: dict[int, Ending] = {}
    try:
        with shown_progress(name_of(batch.manifest)):
            stylize_jobs(examined.jobs, endings, batch)
    except (KeyboardInterrupt, TerminationSignal):
        with undisturbed():
            night = write_report(examined, endings, batch.manifest, batch.output)
            log_wrong_rows(night.table)
            show_on_page(night, batch.served_at, patiently=False)
        raise
    night = write_report(examined, endings, batch.manifest, batch.output)
    log_wrong_rows(night.table)
    show_on_page(night, batch.served_at)
    return final_state(count_by_status(night.table))


def tell_examined(count: int, total: int) -> None:
    """Say how many pictures were looked at; a stop does not wait for the others."""
    tell_batch(BatchProgress("examined", count, total))
    raise_if_asked_to_stop()


def stylize_jobs(jobs: tuple[Job, ...], endings: dict[int, Ending], batch: Batch) -> None:
    """Run the jobs that are not done, each after its own style only.

    Equal jobs run once, and equal styles are computed once.

    Args:
        jobs: of the rows that can run.
        endings: how each job ended, by its line in the manifest; added as they are known, also
            where the batch is stopped.
        batch: what was asked for.
    """
    remove_failures(row_records(batch.output))
    remove_failures(style_records(batch.cache))
    if not batch.refresh:
        endings |= endings_of_finished(jobs, batch.output)
    to_run = [job for job in jobs if job.line not in endings]
    forget_foreign(to_run, batch.output)
    tell_batch(planned(to_run, endings))
    work = Work(pictures={}, styles={}, ended={})
    try:
        with (
            workers_for(to_run, batch) as workers,
            using_styles(batch.cache) as use_style,
            stopping_rows(batch.output),
        ):
            submitted = submit_rows(to_run, workers, work, batch, use_style)
            ahead = drawn_ahead(submitted, MOST_UNDER_WAY)
            gather_rows(ahead, work, endings, batch)
    except (KeyboardInterrupt, TerminationSignal):
        with undisturbed():
            gather_what_is_there(to_run, work, endings, batch)
        raise


def planned(to_run: Sequence[Job], endings: Mapping[int, Ending]) -> BatchProgress:
    """How many rows are to be run, and how many of those that can run are not done before."""
    done = sum(ending.record is not None for ending in endings.values())
    equal = len(to_run) - len({job.key for job in to_run})
    return BatchProgress("planned", len(to_run), len(to_run) + done, equal)


def submit_rows(
    jobs: Iterable[Job],
    workers: Workers,
    work: Work,
    batch: Batch,
    use_style: Callable[[str], None],
) -> Iterator[Job]:
    """The jobs in turn, each once its picture is there or under way.

    A style is submitted just before the first row that needs it; `use_style` is told its key.
    """
    refresh = batch.refresh
    keep = keep_by_key(row_records(batch.output), "job", "key", refresh=refresh)
    stylize = stylize_row.with_options(**keep)
    records, locks = style_records(batch.cache), style_locks(batch.cache)
    keep = keep_by_key(records, "job", "style_key", refresh=refresh, once_under=locks)
    compute = compute_style_targets.with_options(**keep)
    for job in jobs:
        if job.key not in work.pictures and job.key not in work.ended:
            if job.style_key not in work.styles:
                use_style(job.style_key)
                work.styles[job.style_key] = find_or_compute(workers, compute, job, batch)
            parameters = {
                "job": job,
                "style": work.styles[job.style_key],
                "output": batch.output,
                "cache": batch.cache,
                "save_every": batch.save_every,
            }
            work.pictures[job.key] = workers.submit(stylize, parameters)
        yield job


def gather_rows(
    submitted: Iterable[Job], work: Work, endings: dict[int, Ending], batch: Batch
) -> None:
    """Wait for each job in turn and say how it ended, by its line in the manifest.

    Raises:
        StorageError: rows in turn could not reach the output.
    """
    lost = 0
    for job in submitted:
        raise_if_asked_to_stop()
        is_first, picture = job.key not in work.ended, work.pictures.get(job.key)
        ending = endings[job.line] = gather_row(job, work, batch.output)
        if not is_first or batch.runner != LOCAL or (picture and not has_begun(picture)):
            tell_end(job, ending)
        lost = lost + 1 if ending.is_output_lost else 0
        if lost == MOST_LOST:
            raise StorageError(f"{told(batch.output)} does not answer: {ending.error}")


def gather_row(job: Job, work: Work, output: Place) -> Ending:
    """Wait for a job, or for the one in an earlier line that it is equal to; how it ended."""
    if job.key in work.ended:
        return ending_of_equal(job, *work.ended[job.key], output)
    ending = gather(job, work.pictures[job.key], work.styles.get(job.style_key), output)
    work.ended[job.key] = (job.line, ending)
    # The future goes, and with it what Prefect holds of the task run.
    del work.pictures[job.key]
    return ending


def gather_what_is_there(
    jobs: Iterable[Job], work: Work, endings: dict[int, Ending], batch: Batch
) -> None:
    """How the other jobs of a batch that was stopped ended; a cluster is not waited for."""
    for job in jobs:
        if job.line not in endings:
            is_known = job.key in work.ended or (batch.runner == LOCAL and job.key in work.pictures)
            endings[job.line] = gather_row(job, work, batch.output) if is_known else PENDING


def drawn_ahead(items: Iterable[Item], most: int) -> Iterator[Item]:
    """The items in order, each only when so many more have been drawn, or all."""
    drawn: deque[Item] = deque()
    for item in items:
        drawn.append(item)
        if len(drawn) > most:
            yield drawn.popleft()
    yield from drawn


def workers_for(to_run: list[Job], batch: Batch) -> AbstractContextManager[Workers]:
    """Where nothing is to run, neither TensorFlow nor a cluster is even asked."""
    if not to_run:
        return in_threads(1, batch.devices)
    return start_workers(batch.runner, batch.address, batch.devices)


def find_or_compute(
    workers: Workers, compute: Task[Any, StyleRecord], job: Job, batch: Batch
) -> Style:
    """The targets of a job's style: kept from an earlier run, or as a task that computes them."""
    records, files = style_records(batch.cache), style_files(batch.cache)
    if not batch.refresh and (found := find_style(records, job.style_key)):
        mark_used(found)
        return found
    parameters = {"job": job, "folder": files, "output": batch.output}
    future: PrefectFuture[StyleRecord] = workers.submit(compute, parameters)
    return future


def final_state(counts: dict[str, int]) -> State:
    """Completed only if every row has its picture; otherwise failed rows show in the name."""
    told = ", ".join(f"{count} {status}" for status, count in counts.items())
    wrong = counts.get("failed", 0) + counts.get("invalid", 0)
    if not wrong:
        return Completed(message=told)
    name = "AllRowsFailed" if wrong == sum(counts.values()) else "SomeRowsFailed"
    return Failed(name=name, message=told)
