"""The commands that work on a batch: `run`, `watch`, `serve`, `check` and `plan`.

What they do is imported when they run, so that help and `check` load neither Prefect nor
TensorFlow.
"""

from typing import Annotated

from cyclopts import Parameter, validators

from flows.cli.layout_options import Asked, asking_for_rows
from flows.cli.main import end_on_signal
from flows.cli.options import (
    NUMBER,
    ROW_OPTIONS,
    WHEN,
    DryRun,
    OutputJson,
    Quiet,
    ShowRows,
    TextOption,
    Verbose,
    asking,
)
from flows.cli.terminal import Terminal
from flows.process import environment
from flows.process.signals import answer_signals
from tasks.request import BatchRequest, CheckRequest


@asking_for_rows(BatchRequest)
def run(
    asked: Asked,
    *,
    dry_run: DryRun = False,
    json: OutputJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Stylize photographs, or the rows of a manifest, that are not done yet.

    With `--style`, every photograph is made in every style. The list of these pictures is kept in
    the output folder as `manifest.csv`. Run the same command again after adding photographs or
    styles: only what is new is made.

    Exit code 0: every row that is asked for has its picture. 1: some of them failed or are
    invalid; the others are done. 2: the manifest, an option or a folder cannot be used; nothing
    ran. 3: the batch ended early. 4: the time was up before all rows were done. 130: the batch was
    interrupted. After 3, 4 and 130, rerun the same command to resume.
    """
    if dry_run:
        return _show_plan(asked, Terminal(as_json=json, typed=asked.typed))
    # Nothing can be lost before the flow runs.
    answer_signals(end_on_signal)
    environment.prepare(verbose=verbose)
    from flows.cli.commands.run import run as run_batch

    terminal = Terminal(as_json=json, is_quiet=quiet, typed=asked.typed)
    return run_batch(terminal, asked, verbose=verbose)


@asking_for_rows(BatchRequest, without=["refresh", "only", "limit", "strict"], with_style=True)
def watch(
    asked: Asked,
    *,
    every: Annotated[
        float,
        Parameter(
            group=WHEN,
            help="seconds between two looks at the photographs",
            metavar=NUMBER,
            validator=validators.Number(gte=0.1, lte=86_400),
            show_default="{:g}".format,
        ),
    ] = 10.0,
    verbose: Verbose = False,
) -> int:
    """Stylize photographs as they arrive, for as long as this process lives.

    A photograph is taken once it is whole: its size and its time are the same at two looks. Rows,
    names and the manifest in the output folder are those of `nst-batch run`, and so are options.

    Exit code, when the watch is stopped while nothing runs: 0 if all rows have their pictures, and
    1 if some do not. 130: it was stopped while rows ran. 2, 3 and 4: as for `run`. To continue, run
    the same command again.
    """
    answer_signals(end_on_signal)
    environment.prepare(verbose=verbose)
    from flows.cli.commands.watch import watch as watch_photographs

    return watch_photographs(Terminal(typed=asked.typed), asked, every=every, verbose=verbose)


@asking(BatchRequest, without=["refresh"])
def serve(
    request: BatchRequest,
    *,
    cron: Annotated[
        TextOption,
        Parameter(
            group=WHEN, help="schedule as a cron expression; each run reads the manifest again"
        ),
    ] = "0 1 * * *",
    timezone: Annotated[
        TextOption, Parameter(group=WHEN, help="time zone of the schedule")
    ] = "UTC",
    name: Annotated[TextOption, Parameter(group=WHEN, help="name of the deployment")] = "served",
) -> int:
    """Run a manifest every night for as long as this process lives; a server keeps the schedule.

    The command needs a Prefect server (start one with `prefect server start`, and set
    `PREFECT_API_URL`), but no work pool and no worker.

    Exit code 0: the command was stopped (Ctrl-C, SIGTERM, SIGHUP). 2: the schedule or an option is
    wrong.
    """
    environment.prepare(verbose=True)
    from flows.cli.commands.serve import serve as serve_manifest

    return serve_manifest(Terminal(), request, name=name, cron=cron, timezone=timezone)


@asking_for_rows(CheckRequest, ROW_OPTIONS)
def check(asked: Asked, *, json: OutputJson = False) -> int:
    """List every error in every row of a manifest, or of photographs; nothing is run or written.

    Exit code 0: no errors. 1: some rows have errors, or results cannot be written to the output
    folder. 2: the manifest or an option cannot be used at all.
    """
    from flows.cli.commands.check import check as check_manifest

    return check_manifest(Terminal(as_json=json, typed=asked.typed), asked)


@asking_for_rows(BatchRequest, [*ROW_OPTIONS, "only", "limit", "devices"])
def plan(asked: Asked, *, rows: ShowRows = False, json: OutputJson = False) -> int:
    """Show what a run would do: rows, styles to compute, time, memory and disk."""
    return _show_plan(asked, Terminal(as_json=json, typed=asked.typed), with_rows=rows)


def _show_plan(asked: Asked, terminal: Terminal, *, with_rows: bool = False) -> int:
    from flows.cli.commands.plan import plan as plan_manifest

    return plan_manifest(terminal, asked, with_rows=with_rows)
