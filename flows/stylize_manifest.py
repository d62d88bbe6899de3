"""The flow, which is also an outline of the whole program."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from prefect import flow, runtime
from prefect.client.schemas.objects import State
from prefect.exceptions import TerminationSignal
from prefect.states import Completed, Failed
from pydantic import BeforeValidator, Field

from flows.process.signals import deferring_signals
from flows.submission import row_submitter, style_submitter
from nst_core.devices import AUTO, PATTERN
from nst_core.images.picture_files import DEFAULT_MAX_PIXELS
from nst_core.networks.store import WeightStore
from nst_core.storage.places import name_of, place, reject_signed_url
from nst_core.storage.write_errors import writing_to
from nst_core.transfer.settings import Overrides
from tasks.engine.in_flight import InFlight
from tasks.engine.run_log import omit_tracebacks, run_log
from tasks.engine.runner_choice import LOCAL, RunnerName
from tasks.engine.runners import start_workers
from tasks.events import PictureExamined, RowsPlanned, RowsSelected, emit
from tasks.intake.encoders import check_weights_place, encoders_of
from tasks.intake.examine import examine_rows
from tasks.intake.manifest import ManifestError, read_manifest
from tasks.intake.outputs import check_places
from tasks.job import Job
from tasks.option import with_arguments
from tasks.report.prefect_page import log_wrong_rows, show_on_page, shown_progress
from tasks.report.selection import Selection, select
from tasks.report.write import write_report
from tasks.request import (
    CHECKPOINT_SECONDS,
    RETRIES,
    BatchRequest,
    CheckpointEvery,
    CompleteRequest,
    MaxPixels,
    Retries,
    SaveEvery,
    WebUrl,
)
from tasks.row import Row
from tasks.stopping import raise_if_asked_to_stop, stopping_rows
from tasks.store.checkpoints import forget_old_checkpoints
from tasks.store.finished import results_of_finished
from tasks.store.lookup import forget_foreign
from tasks.store.statuses import RowResult
from tasks.weights import fetch_weights

PlaceText = Annotated[str, BeforeValidator(lambda named: str(reject_signed_url(place(named))))]
"""A path or a URL, as text, so that the server's page has a field for it."""

Devices = Annotated[str, Field(pattern=f"^({PATTERN})$")]


# A worker imports this module to run the flow, and afterwards logs how it ended.
omit_tracebacks()


def run_name() -> str:
    """Return the name of a run: its manifest and its scheduled start in local time."""
    manifest = Path(name_of(place(runtime.flow_run.parameters["manifest"]))).stem
    return f"{manifest} {runtime.flow_run.scheduled_start_time.astimezone():%Y-%m-%d %H:%M}"


# Prefect reads the parameters from the signature, so they are written out here; a test compares
# them with `BatchRequest`.
@flow(name="stylize-manifest", flow_run_name=run_name)
@with_arguments
def stylize_manifest(
    manifest: PlaceText,
    output: PlaceText,
    settings: Overrides = Overrides(),  # noqa: B008 - frozen, so it can be shared
    weights: Path | None = None,
    cache: PlaceText | None = None,
    refresh: bool = False,
    only: str | None = None,
    strict: bool = False,
    max_pixels: MaxPixels = DEFAULT_MAX_PIXELS,
    save_every: SaveEvery | None = None,
    checkpoint_every: CheckpointEvery = CHECKPOINT_SECONDS,
    retries: Retries = RETRIES,
    devices: Devices = AUTO,
    runner: RunnerName = LOCAL,
    address: str | None = None,
    served_at: WebUrl | None = None,
) -> State:
    """Stylize the rows of a manifest that are not done yet; write pictures and a table."""
    raise_if_asked_to_stop()
    request = BatchRequest(
        manifest=manifest,
        output=output,
        settings=settings,
        weights=weights,
        cache=cache,
        refresh=refresh,
        only=only,
        strict=strict,
        max_pixels=max_pixels,
        save_every=save_every,
        checkpoint_every=checkpoint_every,
        retries=retries,
        devices=devices,
        runner=runner,
        address=address,
        served_at=served_at,
    )
    request.check()
    return stylize_batch(request.completed())


def stylize_batch(batch: CompleteRequest) -> State:
    """Read the manifest and stylize its rows, while no other run writes to the output folder."""
    with writing_to({"the output folder": batch.output, "the cache": batch.cache}):
        output, cache, store = batch.output_folder, batch.style_cache, batch.weight_store()
        output.make()
        cache.make()
        with output.lock():
            for folder in (output, cache, store):
                folder.sweep()
            rows = read_manifest(batch.manifest, batch.settings)
            return stylize_rows(rows, store, batch)


