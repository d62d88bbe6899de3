"""`nst-batch animate`: a row's progress as an animation."""

from flows.cli.exit_codes import SUCCESS
from flows.cli.terminal import Terminal, refuse
from nst_core.errors import UserError
from nst_core.images.animation import AnimationFormat
from nst_core.storage.places import redacted
from tasks.report.animation import animate_row
from tasks.report.finding import NoResultsError, find_row, table_of
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
    try:
        row = find_row(table_of(output), output, named)
        path = animate_row(row, output, kind, size=size, seconds=seconds)
    except UserError as error:
        return refuse(terminal, error)
    except OSError as error:
        wrong = f"{error.filename}: cannot be read or written: {error.strerror}"
        return refuse(terminal, NoResultsError(wrong))
    terminal.say(redacted(path))
    terminal.result({"animation": str(path)})
    return SUCCESS
