"""`nst-batch run`: run the flow in this process, show its progress, and report its outcome."""

import json
import sys
from contextlib import nullcontext
from importlib import import_module
from typing import Any, NamedTuple

import pandas as pd
from pydantic import BaseModel

from flows.cli.display import NARROW
from flows.cli.exit_codes import ENGINE_FAILED, INTERRUPTED, ROWS_FAILED, SUCCESS
from flows.cli.preconditions import check_ready
from flows.cli.progress import live_progress
from flows.cli.supervision import attend, end_at_once, end_within
from flows.cli.terminal import Terminal, duration, refuse
from flows.process.embedded_server import EmbeddedServer, ServerError, start_embedded_server
from flows.process.libraries_log import libraries_log
from flows.process.proxies import settle_proxies
from nst_core.devices import DeviceError, written_plainly
from nst_core.errors import UserError
from nst_core.networks.weight_files import WeightsError
from nst_core.storage.files import user_cache
from nst_core.storage.locks import LockError
from nst_core.storage.places import Place, reject_signed_address
from nst_core.storage.write_errors import writing_to
from tasks.engine.runner_choice import RunnerError, check_runner
from tasks.intake.manifest import (
    ManifestError,
    check_manifest_kind,
    check_manifest_place,
    read_manifest,
)
from tasks.report.table import count_by_status, read_summary, with_warnings
from tasks.store.layout import gallery_path, libraries_log_path, make_folders, summary_path
from tasks.store.locks import InUseError
from tasks.store.statuses import STOPPED, WRONG

REFUSALS = (ManifestError, InUseError, LockError, DeviceError, RunnerError, WeightsError)
"""Errors of the flow that mean that nothing ran."""

SHOWN_ROWS = 40
SHOWN_KEPT = 8

IMPATIENT_SECONDS = 8.0
"""For Prefect's shutdown after a stop, or if only this run's own server hears of the run."""

PATIENT_SECONDS = 120.0
"""For Prefect's shutdown while the user's server still receives what thousands of rows did."""


class Outcome(NamedTuple):
    """The outcome of the flow.

    Attributes:
        state: the flow's final state; an exception if Prefect returns none, a
            `KeyboardInterrupt` if the flow was stopped.
        table_written: whether the table says how every row ended.
        gallery: where the page that shows it is; empty if there is none.
        server: the embedded server, if there is one.
        is_over: whether the flow ended; a stop does not wait for a server that is gone.
    """

    state: Any
    table_written: bool
    gallery: str
    server: EmbeddedServer | None = None
    is_over: bool = True

    @property
    def is_known_to_prefect(self) -> bool:
        """Whether the final state is the flow's own, and has reached the server."""
        if isinstance(self.state, BaseException):
            return False
        return self.state.is_completed() or self.state.name in ("SomeRowsFailed", "AllRowsFailed")


def run(
    terminal: Terminal,
    manifest: Place,
    output: Place,
    settings: BaseModel,
    *,
    verbose: bool,
    **options: Any,
) -> int:
    """Run the flow; `options` are its other parameters.

    Args:
        verbose: let Prefect and TensorFlow write to the terminal instead of a file.

    Returns:
        An exit code: `SUCCESS` only if every row has its picture.
    """
    try:
        # Unusable input is reported before a server is started for it.
        reject_signed_address(manifest)
        check_manifest_place(manifest, output)
        check_manifest_kind(manifest)
        read_manifest(manifest, settings)
        options["devices"] = written_plainly(options["devices"])
        check_runner(options["runner"], options["address"], options["devices"])
        places = {
            "the output folder": output.absolute(),
            "the cache": (options["cache"] or user_cache()).absolute(),
        }
        check_ready(places["the cache"], places["the output folder"], options["devices"])
        with writing_to(places):
            make_folders(*places.values())
    except UserError as error:
        return refuse(terminal, error)
    except OSError as error:
        return refuse(terminal, error)
    outcome = _run_flow(terminal, manifest, output, settings, options, verbose=verbose)
    code = tell_outcome(terminal, outcome, output)
    _end(code, outcome)
    return code


