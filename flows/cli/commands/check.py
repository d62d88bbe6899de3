"""`nst-batch check`: list all faults of all rows, before any work."""

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from flows.cli.exit_codes import ROWS_FAILED, SUCCESS
from flows.cli.laid_out import manifest_asked_for
from flows.cli.layout_options import Asked
from flows.cli.terminal import Terminal, refuse
from nst_core.errors import UserError
from nst_core.networks.catalogue import PublishedFile
from nst_core.storage.places import redacted
from nst_core.transfer.allowed import counted
from tasks.intake.encoders import check_weights_place, downloads_of, encoders_of
from tasks.intake.examine import examine_rows
from tasks.intake.manifest import Manifest
from tasks.intake.outputs import check_places
from tasks.job import Examined
from tasks.request_checks import check_request
from tasks.row import Fault, told_once
from tasks.store.output_folder import OutputFolder
from tasks.store.preview_folder import check_apart


def check(terminal: Terminal, asked: Asked) -> int:
    """Report the faults of all rows and, if an output folder is named, whether it is writable."""
    request = asked.request
    output, store = request.output_folder, request.weight_store()
    try:
        check_request(request, once=True)
        if output is not None:
            check_apart(output, is_preview=False)
            check_weights_place(store, output)
        manifest = manifest_asked_for(asked, terminal)
        rows = manifest.rows
        encoders = encoders_of(rows, store)
    except (UserError, OSError) as error:
        return refuse(terminal, error)
    unwritable = []
    if output is not None:
        rows = check_places(rows, output)
        unwritable = output_faults(output)
    examined = examine_rows(rows, encoders, max_pixels=request.max_pixels)
    faults = [*unwritable, *examined.faults]
    _report(terminal, manifest, examined, faults, downloads_of(encoders))
    return ROWS_FAILED if faults else SUCCESS


def _report(
    terminal: Terminal,
    manifest: Manifest,
    examined: Examined,
    faults: Sequence[Fault],
    downloads: Sequence[PublishedFile],
) -> None:
    if manifest.understood:
        terminal.say(manifest.understood)
    terminal.table(
        [
            {"line": lines, "column": fault.column, "found": fault.found, "why": fault.expected}
            for fault, lines in told_once(faults)
        ]
    )
    good = 0 if any(not fault.line for fault in faults) else len(examined.jobs)
    rows, errors = counted(len(examined.rows), "row"), counted(len(faults), "error")
    terminal.say(f"{rows}: {good} can run, {errors}")
    show_downloads(terminal, downloads)
    terminal.result(
        {
            "rows": len(examined.rows),
            "usable": good,
            "understood": manifest.understood,
            "faults": [asdict(fault) for fault in faults],
            "downloads": [asdict(file) for file in downloads],
        }
    )


def show_downloads(terminal: Terminal, files: Sequence[PublishedFile]) -> None:
    """Print what a run would download first."""
    for file in files:
        terminal.say(f"to be downloaded first: {file.name}, {file.size / 1e6:.0f} MB")


def output_faults(output: OutputFolder) -> list[Fault]:
    """Return the reasons why results could not be written, and leave nothing behind."""
    return [
        Fault(
            0,
            "(--output)",
            redacted(Path(os.fsdecode(error.filename))) if error.filename else str(output),
            f"expected a folder that can be written to: {error.strerror or error}",
        )
        for error in output.probe()
    ]
