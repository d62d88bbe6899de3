"""The commands that work on the results of runs: `plot`, `animate` and `show`."""

from typing import Annotated, Literal

from cyclopts import Parameter

from flows.cli.options import (
    FOLDER,
    FileOption,
    Flag,
    FolderOption,
    Fps,
    Json,
    Seconds,
    Side,
    TextOption,
    to_places,
)
from flows.cli.terminal import Terminal, refuse
from nst_core.errors import UserError
from nst_core.storage.places import Place


def plot(output: FolderOption, row: str | None = None, /, *, json: Json = False) -> int:
    """Plot the loss curve of a row, or the total losses of all rows, as PNG and as SVG.

    Args:
        output: the output folder of a run
        row: a line number in the manifest, or the name of an output, such as `anna_night`; all rows
            if omitted
    """
    from flows.cli.commands.plot import plot as plot_losses
    from tasks.store.output_folder import OutputFolder

    return plot_losses(Terminal(as_json=json), OutputFolder(output), row)


def animate(
    output: FolderOption,
    row: str | None = None,
    /,
    *,
    sequence: Annotated[
        TextOption | None, Parameter(help="make a film of the frames of this sequence instead")
    ] = None,
    fps: Fps = 25.0,
    format: Annotated[  # noqa: A002 - as users call it
        Literal["webp", "gif", "apng"],
        Parameter(help="webp keeps all colors; gif plays everywhere; apng loses nothing"),
    ] = "webp",
    size: Side = 512,
    seconds: Seconds = 4.0,
    json: Json = False,
) -> int:
    """Write an animation of a row's progress, if the row was run with `--save-every`, or a film.

    A film shows the results of the frames of a sequence.

    Args:
        output: the output folder of a run
        row: a line number in the manifest, or the name of an output, such as `anna_night`
    """
    from flows.cli.commands.animate import animate as write_animation
    from flows.cli.commands.animate import film
    from tasks.store.output_folder import OutputFolder

    terminal, folder = Terminal(as_json=json), OutputFolder(output)
    if (row is None) == (sequence is None):
        wrong = "animate: expected a row or --sequence, and not both; add one, or remove one"
        return refuse(terminal, UserError(wrong))
    if sequence is not None:
        return film(terminal, folder, sequence, format, size=size, fps=fps)
    return write_animation(terminal, folder, row or "", format, size=size, seconds=seconds)


def show(
    picture: FileOption,
    /,
    *more: FileOption,
    look_in: Annotated[
        tuple[Place, ...],
        Parameter(
            converter=to_places,
            metavar=FOLDER,
            negative="",
            show_default=False,
            help="folder to search for contents and styles, which are recognized by their pixels; "
            "may be repeated",
        ),
    ] = (),
    everything: Annotated[
        bool,
        Flag,
        Parameter(
            name="--all", help="show all settings and figures, and not only what is not as usual"
        ),
    ] = False,
    json: Json = False,
) -> int:
    """Show how pictures were made, and print a manifest that reproduces them.

    In a pipe, only the manifest is printed: `nst-batch show results/pictures/*.png > again.csv`.

    Exit code 0: all contents and styles were found. 1: some were not. 2: a picture is not the
    result of a run.

    Args:
        picture: the result of a run
        more: more results; the manifest gets a row for each
    """
    from flows.cli.commands.show import show as show_provenance

    terminal = Terminal(as_json=json)
    return show_provenance(terminal, (picture, *more), look_in, everything=everything)
