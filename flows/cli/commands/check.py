"""`nst-batch check`: list all faults of all rows, before any work."""

import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from pydantic import BaseModel

from flows.cli.exit_codes import ROWS_FAILED, SUCCESS
from flows.cli.terminal import Terminal, refuse
from nst_core.errors import UserError
from nst_core.networks.catalogue import PublishedFile
from nst_core.networks.store import WeightStore
from nst_core.storage.files import remove, write_atomic
from nst_core.storage.places import Place
from tasks.intake.encoders import check_weights_place, downloads_of, encoders_of
from tasks.intake.examine import examine_rows
from tasks.intake.manifest import check_manifest_place, check_places, read_manifest
from tasks.job import Examined
from tasks.row import Fault
from tasks.store.layout import PICTURES, writable_marker


def check(
    terminal: Terminal,
    manifest: Place,
    output: Place | None,
    settings: BaseModel,
    store: WeightStore,
    max_pixels: int,
) -> int:
    """Report the faults of a manifest; if `output` is given, also check that it is writable."""
    try:
        if output is not None:
            check_manifest_place(manifest, output)
            check_weights_place(store, output)
        rows = read_manifest(manifest, settings)
        encoders = encoders_of(rows, store)
    except UserError as error:
        return refuse(terminal, error)
    unwritable = []
    if output is not None:
        rows = check_places(rows, output)
        unwritable = output_faults(output)
    examined = examine_rows(rows, encoders, max_pixels=max_pixels)
    faults = [*unwritable, *examined.faults]
    _tell(terminal, examined, faults, downloads_of(encoders))
    return ROWS_FAILED if faults else SUCCESS


def _tell(
    terminal: Terminal,
    examined: Examined,
    faults: Sequence[Fault],
    downloads: Sequence[PublishedFile],
) -> None:
    terminal.table([asdict(fault) for fault in faults])
    good = 0 if any(not fault.line for fault in faults) else len(examined.jobs)
    terminal.say(f"{len(examined.rows)} rows: {good} can run, {len(faults)} errors")
    tell_downloads(terminal, downloads)
    terminal.result(
        {
            "rows": len(examined.rows),
            "usable": good,
            "faults": [asdict(fault) for fault in faults],
            "downloads": [asdict(file) for file in downloads],
        }
    )


def tell_downloads(terminal: Terminal, files: Sequence[PublishedFile]) -> None:
    """Print what a run would download first."""
    for file in files:
        terminal.say(f"to be downloaded first: {file.name}, {file.size / 1e6:.0f} MB")


def output_faults(output: Place) -> list[Fault]:
    """Return the reasons why results could not be written, and leave nothing behind."""
    return _folder_faults(output) if isinstance(output, Path) else _storage_faults(output)


def _storage_faults(output: Place) -> list[Fault]:
    try:
        probe = writable_marker(output).with_name("check")
        write_atomic(probe, b"")
    except OSError as error:
        return [_cannot_be_written(output, error)]
    with suppress(OSError):
        # If nothing may be deleted, one empty object stays.
        remove(probe)
    return []


def _cannot_be_written(where: Place, error: OSError) -> Fault:
    why = f"expected a folder that can be written: {error.strerror or error}"
    return Fault(0, "(--output)", str(where), why)


def _folder_faults(output: Path) -> list[Fault]:
    faults = []
    for wanted in (output, output / PICTURES, output / ".nst-batch" / "rows"):
        existing = wanted
        try:
            existing = next(
                place for place in (wanted, *wanted.absolute().parents) if place.exists()
            )
            with tempfile.TemporaryFile(dir=existing):
                pass
        except OSError as error:
            faults.append(_cannot_be_written(existing, error))
    return list(dict.fromkeys(faults))
