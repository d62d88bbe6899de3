"""`nst-batch preview`: a run at a small size, of a few rows or all, in a folder of its own."""

from pathlib import Path, PurePosixPath

from flows.cli.commands.run import run
from flows.cli.laid_out import manifest_asked_for
from flows.cli.layout_options import Asked
from flows.cli.terminal import Terminal, refuse
from nst_core.errors import UserError
from nst_core.storage.places import name_of, redacted
from tasks.intake.manifest import ManifestError, check_manifest_kind
from tasks.intake.previews import representative
from tasks.option_types import SIDE_OF_ALL, SIDE_OF_FEW
from tasks.report.selection import OnlyError
from tasks.request import BatchRequest
from tasks.store.output_folder import OutputFolder


def preview(
    terminal: Terminal, asked: Asked, *, count: int | None, side: int | None, verbose: bool
) -> int:
    """Run previews, and report how they ended.

    Args:
        terminal: where to report it.
        asked: what was asked for: a `PreviewRequest`, and perhaps a layout.
        count: how many rows to show; None for all.
        side: the longest side of the previews, in pixels; None for the default.
        verbose: see `run`.
    """
    try:
        request = _small(asked, side or (SIDE_OF_ALL if count is None else SIDE_OF_FEW))
        only = _only(asked._replace(request=request), count)
    except (UserError, OSError) as error:
        return refuse(terminal, error)
    chosen = request.model_copy(update={"only": only})
    return run(terminal, asked._replace(request=chosen), verbose=verbose)


def _small(asked: Asked, side: int) -> BatchRequest:
    """Return the request of a run that makes previews."""
    request = asked.request
    output = request.output or default_output(asked)
    manifest = request.manifest if asked.layout is None else OutputFolder(output).manifest
    own = {"output": output, "manifest": manifest, "preview": side}
    return BatchRequest(**{**dict(request), **own})


def default_output(asked: Asked) -> Path:
    """Return the folder for previews, in the current folder, if none is named."""
    if asked.layout is not None:
        return Path("preview")
    return Path(f"{PurePosixPath(name_of(asked.request.manifest)).stem}-preview")


def _only(asked: Asked, count: int | None) -> str | None:
    """Return the rows to show, as `--only` names them; None for all of them.

    Raises:
        UserError: the manifest cannot be read, or has no row to show.
        OSError: the output folder cannot be read.
    """
    request = asked.request
    if request.only is not None:
        if count is None:
            raise OnlyError("--all: found --only, too; remove one of the two")
        return str(request.only)
    if count is None:
        return None
    if asked.layout is None:
        check_manifest_kind(request.manifest)
    # The run says what was understood.
    rows = manifest_asked_for(asked, Terminal(is_quiet=True)).rows
    lines = representative(rows, count)
    if not lines:
        raise ManifestError(
            f"{redacted(request.manifest)}: every row has an error; `nst-batch check` lists them"
        )
    return None if len(lines) == len(rows) else ",".join(map(str, lines))
