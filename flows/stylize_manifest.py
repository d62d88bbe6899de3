"""The flow, which is also an outline of the whole program."""

import math
import time
from pathlib import Path
from typing import Annotated

from prefect import flow, runtime
from prefect.client.schemas.objects import State
from prefect.exceptions import TerminationSignal
from pydantic import BeforeValidator, Field

from flows.choice import keys_to_begin, limited, planned, results_to_keep, selected
from flows.ending import final_state, report_batch
from flows.process.signals import deferring_signals
from flows.submission import row_submitter, style_submitter
from nst_core.devices import AUTO, PATTERN, processes_of_devices
from nst_core.images.picture_files import DEFAULT_MAX_PIXELS
from nst_core.networks.store import WeightStore
from nst_core.storage.places import name_of, place, reject_signed_url
from nst_core.storage.write_errors import writing_to
from nst_core.transfer.presets import Overrides
from tasks.engine.in_flight import InFlight
from tasks.engine.in_time import Schedule, gather_in_time
from tasks.engine.run_log import omit_tracebacks
from tasks.engine.runner_choice import LOCAL, RunnerName
from tasks.engine.runners import start_workers
from tasks.events import ManifestUnderstood, PictureExamined, emit
from tasks.intake.encoders import check_weights_place, encoders_of
from tasks.intake.examine import examine_rows
from tasks.intake.manifest import ManifestError, understand_manifest
from tasks.intake.outputs import check_places
from tasks.job import Job, by_priority
from tasks.option import with_arguments, without_empty
from tasks.option_types import (
    CheckpointEvery,
    MaxPixels,
    MaxRows,
    Maybe,
    MaybeNumber,
    PreviewSide,
    Retries,
    SaveEvery,
    WebUrl,
)
from tasks.report.log_file import RunLog, run_log_of
from tasks.report.prefect_page import shown_progress
from tasks.report.selection import Selection
from tasks.request import CHECKPOINT_SECONDS, RETRIES, BatchRequest, CompleteRequest
from tasks.request_checks import check_request, limits_of
from tasks.row import Row, told_once
from tasks.stopping import Limits, raise_if_asked_to_stop, stopping_rows
from tasks.store.checkpoints import forget_old_checkpoints
from tasks.store.lookup import forget_foreign
from tasks.store.measuring import measuring
from tasks.store.preview_folder import keep_apart
from tasks.store.speeds import Speeds
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
# them with `BatchRequest`. What is left out is an empty text or 0, and not None, for which the UI's
# form would have a switch between two types beside each input.
@flow(name="stylize-manifest", flow_run_name=run_name)
@with_arguments
def stylize_manifest(
    manifest: PlaceText,
    output: PlaceText,
    settings: Overrides = Overrides(),  # noqa: B008 - frozen, so it can be shared
    weights: Maybe[Path] = "",  # type: ignore[assignment]
    cache: Maybe[PlaceText] = "",
    refresh: bool = False,
    only: Maybe[str] = "",
    limit: MaybeNumber[MaxRows] = 0,
    strict: bool = False,
    preview: MaybeNumber[PreviewSide] = 0,
    max_pixels: MaxPixels = DEFAULT_MAX_PIXELS,
    until: Maybe[str] = "",
    budget: Maybe[str] = "",
    row_budget: Maybe[str] = "",
    save_every: MaybeNumber[SaveEvery] = 0,
    checkpoint_every: CheckpointEvery = CHECKPOINT_SECONDS,
    retries: Retries = RETRIES,
    devices: Devices = AUTO,
    runner: RunnerName = LOCAL,
    address: Maybe[str] = "",
    isolate: bool = False,
    served_at: Maybe[WebUrl] = "",
) -> State:
    """Stylize the rows of a manifest that are not done yet; write pictures and a table."""
    # So far, the parameters are the only local variables.
    request = BatchRequest(**without_empty(locals()))
    raise_if_asked_to_stop()
    check_request(request, late=True)
    return stylize_batch(request.completed(), limits_of(request, time.time(), late=True))


