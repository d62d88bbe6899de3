"""`nst-batch run`: run the flow in this process, show its progress, and report its outcome."""

import sys
import time
from contextlib import nullcontext
from importlib import import_module
from typing import Any, NamedTuple

from flows.cli.exit_codes import ENGINE_FAILED, INTERRUPTED, OUT_OF_TIME, ROWS_FAILED, SUCCESS
from flows.cli.laid_out import keep_laid_out, laid_out_for
from flows.cli.layout_options import Asked
from flows.cli.preconditions import check_ready
from flows.cli.progress import live_progress
from flows.cli.results import (
    show_best_so_far,
    show_counts,
    show_left,
    show_result,
    show_rows,
    show_warnings,
    show_wrong,
)
from flows.cli.supervision import end_at_once, end_within, run_supervised
from flows.cli.terminal import Terminal, as_error, refuse
from flows.process.embedded_server import EmbeddedServer, ServerError, start_embedded_server
from flows.process.libraries_log import libraries_log
from flows.process.proxies import fix_proxies
from nst_core.devices import DeviceError
from nst_core.errors import UserError
from nst_core.networks.weight_files import WeightsError
from nst_core.storage.locks import LockError
from nst_core.storage.places import redacted
from nst_core.storage.write_errors import writing_to
from nst_core.transfer.allowed import counted
from tasks.durations import moment_of
from tasks.engine.runner_choice import RunnerError
from tasks.events import StageEntered, emit
from tasks.intake.manifest import ManifestError
from tasks.report.saved_table import read_summary
from tasks.report.selection import OnlyError
from tasks.report.table_row import Table
from tasks.request import BatchRequest
from tasks.request_checks import check_request, until_fixed
from tasks.store.output_folder import InUseError, OutputFolder
from tasks.store.preview_folder import PreviewFolderError, check_apart, is_of_previews
from tasks.store.statuses import STOPPED, WRONG

REFUSALS = (
    *(ManifestError, OnlyError, InUseError, LockError, DeviceError, RunnerError, WeightsError),
    PreviewFolderError,
)
"""Errors of the flow that mean that nothing ran."""

IMPATIENT_SECONDS = 8.0
"""The time for Prefect's shutdown after a stop, or if the server is this run's own."""

PATIENT_SECONDS = 120.0
"""The time for Prefect's shutdown if a user's server still receives events of thousands of rows."""


class Outcome(NamedTuple):
    """The outcome of the flow.

    Attributes:
        state: the flow's final state; an exception if Prefect returns none, a
            `KeyboardInterrupt` if the flow was stopped.
        table_written: whether the table says how every row ended.
        gallery: where the page that shows it is; empty if there is none.
        server: the embedded server, if there is one.
        is_over: whether the flow ended; a stop does not wait for a server that is gone.
        replaced: how many rows replaced a picture that was made with other settings or pictures.
    """

    state: Any
    table_written: bool
    gallery: str
    server: EmbeddedServer | None = None
    is_over: bool = True
    replaced: int = 0

    @property
    def is_known_to_prefect(self) -> bool:
        """Whether the final state is the flow's own, and has reached the server."""
        if isinstance(self.state, BaseException):
            return False
        return self.state.is_completed() or self.state.name in ("SomeRowsFailed", "AllRowsFailed")


def run(terminal: Terminal, asked: Asked, *, verbose: bool) -> int:
    """Run the flow on a manifest, and report how it ended.

    Args:
        terminal: where to report it.
        asked: what was asked for.
        verbose: let Prefect and TensorFlow write to the terminal instead of a file.

    Returns:
        An exit code: `SUCCESS` only if every row has its picture.
    """
    request = asked.request
    try:
        if request.until is not None:
            request = until_fixed(request, moment_of(request.until, time.time(), "until"))
        prepare(terminal, asked._replace(request=request))
    except (UserError, OSError) as error:
        return refuse(terminal, error)
    outcome = run_flow(terminal, request, verbose=verbose)
    code = report_outcome(terminal, outcome, request.output_folder)
    end(code, outcome)
    return code


def prepare(terminal: Terminal, asked: Asked) -> None:
    """Refuse unusable input before a server is started for it, and lay out rows if need be.

    Raises:
        UserError: something cannot be used.
        OSError: a folder cannot be read or written.
    """
    request, layout = asked
    # Laying out thousands of rows takes longer than some deadlines.
    check_request(request, read=layout is None, late=True)
    batch = request.completed()
    check_apart(batch.output_folder, is_preview=batch.preview is not None)
    laid = layout and laid_out_for(layout, request.manifest, batch.output_folder, terminal)
    check_apart(batch.output_folder, is_preview=batch.preview is not None)
    check_ready(batch.style_cache, batch.output_folder, batch.devices)
    with writing_to({"the output folder": batch.output, "the cache": batch.cache}):
        batch.output_folder.make()
        batch.style_cache.make()
        if laid:
            keep_laid_out(laid, batch.output_folder)
            terminal.say(f"manifest: {redacted(request.manifest)}")
            check_request(request, read=True, late=True)


def run_flow(
    terminal: Terminal,
    request: BatchRequest,
    *,
    verbose: bool,
    signals: list[int] | None = None,
) -> Outcome:
    """Run the flow, with a server of its own unless the user has named one; show its progress.

    Args:
        terminal: where to show it.
        request: what is asked for.
        verbose: see `run`.
        signals: see `run_supervised`.
    """
    servers: list[EmbeddedServer] = []

    def flow() -> Any:
        servers.extend(_server_of_its_own(terminal))
        emit(StageEntered("reading the manifest"))
        from flows.stylize_manifest import stylize_manifest

        return stylize_manifest(**request.parameters(), return_state=True)

    quiet = nullcontext() if verbose else libraries_log(request.output_folder.libraries_log)
    with live_progress(terminal) as progress, quiet:
        work = run_supervised(flow, progress, terminal, signals)
    return Outcome(
        work.result,
        progress.table_written,
        progress.gallery,
        server=servers[0] if servers else None,
        is_over=work.is_over,
        replaced=progress.replaced,
    )


