"""`nst-batch run`: the flow in this process, its progress, and what came of it."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple, NoReturn

import pandas as pd
from pydantic import BaseModel

from flows.exit_codes import ENGINE_FAILED, INTERRUPTED, ROWS_FAILED, SUCCESS
from flows.libraries_log import libraries_log
from flows.terminal import Terminal, duration, listening, refuse
from nst_core.devices import DeviceError, written_plainly
from nst_core.files import user_cache
from nst_core.networks.weight_files import WeightsError
from nst_core.places import Place, PlaceError, checked_for_keeping
from tasks.layout import libraries_log_path, make_folders, summary_path
from tasks.locks import InUseError
from tasks.manifest import ManifestError, check_manifest_place, read_manifest
from tasks.runner_choice import RunnerError, check_runner
from tasks.summary import count_by_status, read_summary

SHOWN_ROWS = 40
WRONG = ("failed", "invalid")


class Outcome(NamedTuple):
    """What came of the flow.

    Attributes:
        state: the flow's final state; an exception where Prefect has none to give.
        table_written: whether every row has ended and the table says how.
    """

    state: Any
    table_written: bool

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
        read_manifest(manifest, settings)
        options["devices"] = written_plainly(options["devices"])
        check_runner(options["runner"], options["address"], options["devices"])
        make_folders(output.absolute(), (options["cache"] or user_cache()).absolute())
    except (ManifestError, DeviceError, PlaceError, RunnerError) as error:
        return refuse(terminal, error)
    except OSError as error:
        wrong = f"{error.filename}: cannot be written: {error.strerror}; choose another folder"
        return refuse(terminal, ManifestError(wrong))
    try:
        outcome = _run_flow(terminal, manifest, output, settings, options, verbose=verbose)
    except KeyboardInterrupt:
        terminal.fail("interrupted; finished rows are kept: the same command goes on from here")
        return INTERRUPTED
    code = tell_outcome(terminal, outcome, output)
    if outcome.table_written and isinstance(outcome.state, Exception):
        _end_at_once(code)
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
    from prefect.settings import get_current_settings

    from flows.stylize_manifest import stylize_manifest

    if get_current_settings().api.url is None:
        terminal.say("starting Prefect in this process (the first start takes longer) ...")
    quiet = nullcontext() if verbose else libraries_log(libraries_log_path(output))
    state: Any
    with listening(terminal) as listener, quiet, interrupted_by_signals(terminal):
        try:
            state = stylize_manifest(
                str(manifest), str(output), settings, return_state=True, **options
            )
        except Exception as error:  # noqa: BLE001 - the engine raises nearly anything
            state = error
    return Outcome(state, listener.table_written)


@contextmanager
def interrupted_by_signals(terminal: Terminal) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the batch; the row that runs stops at its next report."""

    def interrupt(*_: object) -> None:
        terminal.fail("stopping; the row that runs now is given up ...")
        raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def tell_outcome(terminal: Terminal, outcome: Outcome, output: Place) -> int:
    """Say what came of a batch; its exit code."""
    if outcome.table_written:
        return _tell_table(terminal, outcome, output)
    state = outcome.state
    if isinstance(state, Exception):
        terminal.fail(f"Prefect could not run the flow: {type(state).__name__}: {state}")
        terminal.fail("`nst-batch doctor` says what is wrong; `--verbose` shows Prefect's own log")
        return ENGINE_FAILED
    error = state.result(raise_on_failure=False)
    if isinstance(error, ManifestError | InUseError | DeviceError | RunnerError | WeightsError):
        return refuse(terminal, error)
    terminal.fail(f"the batch broke off: {state.message}")
    terminal.fail("finished rows are kept: the same command goes on from here")
    return ENGINE_FAILED


def _tell_table(terminal: Terminal, outcome: Outcome, output: Place) -> int:
    """Show it; the exit code is that of the rows, whatever the server knows of them."""
    table = read_summary(output)
    _show(terminal, table, output)
    if not outcome.is_known_to_prefect:
        terminal.fail(
            "every row has ended and the table is whole, but Prefect's server could not be told "
            f"({_in_a_line(outcome.state)}): its page may show this run as running or failed"
        )
    return ROWS_FAILED if table["status"].isin(WRONG).any() else SUCCESS


def _in_a_line(state: Any) -> str:
    if isinstance(state, BaseException):
        return f"{type(state).__name__}: {state}"
    return f"{state.name}: {state.message}"


def _end_at_once(code: int) -> NoReturn:
    """Without Prefect's end, which would try for seconds to deliver each event to a lost server."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _show(terminal: Terminal, table: pd.DataFrame, output: Place) -> None:
    wrong = table["status"].isin(WRONG)
    # What went wrong is looked at first, and is never cut.
    shown = pd.concat([table[wrong], table[~wrong].head(SHOWN_ROWS)])
    terminal.table([_shown_row(row) for _, row in shown.iterrows()])
    if len(shown) < len(table):
        terminal.say(f"... and {len(table) - len(shown)} more rows in the table")
    for _, row in table[wrong].iterrows():
        where = "" if row["status"] == "invalid" else f"line {row['line']}, "
        terminal.say(f"{row['status']}: {where}{row['error']}")
    counts = count_by_status(table)
    seconds = table.loc[table["status"] == "done", "seconds"].sum()
    terminal.say(", ".join(f"{count} {status}" for status, count in counts.items()))
    if seconds:
        terminal.say(f"stylized for {duration(seconds)}")
    terminal.say(f"pictures: {output / 'pictures'}")
    terminal.say(f"table:    {summary_path(output)}")
    terminal.result(
        {
            "counts": counts,
            "summary": str(summary_path(output)),
            "rows": json.loads(table.to_json(orient="records")),
        }
    )


def _shown_row(row: "pd.Series[Any]") -> dict[str, Any]:
    def number(name: str, digits: str) -> str:
        return "" if pd.isna(row[name]) else format(row[name], digits)

    return {
        "line": row["line"],
        "status": row["status"],
        "picture": f"{row['content']} x {row['style']}"
        if pd.isna(row["picture"])
        else row["picture"],
        "total loss": number("total_loss", ".4g"),
        "content": number("content_loss", ".4g"),
        "style": number("style_loss", ".4g"),
        "steps": number("steps", "d"),
        "seconds": number("seconds", ".1f"),
    }
