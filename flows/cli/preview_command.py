"""`nst-batch preview`: its options; the command itself is imported when it runs."""

from typing import Annotated

from cyclopts import Parameter, validators

from flows.cli.layout_options import Asked, asking_for_rows
from flows.cli.main import end_on_signal
from flows.cli.options import NUMBER, ROW_OPTIONS, WHAT, Flag, OutputJson, Quiet, Verbose
from flows.cli.terminal import Terminal
from flows.process import environment
from flows.process.signals import answer_signals
from tasks.option_types import PREVIEW_ROWS, SIDE_OF_ALL, SIDE_OF_FEW
from tasks.request import PreviewRequest

Every = Annotated[
    bool,
    Flag,
    Parameter(
        name="--all",
        group=WHAT,
        help=f"show every row, with {SIDE_OF_ALL} pixels on the longest side if --side is omitted",
    ),
]
Count = Annotated[
    int,
    Parameter(
        group=WHAT,
        help="how many rows to show; rows that differ in styles and settings are chosen",
        validator=validators.Number(gte=1),
        metavar=NUMBER,
    ),
]
LongestSide = Annotated[
    int | None,
    Parameter(
        group=WHAT,
        help=f"longest side of the previews, in pixels; if omitted, {SIDE_OF_FEW}, or "
        f"{SIDE_OF_ALL} with --all",
        validator=validators.Number(gte=16, lte=8192),
        metavar=NUMBER,
    ),
]


@asking_for_rows(PreviewRequest, [*ROW_OPTIONS, "only", "devices"])
def preview(
    asked: Asked,
    *,
    every: Every = False,
    count: Count = PREVIEW_ROWS,
    side: LongestSide = None,
    json: OutputJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Make small previews of a few rows, or of all, and a page that says what the batch would take.

    Previews go to a folder of their own, so that they are never mixed with results. Their settings
    are those of the rows, but for size, octaves and style_scale, which are scaled down. Style
    targets of previews are in the same cache as those of runs.

    Exit codes are those of `run`.
    """
    answer_signals(end_on_signal)
    environment.prepare(verbose=verbose)
    from flows.cli.commands.preview import default_output
    from flows.cli.commands.preview import preview as show_previews

    typed = asked.typed.also(str(default_output(asked)))
    terminal = Terminal(as_json=json, is_quiet=quiet, typed=typed)
    wanted = None if every else count
    return show_previews(terminal, asked, count=wanted, side=side, verbose=verbose)
