"""The commands about the installation and what comes with it: `demo`, `presets` and `doctor`."""

from typing import Annotated

from cyclopts import Parameter

from flows.cli.options import Cache, FolderOption, Json
from flows.cli.terminal import Terminal
from flows.process import environment
from nst_core.storage.files import user_cache


def demo(folder: FolderOption, /, *, json: Json = False) -> int:
    """Write sample pictures, and a manifest for them, into a folder.

    Args:
        folder: the folder for them, which is created if it does not exist
    """
    from flows.cli.commands.demo import write_demo

    return write_demo(Terminal(as_json=json), folder)


def presets(*, json: Json = False) -> int:
    """Show the settings of each preset."""
    from flows.cli.commands.presets import presets as show_presets

    return show_presets(Terminal(as_json=json))


def doctor(
    *,
    output: Annotated[
        FolderOption | None,
        Parameter(name=["--output", "-o"], help="an output folder to check, too"),
    ] = None,
    cache: Cache = None,
    json: Json = False,
) -> int:
    """Check versions, devices, server, cache and weights, and say how to fix what is wrong."""
    environment.prepare()
    from flows.cli.commands.doctor import doctor as examine_installation
    from tasks.store.output_folder import OutputFolder
    from tasks.store.style_cache import StyleCache

    folder = None if output is None else OutputFolder(output)
    return examine_installation(Terminal(as_json=json), StyleCache(cache or user_cache()), folder)
