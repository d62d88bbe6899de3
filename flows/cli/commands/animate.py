"""`nst-batch animate`: a row's progress as an animation, or the film of a sequence."""

from collections.abc import Callable

from flows.cli.exit_codes import SUCCESS
from flows.cli.terminal import Terminal, refuse
from nst_core.errors import UserError
from nst_core.images.animation import AnimationFormat
from nst_core.storage.places import Place, redacted
from tasks.report.animation import animate_row, write_film
from tasks.report.finding import NoResultsError, find_frames, find_row, table_of
from tasks.store.output_folder import OutputFolder


def animate(
    terminal: Terminal,
    output: OutputFolder,
    named: str,
    kind: AnimationFormat,
    *,
    size: int,
    seconds: float,
) -> int:
    """Write the animation of one row."""

    def write() -> Place:
        row = find_row(table_of(output), output, named)
        return animate_row(row, output, kind, size=size, seconds=seconds)

    return _written(terminal, write)


def film(
    terminal: Terminal,
    output: OutputFolder,
    sequence: str,
    kind: AnimationFormat,
    *,
    size: int,
    fps: float,
) -> int:
    """Write the film of one sequence."""

    def write() -> Place:
        frames = find_frames(table_of(output), output, sequence)
        return write_film(frames, output, kind, size=size, fps=fps)

    return _written(terminal, write)


def _written(terminal: Terminal, write: Callable[[], Place]) -> int:
    """Write a file and print its place, or why it cannot be written."""
    try:
        path = write()
    except UserError as error:
        return refuse(terminal, error)
    except OSError as error:
        wrong = f"{error.filename}: cannot be read or written: {error.strerror}"
        return refuse(terminal, NoResultsError(wrong))
    terminal.say(redacted(path))
    terminal.result({"animation": str(path)})
    return SUCCESS