def stylize_rows(rows: list[Row], store: WeightStore, batch: CompleteRequest) -> State:
    """Examine rows, run those that can run, write the table, and return the final state."""
    output = batch.output_folder
    selection = selected(rows, batch)
    rows = check_places(rows, output)
    check_weights_place(store, output)
    examined = examine_rows(
        rows,
        encoders_of(rows, store, lambda published: fetch_weights(published, store.folder)),
        max_pixels=batch.max_pixels,
        on_picture=report_examined,
    )
    faults = [fault for fault in examined.faults if selection.asks_for(fault.line)]
    if batch.strict and faults:
        raise ManifestError("\n".join(map(str, faults)))
    results: dict[int, RowResult] = {}
    try:
        with shown_progress(name_of(batch.manifest)):
            stylize_jobs(examined.jobs, results, batch, selection)
    except (KeyboardInterrupt, TerminationSignal):
        with deferring_signals():
            report = write_report(examined, results, batch.manifest, output, selection)
            log_wrong_rows(report.table)
            show_on_page(report, batch.served_at, patiently=False)
        raise
    report = write_report(examined, results, batch.manifest, output, selection)
    log_wrong_rows(report.table)
    show_on_page(report, batch.served_at)
    return final_state(report.table.counts, report.table.asked_for.counts)


def selected(rows: Sequence[Row], batch: CompleteRequest) -> Selection:
    """Return which rows are asked for, and report it if not all of them are."""
    selection = select(batch.only, rows, batch.output_folder)
    if selection.lines is not None:
        event = RowsSelected(selection.text, len(selection.lines), len(rows))
        run_log().info("%s", event)
        emit(event)
    return selection


def report_examined(count: int, total: int) -> None:
    """Report how many pictures have been examined; end the flow here if it was asked to stop."""
    emit(PictureExamined(count, total))
    raise_if_asked_to_stop()


def stylize_jobs(
    jobs: tuple[Job, ...],
    results: dict[int, RowResult],
    batch: CompleteRequest,
    selection: Selection,
) -> None:
    """Run the jobs that are asked for and not done; each waits only for its own style.

    Equal jobs run once, and equal styles are computed once.

    Args:
        jobs: the jobs of the rows that can run.
        results: how each job ended, by its line in the manifest; entries are added as they become
            known, even if the batch is stopped.
        batch: what was asked for.
        selection: the rows that are asked for.
    """
    output = batch.output_folder
    results |= results_to_keep(jobs, batch, selection)
    to_run = [job for job in jobs if selection.asks_for(job.line) and job.line not in results]
    forget_old_checkpoints(output.checkpoints, keys_to_begin(jobs, to_run, results, batch.refresh))
    forget_foreign(to_run, output)
    emit(planned(to_run, results, is_part=selection.lines is not None))
    if not to_run:
        return  # otherwise TensorFlow or a cluster would be started for nothing
    in_flight = InFlight(results, output, batch.runner)
    try:
        with (
            start_workers(batch.runner, batch.address, batch.devices) as workers,
            batch.style_cache.in_use.of_a_run() as use_style,
            stopping_rows(output),
        ):
            style = style_submitter(workers, use_style, batch)
            in_flight.gather(in_flight.submit(to_run, style, row_submitter(workers, batch)))
    except (KeyboardInterrupt, TerminationSignal):
        with deferring_signals():
            in_flight.gather_what_is_there(to_run)
        raise


def results_to_keep(
    jobs: Sequence[Job], batch: CompleteRequest, selection: Selection
) -> dict[int, RowResult]:
    """Return, by line, the results of the rows that earlier runs finished and that stay as is."""
    if batch.refresh and selection.lines is None:
        return {}
    finished = results_of_finished(jobs, batch.output_folder)
    return {
        line: result
        for line, result in finished.items()
        if not (batch.refresh and selection.asks_for(line))
    }


def keys_to_begin(
    jobs: Sequence[Job], to_run: Sequence[Job], results: Mapping[int, RowResult], refresh: bool
) -> set[str]:
    """Return the keys whose checkpoints are of no use: those of rows that are done or refreshed."""
    running = {job.key for job in to_run}
    done = {job.key for job in jobs if job.line in results}
    # A refreshed row that is tried again must find only the checkpoints of this run.
    return done | running if refresh else done - running


def planned(
    to_run: Sequence[Job], results: Mapping[int, RowResult], *, is_part: bool
) -> RowsPlanned:
    """Count the rows to run, all rows that can run, and the rows that repeat an earlier one."""
    done = sum(result.record is not None for result in results.values())
    equal = len(to_run) - len({job.key for job in to_run})
    return RowsPlanned(len(to_run), len(to_run) + done, equal, is_part)


def final_state(counts: dict[str, int], asked: dict[str, int] | None = None) -> State:
    """Return `Completed` if every row has its picture, else `Failed` with a name that says so.

    Args:
        counts: the number of rows for each status.
        asked: the same for the rows that were asked for, which alone are judged; None if all were.
    """
    judged = counts if asked is None else asked
    message = ", ".join(f"{count} {status}" for status, count in counts.items())
    wrong = judged.get("failed", 0) + judged.get("invalid", 0)
    if not wrong:
        return Completed(message=message)
    name = "AllRowsFailed" if wrong == sum(judged.values()) else "SomeRowsFailed"
    return Failed(name=name, message=message)