def _run_flow(
    terminal: Terminal,
    manifest: Place,
    output: Place,
    settings: BaseModel,
    options: dict[str, Any],
    *,
    verbose: bool,
) -> Outcome:
    servers: list[EmbeddedServer] = []

    def flow() -> Any:
        servers.extend(_server_of_its_own(terminal))
        from flows.stylize_manifest import stylize_manifest

        return stylize_manifest(str(manifest), str(output), settings, return_state=True, **options)

    quiet = nullcontext() if verbose else libraries_log(libraries_log_path(output))
    with live_progress(terminal) as progress, quiet:
        came = attend(flow, progress, terminal)
    return Outcome(
        came.result,
        progress.table_written,
        progress.gallery,
        server=servers[0] if servers else None,
        is_over=came.is_over,
    )


def _server_of_its_own(terminal: Terminal) -> list[EmbeddedServer]:
    """Start a server for this run, unless the user has named one."""
    from prefect.settings import get_current_settings

    url = get_current_settings().api.url
    for wrong in settle_proxies(url):
        terminal.fail(f"warning: {wrong}")
    if url is not None:
        return []
    terminal.say("starting Prefect in this process (the first start takes longer) ...")
    # The modules that take seconds to import are imported while the server starts.
    return [start_embedded_server(lambda: import_module("flows.stylize_manifest"))]


def _end(code: int, outcome: Outcome) -> None:
    """Make the process end soon, whatever Prefect still has to send to a server."""
    sys.stdout.flush()
    if not outcome.is_over or (outcome.table_written and isinstance(outcome.state, Exception)):
        if outcome.server:
            outcome.server.end()
        end_at_once(code)
    is_impatient = outcome.server or isinstance(outcome.state, KeyboardInterrupt)
    end_within(IMPATIENT_SECONDS if is_impatient else PATIENT_SECONDS, code)


def tell_outcome(terminal: Terminal, outcome: Outcome, output: Place) -> int:
    """Print the outcome of a batch, and return its exit code."""
    state = outcome.state
    if isinstance(state, KeyboardInterrupt):
        return _tell_interrupted(terminal, outcome, output)
    if outcome.table_written:
        return _tell_table(terminal, outcome, output)
    if isinstance(state, ServerError):
        terminal.fail(str(state))
        return ENGINE_FAILED
    if isinstance(state, BaseException):
        terminal.fail(f"Prefect could not run the flow: {type(state).__name__}: {state}")
        terminal.fail("`nst-batch doctor` says what is wrong; `--verbose` shows Prefect's own log")
        return ENGINE_FAILED
    error = state.result(raise_on_failure=False)
    if isinstance(error, REFUSALS):
        return refuse(terminal, error)
    terminal.fail(f"the batch stopped: {error if isinstance(error, OSError) else state.message}")
    terminal.fail("finished rows are kept; rerun the same command to resume")
    return ENGINE_FAILED


def _tell_table(terminal: Terminal, outcome: Outcome, output: Place) -> int:
    """Print the table; the exit code is that of the rows, whatever the server knows of them."""
    table = read_summary(output)
    terminal.result(_result(table, outcome, output))
    _show_rows(terminal, table)
    _show_counts(terminal, table)
    if outcome.gallery:
        terminal.say(f"gallery:  {gallery_path(output)}")
    terminal.say(f"pictures: {output / 'pictures'}")
    terminal.say(f"table:    {summary_path(output)}")
    _show_warnings(terminal, table)
    _show_wrong(terminal, table)
    if not outcome.is_known_to_prefect:
        terminal.fail(
            "every row has ended and the table is complete, but this did not reach Prefect "
            f"({_in_a_line(outcome.state)}): its page may show this run as running or failed"
        )
    if table["status"].isin(STOPPED).any():
        return INTERRUPTED
    return ROWS_FAILED if table["status"].isin(WRONG).any() else SUCCESS


def _tell_interrupted(terminal: Terminal, outcome: Outcome, output: Place) -> int:
    """Print how far the batch came, what is saved, and how to resume."""
    if outcome.table_written:
        table = read_summary(output)
        terminal.result(_result(table, outcome, output))
        _show_counts(terminal, table)
        _show_warnings(terminal, table)
        _show_wrong(terminal, table)
        kept = table[(table["status"] == "interrupted") & table["picture"].notna()]["picture"]
        for picture in kept.head(SHOWN_KEPT):
            terminal.say(f"best so far: {output / picture}")
        if len(kept) > SHOWN_KEPT:
            terminal.say(f"... and {len(kept) - SHOWN_KEPT} more there")
    terminal.fail("interrupted; finished rows are kept; rerun the same command to resume")
    return INTERRUPTED


