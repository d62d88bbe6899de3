"""`nst-batch run`: the flow in this process, its progress, and what came of it."""

import json
import sys
from contextlib import nullcontext
from importlib import import_module
from typing import Any, NamedTuple

import pandas as pd
from pydantic import BaseModel

from flows.embedded_server import EmbeddedServer, ServerError, start_embedded_server
from flows.exit_codes import ENGINE_FAILED, INTERRUPTED, ROWS_FAILED, SUCCESS
from flows.libraries_log import libraries_log
from flows.preconditions import NotReadyError, check_ready
from flows.progress import NARROW, listening
from flows.proxies import settle_proxies
from flows.supervision import attend, end_at_once, end_within
from flows.terminal import Terminal, duration, refuse
from nst_core.devices import DeviceError, written_plainly
from nst_core.files import user_cache
from nst_core.locks import LockError
from nst_core.networks.weight_files import WeightsError
from nst_core.places import Place, PlaceError, checked_for_keeping
from nst_core.write_errors import writing_to
from tasks.layout import gallery_path, libraries_log_path, make_folders, summary_path
from tasks.locks import InUseError
from tasks.manifest import (
    ManifestError,
    check_manifest_kind,
    check_manifest_place,
    read_manifest,
)
from tasks.runner_choice import RunnerError, check_runner
from tasks.statuses import STOPPED, WRONG
from tasks.summary import count_by_status, read_summary, with_warnings

REFUSALS = (ManifestError, InUseError, LockError, DeviceError, RunnerError, WeightsError)
"""Errors of the flow for which nothing ran."""

SHOWN_ROWS = 40
SHOWN_KEPT = 8

IMPATIENT_SECONDS = 8.0
"""For Prefect's end after a stop, or where only the server of this run hears of it."""

PATIENT_SECONDS = 120.0
"""For Prefect's end, where the user's own server still takes what thousands of rows did."""


class Outcome(NamedTuple):
    """What came of the flow.

    Attributes:
        state: the flow's final state; an exception where Prefect has none to give, a
            `KeyboardInterrupt` where it was stopped.
        table_written: whether the table says how every row ended.
        gallery: where the page is that shows it; empty where there is none.
        server: the embedded server, where there is one.
        is_over: whether the flow ended; a stop does not wait for a server that is gone.
    """

    state: Any
    table_written: bool
    gallery: str
    server: EmbeddedServer | None = None
    is_over: bool = True

    @property
    def is_known_to_prefect(self) -> bool:
        """Whether the final state is the flow's own, and the server has it."""
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
        verbose: let Prefect and TensorFlow write to the terminal, not to a file.

    Returns:
        An exit code: `SUCCESS` only if every row has its picture.
    """
    try:
        # What cannot be used is told before a server is started for it.
        checked_for_keeping(manifest)
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
    except (ManifestError, DeviceError, PlaceError, RunnerError, NotReadyError) as error:
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
    with listening(terminal) as listener, quiet:
        came = attend(flow, listener, terminal)
    return Outcome(
        came.result,
        listener.table_written,
        listener.gallery,
        server=servers[0] if servers else None,
        is_over=came.is_over,
    )


def _server_of_its_own(terminal: Terminal) -> list[EmbeddedServer]:
    """A server for this run, where the user has named none."""
    from prefect.settings import get_current_settings

    url = get_current_settings().api.url
    for wrong in settle_proxies(url):
        terminal.fail(f"warning: {wrong}")
    if url is not None:
        return []
    terminal.say("starting Prefect in this process (the first start takes longer) ...")
    # What takes seconds to be imported is imported while the server starts.
    return [start_embedded_server(lambda: import_module("flows.stylize_manifest"))]


def _end(code: int, outcome: Outcome) -> None:
    """Let the process end soon, whatever Prefect still has to tell to a server."""
    sys.stdout.flush()
    if not outcome.is_over or (outcome.table_written and isinstance(outcome.state, Exception)):
        if outcome.server:
            outcome.server.end()
        end_at_once(code)
    is_impatient = outcome.server or isinstance(outcome.state, KeyboardInterrupt)
    end_within(IMPATIENT_SECONDS if is_impatient else PATIENT_SECONDS, code)


def tell_outcome(terminal: Terminal, outcome: Outcome, output: Place) -> int:
    """Say what came of a batch; its exit code."""
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
    terminal.fail(f"the batch broke off: {error if isinstance(error, OSError) else state.message}")
    terminal.fail("finished rows are kept: the same command goes on from here")
    return ENGINE_FAILED


def _tell_table(terminal: Terminal, outcome: Outcome, output: Place) -> int:
    """Show it; the exit code is that of the rows, whatever the server knows of them."""
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
            "every row has ended and the table is whole, but Prefect's server could not be told "
            f"({_in_a_line(outcome.state)}): its page may show this run as running or failed"
        )
    if table["status"].isin(STOPPED).any():
        return INTERRUPTED
    return ROWS_FAILED if table["status"].isin(WRONG).any() else SUCCESS


def _tell_interrupted(terminal: Terminal, outcome: Outcome, output: Place) -> int:
    """Say how far the batch came, what is kept, and how to go on."""
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
    terminal.fail("interrupted; finished rows are kept: the same command goes on from here")
    return INTERRUPTED


def _in_a_line(state: Any) -> str:
    if isinstance(state, BaseException):
        return f"{type(state).__name__}: {state}"
    return f"{state.name}: {state.message}"


def _result(table: pd.DataFrame, outcome: Outcome, output: Place) -> dict[str, Any]:
    """What there is for machines."""
    return {
        "counts": count_by_status(table),
        "summary": str(summary_path(output)),
        "gallery": str(gallery_path(output)) if outcome.gallery else None,
        "rows": json.loads(table.to_json(orient="records", double_precision=15)),
    }


def _show_rows(terminal: Terminal, table: pd.DataFrame) -> None:
    wrong = table["status"].isin(WRONG)
    if terminal.is_rich:
        # There the others have a table of their own.
        shown = table[~wrong].head(SHOWN_ROWS)
        count = len(table) - wrong.sum()
    else:
        # What went wrong is looked at first, and is never cut.
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
        # On a terminal there is no room for what all of them have in common.
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
    # Equal rows were stylized once.
    stylized_here = (table["status"] == "done") & table["same_as"].isna()
    seconds = table.loc[stylized_here, "seconds"].sum()
    stylized = f"; stylized for {duration(seconds)}" if seconds else ""
    told = ", ".join(f"{count} {status}" for status, count in counts.items())
    terminal.say(f"{told}{stylized}")


def _show_warnings(terminal: Terminal, table: pd.DataFrame) -> None:
    """What is odd about rows that are done, a line each."""
    odd = with_warnings(table)
    for _, row in odd.head(SHOWN_ROWS).iterrows():
        terminal.say(f"warning: line {row['line']}, {row['output']}: {row['warnings']}")
    if len(odd) > SHOWN_ROWS:
        terminal.say(f"... and {len(odd) - SHOWN_ROWS} more warnings in the table")


def _show_wrong(terminal: Terminal, table: pd.DataFrame) -> None:
    """What failed, and why, as the last that is seen: a table, or in a pipe a line each."""
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
