"""The flow, which is also an outline of the whole program."""

import math
import time
from functools import partial
from pathlib import Path
from typing import Annotated

from prefect import flow, runtime
from prefect.client.schemas.objects import State
from prefect.exceptions import TerminationSignal
from pydantic import BeforeValidator, Field

from flows.batch import OpenBatch, PrefectError, open_batch
from flows.ending import final_state, show_in_prefect
from flows.process.signals import deferring_signals
from flows.submission import row_submitter, style_submitter
from nst_core.devices import AUTO, PATTERN, processes_of_devices
from nst_core.images.picture_files import DEFAULT_MAX_PIXELS
from nst_core.storage.places import name_of, place, reject_signed_url
from nst_core.transfer.presets import Overrides
from tasks.engine.in_flight import InFlight
from tasks.engine.in_time import Schedule, gather_in_time
from tasks.engine.run_log import omit_tracebacks, run_log
from tasks.engine.runner_choice import LOCAL, RunnerName
from tasks.engine.runners import start_workers
from tasks.events import Event, RowsSelected, subscribed
from tasks.job import Job
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
from tasks.report.prefect_page import shown_progress
from tasks.report.table_row import Table
from tasks.request import CHECKPOINT_SECONDS, RETRIES, BatchRequest, CompleteRequest
from tasks.request_checks import check_request, limits_of
from tasks.stopping import Limits, raise_if_asked_to_stop, stopping_rows
from tasks.store.measuring import measuring
from tasks.store.speeds import Speeds
from tasks.weights import fetch_weights

PlaceText = Annotated[str, BeforeValidator(lambda named: str(reject_signed_url(place(named))))]
"""A path or a URL, as text, so that the server's page has a field for it."""

Devices = Annotated[str, Field(pattern=f"^({PATTERN})$")]


# A worker imports this module to run the flow, and afterwards logs how it ended.
omit_tracebacks()


FLOW = "stylize-manifest"


def run_name() -> str:
    """Return the name of a run: its manifest and its scheduled start in local time."""
    manifest = Path(name_of(place(runtime.flow_run.parameters["manifest"]))).stem
    return f"{manifest} {runtime.flow_run.scheduled_start_time.astimezone():%Y-%m-%d %H:%M}"


# Prefect reads the parameters from the signature, so they are written out here; a test compares
# them with `BatchRequest`. What is left out is an empty text or 0, and not None, for which the UI's
# form would have a switch between two types beside each input.
@flow(name=FLOW, flow_run_name=run_name)
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
    limits = limits_of(request, time.time(), late=True)
    return final_state(stylize_batch(request.completed(), limits))


def stylize_batch(batch: CompleteRequest, limits: Limits) -> Table:
    """Stylize the rows of a manifest, while no other run writes to the output folder."""
    with subscribed(log_selection), open_batch(batch, fetch_weights) as opened:
        return stylize_rows(opened, limits)


def run_opened(opened: OpenBatch, limits: Limits) -> State | Exception:
    """Run the rows of a batch that is open already as a flow, and return the flow's final state.

    Raises:
        PrefectError: Prefect could not begin the flow.
        BaseException: that of the rows, as without Prefect.

    Returns:
        The final state; an exception of Prefect's if the rows have ended all the same.
    """
    raised: list[BaseException] = []
    tables: list[Table] = []

    @flow(name=FLOW, flow_run_name=run_name)
    def stylize_opened(manifest: str) -> State:  # noqa: ARG001 - names the run
        try:
            tables.append(stylize_rows(opened, limits))
        except BaseException as error:
            raised.append(error)
            raise
        return final_state(tables[0])

    try:
        state: State | Exception = stylize_opened(str(opened.asked.manifest), return_state=True)
    except Exception as error:  # noqa: BLE001 - Prefect raises nearly anything
        state = error
    finally:
        if raised:
            raise raised[0]
    if isinstance(state, Exception) and not tables:
        raise PrefectError from state
    return state


def log_selection(event: Event) -> None:
    """Say in the run's log which rows are asked for, if not all of them are."""
    if isinstance(event, RowsSelected):
        run_log().info("%s", event)


def stylize_rows(opened: OpenBatch, limits: Limits) -> Table:
    """Run the rows that are to be run, and write the table, even if the batch is stopped."""
    served_at = opened.asked.served_at
    try:
        with shown_progress(name_of(opened.asked.manifest)):
            seconds_left = stylize_jobs(opened, limits)
    except (KeyboardInterrupt, TerminationSignal):
        with deferring_signals():
            opened.report(show=partial(show_in_prefect, served_at=served_at, patiently=False))
        raise
    show = partial(show_in_prefect, served_at=served_at, patiently=True)
    return opened.report(seconds_left, show)


def stylize_jobs(opened: OpenBatch, limits: Limits) -> float | None:
    """Run jobs in time; each waits only for its style.

    Equal jobs run once, and equal styles are computed once.

    Args:
        opened: the batch, to whose results those of its jobs are added.
        limits: when rows must end.

    Returns:
        The estimated seconds that the remaining rows would take if the time was up; else None.
    """
    to_run = opened.begin()
    if not to_run:
        return None  # otherwise TensorFlow or a cluster would be started for nothing
    batch = opened.asked
    in_flight = InFlight(opened.results, batch.output_folder, batch.runner)
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