def _in_a_line(state: Any) -> str:
    if isinstance(state, BaseException):
        return f"{type(state).__name__}: {state}"
    return f"{state.name}: {state.message}"


def _result(table: pd.DataFrame, outcome: Outcome, output: Place) -> dict[str, Any]:
    """Return the result for machines."""
    return {
        "counts": count_by_status(table),
        "summary": str(summary_path(output)),
        "gallery": str(gallery_path(output)) if outcome.gallery else None,
        "rows": json.loads(table.to_json(orient="records", double_precision=15)),
    }


def _show_rows(terminal: Terminal, table: pd.DataFrame) -> None:
    wrong = table["status"].isin(WRONG)
    if terminal.is_rich:
        # On a terminal, the rows that went wrong have a table of their own.
        shown = table[~wrong].head(SHOWN_ROWS)
        count = len(table) - wrong.sum()
    else:
        # Rows that went wrong come first, and none of them is cut off.
        shown = pd.concat([table[wrong], table[~wrong].head(SHOWN_ROWS)])
        count = len(table)
    terminal.table([_shown_row(row, terminal) for _, row in shown.iterrows()])
    if len(shown) < count:
        terminal.say(f"... and {count - len(shown)} more rows in the table")


def _shown_row(row: "pd.Series[Any]", terminal: Terminal) -> dict[str, Any]:
    def number(name: str, digits: str) -> str:
        return "" if pd.isna(row[name]) else format(row[name], digits)

    shown = {
        "line": row["line"],
        "status": row["status"],
        # A terminal has no room for the parts that all paths have in common.
        "picture": row["output"] if terminal.is_rich else _path_or_pair(row),
        "loss": number("total_loss", ".4g"),
    }
    if terminal.is_rich and terminal.console.width < NARROW:
        return shown
    return shown | {
        "content": number("content_loss", ".4g"),
        "style": number("style_loss", ".4g"),
        "steps": number("steps", "d"),
        "seconds": number("seconds", ".1f"),
    }


def _path_or_pair(row: "pd.Series[Any]") -> str:
    return f"{row['content']} x {row['style']}" if pd.isna(row["picture"]) else row["picture"]


def _show_counts(terminal: Terminal, table: pd.DataFrame) -> None:
    counts = count_by_status(table)
    # Equal rows were stylized only once.
    stylized_here = (table["status"] == "done") & table["same_as"].isna()
    seconds = table.loc[stylized_here, "seconds"].sum()
    stylized = f"; stylized for {duration(seconds)}" if seconds else ""
    counted = ", ".join(f"{count} {status}" for status, count in counts.items())
    terminal.say(f"{counted}{stylized}")


def _show_warnings(terminal: Terminal, table: pd.DataFrame) -> None:
    """Print the warnings about rows that are done, one per line."""
    odd = with_warnings(table)
    for _, row in odd.head(SHOWN_ROWS).iterrows():
        terminal.say(f"warning: line {row['line']}, {row['output']}: {row['warnings']}")
    if len(odd) > SHOWN_ROWS:
        terminal.say(f"... and {len(odd) - SHOWN_ROWS} more warnings in the table")


def _show_wrong(terminal: Terminal, table: pd.DataFrame) -> None:
    """Print last what failed, and why: as a table, or in a pipe as one line per row."""
    wrong = [row for _, row in table[table["status"].isin(WRONG)].iterrows()]
    if not terminal.is_rich:
        for row in wrong:
            where = "" if row["status"] == "invalid" else f"line {row['line']}, "
            terminal.say(f"{row['status']}: {where}{row['error']}")
        return
    drawn = [
        {
            "line": row["line"],
            "status": row["status"],
            "why": row["error"].replace(f"line {row['line']}, ", ""),
        }
        for row in wrong
    ]
    terminal.table(drawn, title="not done, and why")
