"""The flow: read it and you have read the program."""

import logging
import traceback
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Annotated, Any, TypeVar

from prefect import Task, flow, runtime
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.states import Completed, Failed
from pydantic import BeforeValidator, Field

from nst_core.devices import AUTO, PATTERN, parse_devices
from nst_core.files import StorageError, read_whole, user_cache, version_of, write_whole
from nst_core.networks.store import WeightStore
from nst_core.places import Place, checked_for_keeping, name_of, place, told, without_secrets
from nst_core.settings import DEFAULT_MAX_PIXELS, Overrides
from tasks.caching import keep_by_key
from tasks.encoders import encoders_of
from tasks.jobs import Job, examine_rows
from tasks.layout import (
    curve_path,
    error_path,
    make_folders,
    output_lock,
    picture_path,
    row_records,
    style_files,
    style_locks,
    style_records,
)
from tasks.locks import exclusive
from tasks.manifest import (
    ManifestError,
    Row,
    check_manifest_place,
    check_places,
    read_manifest,
)
from tasks.progress import (
    BatchProgress,
    RowProgress,
    TableProgress,
    tell,
    tell_batch,
    tell_table,
)
from tasks.records import (
    FileReference,
    PictureRecord,
    RecordError,
    StyleRecord,
    find_picture,
    find_style,
    remove_failures,
)
from tasks.runner_choice import LOCAL, RunnerName, check_runner
from tasks.runners import Workers, ended, in_threads, start_workers
from tasks.stopping import stopping_rows
from tasks.style_targets import compute_style_targets
from tasks.stylize import stylize_row
from tasks.summary import Ending, count_by_status, summarize, write_summary
from tasks.weights import fetch_weights

logger = logging.getLogger("nst_batch.flow")

LONGEST_ERROR = 600
"""In characters; TensorFlow's messages can fill pages, and the whole is in the row's file."""

MOST_UNDER_WAY = 1000
"""Rows that are submitted and not gathered yet; more would only take memory."""

LOOKS_AT_ONCE = 8
"""Records that are looked for at the same time: storage answers slowly, but many at once."""

PlaceText = Annotated[str, BeforeValidator(lambda named: str(checked_for_keeping(place(named))))]
"""A path or an address, as text, so that the server's page has a field for it."""

MOST_LOST = 3
"""Rows in turn that could not reach the output's storage; then the batch ends, to go on later."""

Devices = Annotated[str, Field(pattern=f"^({PATTERN})$")]
Item = TypeVar("Item")
Style = StyleRecord | PrefectFuture[StyleRecord]
Picture = PictureRecord | PrefectFuture[PictureRecord]


