"""nst-batch: the command line.

Each command is imported when it is used, and what it does when it runs. Help of the whole program
therefore loads no command, and help of a command neither Prefect nor TensorFlow.
"""

from collections.abc import Sequence

from cyclopts import App
from cyclopts.exceptions import CycloptsError
from rich.console import Console

from flows.cli.examples import example_of
from flows.cli.main import main

__all__ = ["app", "main"]

COMMANDS = {
    "run": "batch_commands:run",
    "watch": "batch_commands:watch",
    "serve": "batch_commands:serve",
    "check": "batch_commands:check",
    "plan": "batch_commands:plan",
    "preview": "preview_command:preview",
    "manifest": "manifest_command:write_manifest",
    "plot": "result_commands:plot",
    "animate": "result_commands:animate",
    "show": "result_commands:show",
    "demo": "installation:demo",
    "presets": "installation:presets",
    "doctor": "installation:doctor",
    "completion": "completion:completion",
}
GROUPS = {"cache": "cache_app:cache_app", "weights": "weights_app:weights_app"}
"""The commands, and groups of them: where each is in `flows.cli`."""

SUMMARIES = {
    "run": "Stylize photographs, or the rows of a manifest, that are not done yet.",
    "watch": "Stylize photographs as they arrive, for as long as this process lives.",
    "serve": "Run a manifest every night for as long as this process lives; a server keeps the "
    "schedule.",
    "check": "List every error in every row of a manifest, or of photographs; nothing is run or "
    "written.",
    "plan": "Show what a run would do: rows, styles to compute, time, memory and disk.",
    "preview": "Make small previews of a few rows, or of all, and a page that says what the batch "
    "would take.",
    "manifest": "Write a manifest that pairs every content with every style, from two folders or "
    "globs.",
    "plot": "Plot the loss curve of a row, or the total losses of all rows, as PNG and as SVG.",
    "animate": "Write an animation of a row's progress, if the row was run with `--save-every`, or "
    "a film.",
    "show": "Show how pictures were made, and print a manifest that reproduces them.",
    "demo": "Write sample pictures, and a manifest for them, into a folder.",
    "presets": "Show the settings of each preset.",
    "doctor": "Check versions, devices, server, cache and weights, and say how to fix what is "
    "wrong.",
    "completion": "Print a script with which a shell completes commands, options and values.",
    "cache": "List and remove cached style targets.",
    "weights": "Manage the encoder weights that do not come with the package.",
}
"""What the list of commands says of each: the first sentence of its own help."""

PHOTOS = "nst-batch {0} [OPTIONS] PHOTOS... --style PICTURE"
ROWS = f"Usage: nst-batch {{0}} [OPTIONS] MANIFEST\n       {PHOTOS}"
USAGES = {
    **{name: ROWS.format(name) for name in ("run", "check", "plan", "preview")},
    "watch": f"Usage: {PHOTOS.format('watch')}",
    "plot": "Usage: nst-batch plot [OPTIONS] OUTPUT [ROW]",
    "animate": "Usage: nst-batch animate [OPTIONS] OUTPUT [ROW]",
    "show": "Usage: nst-batch show [OPTIONS] PICTURE [MORE...]",
}
"""The usage of commands, where the one that Cyclopts makes would say less."""


def version_text() -> str:
    """Return the version of the program."""
    from importlib.metadata import version

    return version("nst-batch")


def explained(error: CycloptsError) -> str:
    """Return what is wrong with a command line."""
    from flows.cli.mistakes import explained as explained_in_our_words
    from flows.cli.terminal import in_lines

    return in_lines(explained_in_our_words(error), ERRORS)


ERRORS = Console(stderr=True, soft_wrap=True, highlight=False)

app = App(
    name="nst-batch",
    error_console=ERRORS,
    help="Neural style transfer for thousands of pictures. The program paints photographs in the "
    "style of other pictures, and makes a page and a table of the results. Name a folder of "
    "photographs and some styles, or write a CSV manifest with a row for each picture.",
    version=version_text,
    error_formatter=explained,
    help_epilogue=example_of(""),
)
for name, where in COMMANDS.items():
    app.command(
        f"flows.cli.{where}",
        name=name,
        help=SUMMARIES[name],
        usage=USAGES.get(name),
        help_epilogue=example_of(name),
    )
for name, where in GROUPS.items():
    app.command(f"flows.cli.{where}", name=name, help=SUMMARIES[name])


def app_for(typed: Sequence[str]) -> App:
    """Return the command line, in which the commands among these words have their whole help.

    They are imported for that. All others are known by their first sentences.
    """
    for name in COMMANDS.keys() & set(typed):
        app[name].help = None  # so that it is the docstring
    return app
