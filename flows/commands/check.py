"""`nst-batch check`: every fault of every row at once, before any work."""

import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pydantic import BaseModel

from flows.exit_codes import ROWS_FAILED, SUCCESS, UNUSABLE
from flows.terminal import Terminal
from tasks.jobs import Examined, examine_rows
from tasks.layout import picture_path
from tasks.manifest import Fault, ManifestError, Row, read_manifest


def check(
    terminal: Terminal,
    manifest: Path,
    output: Path | None,
    settings: BaseModel,
    max_pixels: int,
) -> int:
    """Report the faults of a manifest; `output`, where given, is checked to be writable."""
    try:
        rows = read_manifest(manifest, settings)
    except ManifestError as error:
        terminal.fail(str(error))
        terminal.result({"error": str(error)})
        return UNUSABLE
    examined = examine_rows(rows, max_pixels=max_pixels)
    unwritable = [] if output is None else output_faults(output, examined.rows)
    faults = [*examined.faults, *unwritable]
    _tell(terminal, examined, faults)
    return ROWS_FAILED if faults else SUCCESS


def _tell(terminal: Terminal, examined: Examined, faults: Sequence[Fault]) -> None:
    terminal.table([asdict(fault) for fault in faults])
    good = len(examined.rows) - len({fault.line for fault in faults})
    terminal.say(f"{len(examined.rows)} rows: {good} can run, {len(faults)} faults")
    terminal.result(
        {
            "rows": len(examined.rows),
            "usable": good,
            "faults": [asdict(fault) for fault in faults],
        }
    )


def output_faults(output: Path, rows: Sequence[Row]) -> list[Fault]:
    """Why results could not be written, found out without leaving anything behind."""
    existing = next(folder for folder in (output, *output.absolute().parents) if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        reason = f"{existing}: {error.strerror}"
        return [Fault(0, "(--output)", reason, "expected a folder that can be written")]
    return [
        Fault(row.line, "output", f"{row.output!r} is a folder", "choose another output")
        for row in rows
        if picture_path(output, row.output).is_dir()
    ]
