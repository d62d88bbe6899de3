"""`nst-batch preview`: a run at a small size, of a few rows or all, in a folder of its own."""

from pathlib import Path, PurePosixPath

from flows.cli.commands.run import run
from flows.cli.layout_options import Asked
from flows.cli.terminal import Terminal, refuse
from nst_core.errors import UserError
from nst_core.storage.places import Place, name_of
from tasks.intake.manifest import ManifestError, check_manifest_kind, read_manifest
from tasks.intake.previews import representative
from tasks.option_types import SIDE_OF_ALL, SIDE_OF_FEW
from tasks.report.selection import OnlyError
from tasks.request import BatchRequest, PreviewRequest


def preview(
    terminal: Terminal,
    request: PreviewRequest,
    *,
    count: int | None,
    side: int | None,
    verbose: bool,
) -> int:
    """Run previews, and report how they ended.

    Args:
        terminal: where to report it.
        request: what was asked for.
        count: how many rows to show; None for all.
        side: the longest side of the previews, in pixels; None for the default.
        verbose: see `run`.
    """
    try:
        only = _only(request, count)
    except UserError as error:
        return refuse(terminal, error)
    shown = {
        "output": request.output or default_output(request.manifest),
        "only": only,
        "preview": side or (SIDE_OF_ALL if count is None else SIDE_OF_FEW),
    }
    asked = Asked(BatchRequest(**{**dict(request), **shown}))
    return run(terminal, asked, verbose=verbose)


def default_output(manifest: Place) -> Path:
    """Return the folder for the previews of a manifest, in the current folder."""
    return Path(f"{PurePosixPath(name_of(manifest)).stem}-preview")


def _only(request: PreviewRequest, count: int | None) -> str | None:
    """Return the rows to show, as `--only` names them; None for all of them.

    Raises:
        UserError: the manifest cannot be read, or has no row to show.
    """
    if request.only is not None:
        if count is None:
            raise OnlyError("--all: found --only, too; remove one of the two")
        return request.only
    if count is None:
        return None
    check_manifest_kind(request.manifest)
    rows = read_manifest(request.manifest, request.settings)
    lines = representative(rows, count)
    if not lines:
        raise ManifestError(
            f"{name_of(request.manifest)}: every row has an error; `nst-batch check` lists them"
        )
    return None if len(lines) == len(rows) else ",".join(map(str, lines))
