"""`nst-batch run`: run the flow in this process, show its progress, and report its outcome."""

import os
import sys
import time
import traceback
from contextlib import nullcontext
from functools import partial
from importlib import import_module
from typing import Any

from flows.batch import PrefectError, open_batch
from flows.cli.laid_out import keep_laid_out, laid_out_for
from flows.cli.layout_options import Asked
from flows.cli.outcome import EndedEarly, Outcome, report_outcome
from flows.cli.preconditions import check_ready
from flows.cli.progress import live_progress
from flows.cli.supervision import end_at_once, end_within, run_supervised
from flows.cli.terminal import Terminal, refuse
from flows.process.embedded_server import EmbeddedServer, ServerError, start_embedded_server
from flows.process.imports import many_imports
from flows.process.libraries_log import libraries_log
from flows.process.prefect_settings import may_be_named, named_server
from flows.process.proxies import fix_proxies
from nst_core.errors import UserError
from nst_core.storage.places import redacted
from nst_core.storage.write_errors import writing_to
from tasks.durations import moment_of
from tasks.engine.runner_choice import LOCAL
from tasks.events import StageEntered, emit
from tasks.request import BatchRequest, CompleteRequest
from tasks.request_checks import check_request, limits_of, until_fixed
from tasks.stopping import raise_if_asked_to_stop
from tasks.store.preview_folder import check_apart
from tasks.work.weights import download

IMPATIENT_SECONDS = 8.0
"""The time for Prefect's shutdown after a stop, or if the server is this run's own."""

PATIENT_SECONDS = 120.0
"""The time for Prefect's shutdown if a user's server still receives events of thousands of rows."""


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
    request, layout, _ = asked
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
    """Run a batch, with a server of its own unless the user has named one; show its progress.

    Args:
        terminal: where to show it.
        request: what is asked for.
        verbose: see `run`.
        signals: see `run_supervised`.
    """
    servers: list[EmbeddedServer] = []

    def batch() -> Any:
        if "prefect" not in sys.modules and may_be_named():
            emit(StageEntered("loading Prefect"))
        url = named_server()
        for wrong in fix_proxies(url):
            terminal.fail(f"warning: {wrong}")
        if url is None:
            return _run_alone(request, servers)
        with many_imports():
            from flows.stylize_manifest import stylize_manifest
        emit(StageEntered("reading the manifest"))

        return stylize_manifest(**request.parameters(), return_state=True)

    quiet = nullcontext() if verbose else libraries_log(request.output_folder.libraries_log)
    with live_progress(terminal) as progress, quiet:
        work = run_supervised(batch, progress, terminal, signals)
    return Outcome(
        work.result,
        progress.table_written,
        progress.gallery,
        server=servers[0] if servers else None,
        is_over=work.is_over,
        replaced=progress.replaced,
        cost=progress.cost,
    )


def _run_alone(request: BatchRequest, servers: list[EmbeddedServer]) -> Any:
    """Run a batch whose flow nobody could see: there is one, with a server, only if a row runs.

    Args:
        request: what is asked for.
        servers: receives the server.

    Returns:
        The state of an `Outcome`.
    """
    try:
        limits = limits_of(request, time.time(), late=True)
        emit(StageEntered("reading the manifest"))
        with open_batch(request.completed(), download) as opened:
            if not opened.find_finished():
                opened.begin()
                opened.report()
                return None
            emit(StageEntered("starting Prefect's server (slower the first time)"))
            servers.append(start_embedded_server(partial(_import_for_rows, opened.asked)))
            raise_if_asked_to_stop()
            from flows.stylize_manifest import run_opened

            return run_opened(opened, limits)
    except PrefectError as failed:
        return failed.__cause__
    except ServerError as error:
        return error
    except Exception as error:  # noqa: BLE001 - reported as an error of the flow would be
        # Descriptor 2 leads to the libraries' log, or to the terminal if the user wants that.
        if not isinstance(error, UserError):
            os.write(2, "".join(traceback.format_exception(error)).encode())
        return EndedEarly(error)


def _import_for_rows(batch: CompleteRequest) -> None:
    """Import, while the server starts, what takes seconds and is needed once rows run."""
    with many_imports():
        import_module("flows.stylize_manifest")
        raise_if_asked_to_stop()
        if batch.runner == LOCAL and not batch.isolate:
            import_module("nst_core.quiet_tensorflow")


def end(code: int, outcome: Outcome) -> None:
    """Make the process end soon, whatever Prefect still has to send to a server."""
    sys.stdout.flush()
    if not outcome.is_over or (outcome.table_written and isinstance(outcome.state, Exception)):
        if outcome.server:
            outcome.server.end()
        end_at_once(code)
    is_impatient = outcome.server or isinstance(outcome.state, KeyboardInterrupt)
    end_within(IMPATIENT_SECONDS if is_impatient else PATIENT_SECONDS, code)
