"""The outcome of a batch, as `run` and `watch` print it, and its exit code."""

from typing import Any, NamedTuple

from flows.cli.exit_codes import ENGINE_FAILED, INTERRUPTED, OUT_OF_TIME, ROWS_FAILED, SUCCESS
from flows.cli.results import (
    show_best_so_far,
    show_counts,
    show_left,
    show_result,
    show_rows,
    show_warnings,
    show_wrong,
)
from flows.cli.terminal import Terminal, as_error, refuse
from flows.process.embedded_server import EmbeddedServer, ServerError
from nst_core.devices import DeviceError
from nst_core.networks.weight_files import WeightsError
from nst_core.storage.locks import LockError
from nst_core.transfer.allowed import counted
from tasks.engine.runner_choice import RunnerError
from tasks.intake.manifest import ManifestError
from tasks.report.saved_table import read_summary
from tasks.report.selection import OnlyError
from tasks.report.table_row import Table
from tasks.store.output_folder import InUseError, OutputFolder
from tasks.store.preview_folder import PreviewFolderError, is_of_previews
from tasks.store.statuses import STOPPED, WRONG

REFUSALS = (
    *(ManifestError, OnlyError, InUseError, LockError, DeviceError, RunnerError, WeightsError),
    PreviewFolderError,
)
"""Errors of the flow that mean that nothing ran."""


class EndedEarly(NamedTuple):
    """An error that ended a batch outside of the flow; most of them mean that nothing ran."""

    error: Exception


class Outcome(NamedTuple):
    """The outcome of the flow.

    Attributes:
        state: the flow's final state; None if no row was to run, so that there was no flow; an
            `EndedEarly` if an error ended the batch outside of the flow; an exception if Prefect
            returns no state, a `KeyboardInterrupt` if the batch was stopped.
        table_written: whether the table says how every row ended.
        gallery: where the page that shows it is; empty if there is none.
        server: the embedded server, if there is one.
        is_over: whether the flow ended; a stop does not wait for a server that is gone.
        replaced: how many rows replaced a picture that was made with other settings or pictures.
        cost: of previews, what the whole batch would take, for people; else empty.
    """

    state: Any
    table_written: bool
    gallery: str
    server: EmbeddedServer | None = None
    is_over: bool = True
    replaced: int = 0
    cost: str = ""

    @property
    def is_known_to_prefect(self) -> bool:
        """Whether the final state is the flow's own, and has reached the server.

        True also if there was no flow, so that there is nothing to know.
        """
        if self.state is None:
            return True
        if isinstance(self.state, BaseException | EndedEarly):
            return False
        return self.state.is_completed() or self.state.name in ("SomeRowsFailed", "AllRowsFailed")


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
    error, message = _wrong_with(state)
    if isinstance(error, REFUSALS):
        return refuse(terminal, error)
    why = error if isinstance(error, OSError) else message
    terminal.fail(as_error(f"the batch stopped: {why}"))
    terminal.fail("hint: finished rows are kept; rerun the same command to resume")
    return ENGINE_FAILED


def _report_table(
    terminal: Terminal, outcome: Outcome, output: OutputFolder, *, briefly: bool
) -> int:
    """Print the table, and return the exit code of its rows, whatever the server knows of them."""
    whole = read_summary(output)
    _show_result(terminal, whole, outcome, output)
    table = _counted(whole, output)
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


def _counted(table: Table, output: OutputFolder) -> Table:
    """Return the rows that people hear of: of a preview, those of which there is to be one."""
    return table.asked_for if is_of_previews(output) else table


def _show_result(terminal: Terminal, table: Table, outcome: Outcome, output: OutputFolder) -> None:
    has_gallery = bool(outcome.gallery)
    show_result(terminal, table, output, has_gallery=has_gallery, replaced=outcome.replaced)


def _show_places(terminal: Terminal, outcome: Outcome, output: OutputFolder) -> None:
    if outcome.cost:
        terminal.say(outcome.cost)
    if outcome.gallery:
        terminal.say(f"gallery:  {output.gallery}")
    terminal.say(f"pictures: {output.root / 'pictures'}")
    terminal.say(f"table:    {output.summary()}")
    terminal.say(f"log:      {output.run_log}")


def _report_interrupted(terminal: Terminal, outcome: Outcome, output: OutputFolder) -> int:
    """Print how far the batch came, what is saved, and how to resume."""
    if outcome.table_written:
        whole = read_summary(output)
        _show_result(terminal, whole, outcome, output)
        table = _counted(whole, output)
        show_counts(terminal, table)
        show_warnings(terminal, table)
        show_wrong(terminal, table)
        show_best_so_far(terminal, table, output)
        if outcome.gallery:
            terminal.say(f"gallery:  {output.gallery}")
        terminal.say(f"log:      {output.run_log}")
    terminal.fail("interrupted; finished rows are kept; rerun the same command to resume")
    return INTERRUPTED


def _wrong_with(state: Any) -> tuple[Any, str]:
    """Return the error that ended a batch, and what is said about it."""
    if isinstance(state, EndedEarly):
        return state.error, _in_a_line(state.error)
    return state.result(raise_on_failure=False), state.message


def _in_a_line(state: Any) -> str:
    if isinstance(state, EndedEarly):
        state = state.error
    if isinstance(state, BaseException):
        return f"{type(state).__name__}: {state}"
    return f"{state.name}: {state.message}"