def run_name() -> str:
    """A run is called by its manifest."""
    return Path(name_of(place(runtime.flow_run.parameters["manifest"]))).stem


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
    devices: Devices = AUTO,
    runner: RunnerName = LOCAL,
    address: str | None = None,
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
        devices: `auto` (the GPUs there are, or else the CPU), `gpu` (the GPUs, never the CPU),
            `cpu`, or some such as `gpu:0,gpu:2`; each works on one row at a time.
        runner: `local` (this process), or the workers of a `ray` or `dask` cluster.
        address: of a cluster that is running; one on this machine is started if not given.
    """
    parse_devices(devices)
    check_runner(runner, address, devices)
    folder = place(output).absolute()
    kept = place(cache or user_cache()).absolute()
    check_manifest_place(place(manifest), folder)
    make_folders(folder, kept)
    with exclusive(output_lock(folder), folder):
        return stylize_rows(
            read_manifest(place(manifest), settings),
            folder,
            kept,
            WeightStore.of_user(weights, kept),
            refresh=refresh,
            strict=strict,
            max_pixels=max_pixels,
            devices=devices,
            runner=runner,
            address=address,
        )


def stylize_rows(
    rows: list[Row],
    output: Place,
    cache: Place,
    store: WeightStore,
    *,
    refresh: bool,
    strict: bool,
    max_pixels: int,
    devices: str,
    runner: RunnerName,
    address: str | None,
) -> State:
    """Examine rows, run those that can, write the table, and say how it went."""
    rows = check_places(rows, output)
    examined = examine_rows(
        rows,
        encoders_of(rows, store, lambda published: fetch_weights(published, store.kept)),
        max_pixels=max_pixels,
        on_picture=lambda count, total: tell_batch(BatchProgress("examined", count, total)),
    )
    if strict and examined.faults:
        raise ManifestError("\n".join(map(str, examined.faults)))
    endings = stylize_jobs(
        examined.jobs,
        output,
        cache,
        refresh=refresh,
        devices=devices,
        runner=runner,
        address=address,
    )
    for row in examined.rows:
        if row.faults:
            endings[row.line] = Ending("invalid", error="; ".join(map(str, row.faults)))
    table = summarize(examined.rows, endings, output)
    write_summary(table, output)
    tell_table(TableProgress(len(table)))
    return final_state(count_by_status(table))


def stylize_jobs(
    jobs: tuple[Job, ...],
    output: Place,
    cache: Place,
    *,
    refresh: bool,
    devices: str,
    runner: RunnerName,
    address: str | None,
) -> dict[int, Ending]:
    """Run the jobs that are not done, each after its own style only.

    Equal jobs run once, and equal styles are computed once.

    Returns:
        How each job ended, by its line in the manifest.
    """
    remove_failures(row_records(output))
    remove_failures(style_records(cache))
    distinct: dict[str, Job] = {}
    for job in jobs:
        distinct.setdefault(job.key, job)
    pictures: dict[str, Picture] = {} if refresh else dict(find_all_done(distinct, output))
    to_run = [job for key, job in distinct.items() if key not in pictures]
    tell_batch(BatchProgress("planned", len(to_run), len(jobs)))
    styles: dict[str, Style] = {}
    with workers_for(to_run, runner, address, devices) as workers, stopping_rows(output):
        submitted = submit_rows(jobs, workers, pictures, styles, output, cache, refresh=refresh)
        ahead = drawn_ahead(submitted, MOST_UNDER_WAY)
        return gather_rows(ahead, pictures, styles, output, tells_ends=runner != LOCAL)


def submit_rows(
    jobs: Iterable[Job],
    workers: Workers,
    pictures: dict[str, Picture],
    styles: dict[str, Style],
    output: Place,
    cache: Place,
    *,
    refresh: bool,
) -> Iterator[Job]:
    """The jobs in turn, each once its picture is there or under way.

    A style is submitted just before the first row that needs it.

    Args:
        pictures, styles: what there is, by key; what is submitted is added.
    """
    keep = keep_by_key(row_records(output), "job", "key", refresh=refresh)
    stylize = stylize_row.with_options(**keep)
    keep = keep_by_key(
        style_records(cache), "job", "style_key", refresh=refresh, once_under=style_locks(cache)
    )
    compute = compute_style_targets.with_options(**keep)
    for job in jobs:
        if job.key not in pictures:
            if job.style_key not in styles:
                styles[job.style_key] = find_or_compute(workers, compute, job, cache, refresh)
            parameters = {"job": job, "style": styles[job.style_key], "output": output}
            pictures[job.key] = workers.submit(stylize, parameters)
        yield job


def gather_rows(
    submitted: Iterable[Job],
    pictures: dict[str, Picture],
    styles: dict[str, Style],
    output: Place,
    *,
    tells_ends: bool,
) -> dict[int, Ending]:
    """How each job ended, by its line in the manifest.

    Args:
        pictures: by key; a future is replaced by its record.
        tells_ends: tell how rows end, where they run in other processes.

    Raises:
        StorageError: rows in turn could not reach the output.
    """
    endings: dict[int, Ending] = {}
    lost = 0
    for job in submitted:
        picture = pictures[job.key]
        ending = endings[job.line] = gather(job, picture, styles.get(job.style_key), output)
        if tells_ends and isinstance(picture, PrefectFuture):
            tell_end(job, ending)
        if ending.record:
            # The future goes, and with it what Prefect holds of the task run.
            pictures[job.key] = ending.record
        lost = lost + 1 if ending.is_output_lost else 0
        if lost == MOST_LOST:
            raise StorageError(f"{told(output)} does not answer: {ending.error}")
    return endings


def drawn_ahead(items: Iterable[Item], most: int) -> Iterator[Item]:
    """The items in order, each only when so many more have been drawn, or all."""
    drawn: deque[Item] = deque()
    for item in items:
        drawn.append(item)
        if len(drawn) > most:
            yield drawn.popleft()
    yield from drawn


def tell_end(job: Job, ending: Ending) -> None:
    """Tell how a row ended that could not tell so itself, in another process."""
    if ending.record:
        tell(RowProgress(job.line, job.output, "done", share=1, loss=ending.record.total_loss))
    else:
        tell(RowProgress(job.line, job.output, "failed", message=ending.error))


def workers_for(
    to_run: list[Job], runner: RunnerName, address: str | None, devices: str
) -> AbstractContextManager[Workers]:
    """Where nothing is to run, neither TensorFlow nor a cluster is even asked."""
    return start_workers(runner, address, devices) if to_run else in_threads(1, devices)


def find_all_done(jobs: dict[str, Job], output: Place) -> Iterator[tuple[str, PictureRecord]]:
    """By their keys, the records of the jobs that earlier runs finished."""
    with ThreadPoolExecutor(LOOKS_AT_ONCE) as pool:
        found = pool.map(lambda job: find_done(job, output), jobs.values())
        for key, record in zip(jobs, found, strict=True):
            if record:
                yield key, record


def find_done(job: Job, output: Place) -> PictureRecord | None:
    """The record of a job that an earlier run finished, its picture in its place."""
    wanted = picture_path(output, job.output)
    record = find_picture(row_records(output), job.key, wanted)
    try:
        return record and put_in_place(record, job, output)
    except (OSError, RecordError) as error:
        logger.warning("%s: made again, as it cannot be copied: %s", told(wanted), error)
        return None


def put_in_place(record: PictureRecord, job: Job, output: Place) -> PictureRecord:
    """Copy a picture that lies under another name, and its curve, to where the job wants them.

    Raises:
        RecordError: the picture is not there any more.
        OSError: it cannot be written.
    """
    wanted, curve = picture_path(output, job.output), curve_path(output, job.output)
    if record.file.path == wanted:
        return record
    file = FileReference.write(wanted, record.file.read())
    with suppress(FileNotFoundError):
        write_whole(curve, read_whole(record.curve))
    return record.model_copy(update={"file": file, "curve": curve})


def find_or_compute(
    workers: Workers, compute: Task[Any, StyleRecord], job: Job, cache: Place, refresh: bool
) -> Style:
    """The targets of a job's style: kept from an earlier run, or as a task that computes them."""
    if not refresh and (found := find_style(style_records(cache), job.style_key)):
        if isinstance(found.file.path, Path):
            # `cache prune` goes by it.
            found.file.path.touch()
        return found
    future: PrefectFuture[StyleRecord] = workers.submit(
        compute, {"job": job, "folder": style_files(cache)}
    )
    return future


