"""`nst-batch preview`: its options; the command itself is imported when it runs."""

from typing import Annotated

from cyclopts import App, Parameter, validators

from flows.cli.main import end_on_signal
from flows.cli.options import OUTPUT, ROW_OPTIONS, WHAT, Flag, OutputJson, asking
from flows.cli.terminal import Terminal
from flows.process import environment
from flows.process.signals import answer_signals
from tasks.option_types import PREVIEW_ROWS, SIDE_OF_ALL, SIDE_OF_FEW
from tasks.request import PreviewRequest

preview_app = App(name="preview")


@preview_app.default
@asking(PreviewRequest, [*ROW_OPTIONS, "only", "devices"])
def preview(
    request: PreviewRequest,
    *,
    every: Annotated[
        bool,
        Flag,
        Parameter(
            name="--all", group=WHAT, help=f"show every row, at {SIDE_OF_ALL} pixels unless --side"
        ),
    ] = False,
    rows: Annotated[
        int,
        Parameter(
            group=WHAT,
            help="how many rows to show; rows that differ in styles and settings are chosen",
            validator=validators.Number(gte=1),
        ),
    ] = PREVIEW_ROWS,
    side: Annotated[
        int | None,
        Parameter(
            group=WHAT,
            help=f"longest side of the previews, in pixels; if omitted, {SIDE_OF_FEW}, or "
            f"{SIDE_OF_ALL} with --all",
            validator=validators.Number(gte=16, lte=8192),
        ),
    ] = None,
    json: OutputJson = False,
    verbose: Annotated[
        bool, Flag, Parameter(group=OUTPUT, help="show the logs of Prefect and TensorFlow")
    ] = False,
) -> int:
    """Make small previews of a few rows, or of all, and a page that says what the batch would take.

    Previews go to a folder of their own, so that they are never mixed with results. Their settings
    are those of the manifest, but for size, octaves and style_scale, which are scaled down. Style
    targets of previews are in the same cache as those of runs.

    Exit codes are those of `run`.
    """
    answer_signals(end_on_signal)
    environment.prepare(verbose=verbose)
    from flows.cli.commands.preview import preview as preview_manifest

    terminal = Terminal(as_json=json)
    return preview_manifest(
        terminal, request, count=None if every else rows, side=side, verbose=verbose
    )