def _server_of_its_own(terminal: Terminal) -> list[EmbeddedServer]:
    """Start a server for this run, unless the user has named one."""
    if "prefect" not in sys.modules:
        emit(StageEntered("loading Prefect"))
    from prefect.settings import get_current_settings

    url = get_current_settings().api.url
    for wrong in fix_proxies(url):
        terminal.fail(f"warning: {wrong}")
    if url is not None:
        return []
    emit(StageEntered("starting Prefect's server (slower the first time)"))
    # The modules that take seconds to import are imported while the server starts.
    return [start_embedded_server(lambda: import_module("flows.stylize_manifest"))]


def end(code: int, outcome: Outcome) -> None:
    """Make the process end soon, whatever Prefect still has to send to a server."""
    sys.stdout.flush()
    if not outcome.is_over or (outcome.table_written and isinstance(outcome.state, Exception)):
        if outcome.server:
            outcome.server.end()
        end_at_once(code)
    is_impatient = outcome.server or isinstance(outcome.state, KeyboardInterrupt)
    end_within(IMPATIENT_SECONDS if is_impatient else PATIENT_SECONDS, code)


def report_outcome(
    terminal: Terminal, outcome: Outcome, output: OutputFolder, *, briefly: bool = False
) -> int:
    """Print the outcome of a batch, and return its exit code.

    Args:
        terminal: where to print it.
        outcome: the outcome of the flow.
        output: the batch's output folder.
        briefly: print neither the rows that are done nor where everything is.
    """
    state = outcome.state
    if isinstance(state, KeyboardInterrupt):
        return _report_interrupted(terminal, outcome, output)
    if outcome.table_written:
        return _report_table(terminal, outcome, output, briefly=briefly)
    if isinstance(state, ServerError):
        terminal.fail(as_error(str(state)))
        return ENGINE_FAILED
    if isinstance(state, BaseException):
        wrong = f"Prefect could not run the flow: {type(state).__name__}: {state}"
        terminal.fail(as_error(wrong))
        terminal.fail(
            "hint: `nst-batch doctor` says what is wrong; `--verbose` shows Prefect's own log"
        )
        return ENGINE_FAILED
    error = state.result(raise_on_failure=False)
    if isinstance(error, REFUSALS):
        return refuse(terminal, error)
    why = error if isinstance(error, OSError) else state.message
    terminal.fail(as_error(f"the batch stopped: {why}"))
    terminal.fail("hint: finished rows are kept; rerun the same command to resume")
    return ENGINE_FAILED


def _report_table(
    terminal: Terminal, outcome: Outcome, output: OutputFolder, *, briefly: bool
) -> int:
    """Print the table, and return the exit code of its rows, whatever the server knows of them."""
    table = whole = read_summary(output)
    _show_result(terminal, table, outcome, output)
    if is_of_previews(output):
        table = table.asked_for
    if not briefly:
        show_rows(terminal, table)
    show_counts(terminal, table)
    if left := len(whole.rows) - len(table.rows):
        terminal.say(f"{counted(left, 'more row')} without a preview here; --all shows every row")
    if not briefly:
        _show_places(terminal, outcome, output)
    show_warnings(terminal, table)
    show_wrong(terminal, table)
    show_best_so_far(terminal, table, output)
    show_left(terminal, table)
    if not outcome.is_known_to_prefect:
        terminal.fail(
            "every row has ended and the table is complete, but Prefect was not notified "
            f"({_in_a_line(outcome.state)}): the Prefect UI may show this run as running or failed"
        )
    asked = table.asked_for
    if table.seconds_left is None and asked.with_status(*STOPPED):
        return INTERRUPTED
    if asked.with_status(*WRONG):
        return ROWS_FAILED
    return SUCCESS if table.seconds_left is None else OUT_OF_TIME


def _show_result(terminal: Terminal, table: Table, outcome: Outcome, output: OutputFolder) -> None:
    has_gallery = bool(outcome.gallery)
    show_result(terminal, table, output, has_gallery=has_gallery, replaced=outcome.replaced)


def _show_places(terminal: Terminal, outcome: Outcome, output: OutputFolder) -> None:
    if outcome.gallery:
        terminal.say(f"gallery:  {output.gallery}")
    terminal.say(f"pictures: {output.root / 'pictures'}")
    terminal.say(f"table:    {output.summary()}")
    terminal.say(f"log:      {output.run_log}")


def _report_interrupted(terminal: Terminal, outcome: Outcome, output: OutputFolder) -> int:
    """Print how far the batch came, what is saved, and how to resume."""
    if outcome.table_written:
        table = read_summary(output)
        _show_result(terminal, table, outcome, output)
        show_counts(terminal, table)
        show_warnings(terminal, table)
        show_wrong(terminal, table)
        show_best_so_far(terminal, table, output)
        if outcome.gallery:
            terminal.say(f"gallery:  {output.gallery}")
        terminal.say(f"log:      {output.run_log}")
    terminal.fail("interrupted; finished rows are kept; rerun the same command to resume")
    return INTERRUPTED


def _in_a_line(state: Any) -> str:
    if isinstance(state, BaseException):
        return f"{type(state).__name__}: {state}"
    return f"{state.name}: {state.message}"