def stylize_batch(batch: CompleteRequest, limits: Limits) -> State:
    """Read the manifest and stylize its rows, while no other run writes to the output folder."""
    with writing_to({"the output folder": batch.output, "the cache": batch.cache}):
        output, cache, store = batch.output_folder, batch.style_cache, batch.weight_store()
        output.make()
        cache.make()
        with output.lock(), run_log_of(output, batch.parameters()) as log:
            keep_apart(output, is_preview=batch.preview is not None)
            for folder in (output, cache, store):
                folder.sweep()
            manifest = understand_manifest(batch.manifest, batch.settings)
            if manifest.understood:
                emit(ManifestUnderstood(manifest.understood))
            return stylize_rows(manifest.rows, store, batch, limits, log)


def stylize_rows(
    rows: list[Row], store: WeightStore, batch: CompleteRequest, limits: Limits, log: RunLog
) -> State:
    """Examine rows, run those that can run, write the table, and return the final state."""
    output = batch.output_folder
    selection = selected(rows, batch)
    rows = check_places(rows, output)
    check_weights_place(store, output)
    examined = examine_rows(
        rows,
        encoders_of(rows, store, lambda published: fetch_weights(published, store.folder)),
        max_pixels=batch.max_pixels,
        preview=batch.preview,
        on_picture=report_examined,
    )
    faults = [fault for fault in examined.faults if selection.asks_for(fault.line)]
    if batch.strict and faults:
        raise ManifestError("\n".join(fault.text(lines) for fault, lines in told_once(faults)))
    results: dict[int, RowResult] = {}
    try:
        with shown_progress(name_of(batch.manifest)):
            selection = limited(selection, examined, batch)
            seconds_left = stylize_jobs(examined.jobs, results, batch, limits, selection)
    except (KeyboardInterrupt, TerminationSignal):
        with deferring_signals():
            report_batch(examined, results, batch, log, selection, patiently=False)
        raise
    return final_state(report_batch(examined, results, batch, log, selection, seconds_left))


def report_examined(count: int, total: int) -> None:
    """Report how many pictures have been examined; end the flow here if it was asked to stop."""
    emit(PictureExamined(count, total))
    raise_if_asked_to_stop()


def stylize_jobs(
    jobs: tuple[Job, ...],
    results: dict[int, RowResult],
    batch: CompleteRequest,
    limits: Limits,
    selection: Selection,
) -> float | None:
    """Run the jobs that are asked for, not done, and end in time; each waits only for its style.

    Equal jobs run once, and equal styles are computed once.

    Args:
        jobs: the jobs of the rows that can run.
        results: how each job ended, by its line in the manifest; entries are added as they become
            known, even if the batch is stopped.
        batch: what was asked for.
        limits: when rows must end.
        selection: the rows that are asked for.

    Returns:
        The estimated seconds that the remaining rows would take if the time was up; else None.
    """
    output = batch.output_folder
    results |= results_to_keep(jobs, batch, selection)
    left = [job for job in jobs if selection.asks_for(job.line) and job.line not in results]
    to_run = by_priority(left)
    forget_old_checkpoints(output.checkpoints, keys_to_begin(jobs, to_run, results, batch.refresh))
    forget_foreign(to_run, output)
    emit(planned(to_run, results, batch, selection))
    if not to_run:
        return None  # otherwise TensorFlow or a cluster would be started for nothing
    in_flight = InFlight(results, output, batch.runner)
    try:
        return run_jobs(to_run, in_flight, batch, limits)
    except (KeyboardInterrupt, TerminationSignal):
        with deferring_signals():
            in_flight.gather_what_is_there(to_run)
        raise


def run_jobs(
    jobs: list[Job], in_flight: InFlight, batch: CompleteRequest, limits: Limits
) -> float | None:
    """Run jobs on workers that are started for them; return what `stylize_jobs` returns."""
    with (
        processes_of_devices(),
        measuring(jobs, batch.style_cache),
        start_workers(batch.runner, batch.address, batch.devices) as workers,
        batch.style_cache.in_use.of_a_run() as use_style,
        stopping_rows(batch.output_folder),
    ):
        style = style_submitter(workers, use_style, batch, limits.deadline)
        row = row_submitter(workers, batch, limits)
        if limits.deadline.at == math.inf and not any(job.previous for job in jobs):
            in_flight.gather(in_flight.submit(jobs, style, row))
            return None
        estimate = Speeds.read(batch.style_cache, batch.devices).seconds
        schedule = Schedule.of(jobs, limits, estimate, continues=batch.checkpoint_every > 0)
        return gather_in_time(in_flight, jobs, schedule, (style, row), workers.at_once)