def gather(job: Job, picture: Picture, style: Style | None, output: Place) -> Ending:
    """Wait for a job's picture and say how it ended; no failure of one row reaches another."""
    try:
        if isinstance(picture, PictureRecord):
            return Ending("cached", put_in_place(picture, job, output), "hit")
        if not ended(picture).is_completed():
            return failed_ending(job, picture, style, output)
        return ending_of(job, picture, style, output)
    except (OSError, RecordError) as error:
        return Ending("failed", error=in_a_line(error))


def ending_of(
    job: Job, picture: PrefectFuture[PictureRecord], style: Style | None, output: Place
) -> Ending:
    """How a job ended whose task run completed: another run may have been quicker."""
    record = picture.result()
    warn_if_not_kept(job, output)
    cached = picture.state.name == "Cached" or record.file.path != picture_path(output, job.output)
    computed = isinstance(style, PrefectFuture) and ended(style).name != "Cached"
    return Ending(
        "cached" if cached else "done",
        put_in_place(record, job, output),
        "computed" if computed else "hit",
    )


def warn_if_not_kept(job: Job, output: Place) -> None:
    """Say so where Prefect could not keep a record, which it does not say itself."""
    record = row_records(output) / job.key
    try:
        there = record.exists() if isinstance(record, Path) else bool(version_of(record).size)
    except OSError:
        there = False
    if not there:
        logger.warning(
            "%s: it is done, but its record cannot be kept at %s: the next run makes it again",
            job.output,
            told(record),
        )


def failed_ending(
    job: Job, picture: PrefectFuture[PictureRecord], style: Style | None, output: Place
) -> Ending:
    """Why a row failed, in a line; the traceback goes to a file beside the pictures."""
    failed, subject = ended(picture), ""
    if isinstance(style, PrefectFuture) and not ended(style).is_completed():
        failed, subject = ended(style), f"style {job.style_name}: "
    error = failed.result(raise_on_failure=False)
    if not isinstance(error, BaseException):
        why = f"{subject}{failed.name}: {failed.message or 'no reason was given'}"
        return Ending("failed", error=why)
    why = f"{subject}{in_a_line(error)}"
    if isinstance(error, StorageError) and str(error.filename).startswith(told(output)):
        return Ending("failed", error=why, is_output_lost=True)
    write_traceback(error, error_path(output, job.output))
    return Ending("failed", error=why)


def in_a_line(error: BaseException) -> str:
    """What an error says, as a cell of a table can hold it."""
    told = without_secrets(" ".join(f"{type(error).__name__}: {error}".split()))
    return told if len(told) <= LONGEST_ERROR else f"{told[:LONGEST_ERROR]} ..."


def write_traceback(error: BaseException, path: Place) -> None:
    """Keep it for whoever mends the cause; a full disk shall not cost the table as well."""
    try:
        told = without_secrets("".join(traceback.format_exception(error)))
        write_whole(path, told.encode())
    except OSError:
        logger.exception("the traceback of a failed row could not be written to %s", path)


def final_state(counts: dict[str, int]) -> State:
    """Completed only if every row has its picture; otherwise failed rows show in the name."""
    told = ", ".join(f"{count} {status}" for status, count in counts.items())
    wrong = counts.get("failed", 0) + counts.get("invalid", 0)
    if not wrong:
        return Completed(message=told)
    name = "AllRowsFailed" if wrong == sum(counts.values()) else "SomeRowsFailed"
    return Failed(name=name, message=told)
