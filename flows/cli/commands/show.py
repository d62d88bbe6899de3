"""`nst-batch show`: how pictures were made, and a manifest that reproduces them."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flows.cli.exit_codes import ROWS_FAILED, SUCCESS
from flows.cli.terminal import Terminal, refuse
from nst_core.errors import UserError
from nst_core.storage.local import on_disk
from nst_core.storage.places import Place, redacted
from nst_core.transfer.terms import LOSS_TERMS, loss_name
from tasks.intake.rows import COLUMNS
from tasks.report.rebuild import Rebuilder, Rebuilt
from tasks.store.csv_cells import to_csv
from tasks.store.provenance import Provenance, ProvenanceError

SHOWN = (
    *("content", "style", "total_loss", *map(loss_name, LOSS_TERMS), "start_loss"),
    *("steps", "stop_reason", "seed", "encoder_fingerprint", "key"),
)


def show(terminal: Terminal, pictures: Sequence[Place], look_in: Sequence[Place]) -> int:
    """Print a manifest with one row per picture, and on a terminal how each was made."""
    try:
        _check_folders(look_in)
        rebuilder = Rebuilder(Path.cwd(), look_in)
        described = [(picture, Provenance.of(picture)) for picture in pictures]
        rows = [rebuilder.rebuild(*pair) for pair in described]
    except UserError as error:
        return refuse(terminal, error)
    except OSError as error:
        wrong = f"{error.filename}: cannot be read: {error.strerror}"
        return refuse(terminal, ProvenanceError(wrong))
    if terminal.is_rich:
        for picture, found in described:
            _show_facts(terminal, picture, found)
        terminal.say(_manifest(rows))
    elif not terminal.as_json:
        # A manifest is UTF-8, whatever the locale is.
        sys.stdout.flush()
        sys.stdout.buffer.write(_manifest(rows).encode())
    for picture, row in zip(pictures, rows, strict=True):
        for what in row.lost:
            terminal.fail(f"{redacted(picture)}: {what}")
    terminal.result([_result(*pair) for pair in zip(described, rows, strict=True)])
    return ROWS_FAILED if any(row.lost for row in rows) else SUCCESS


def _check_folders(folders: Sequence[Place]) -> None:
    for folder in folders:
        if (local := on_disk(folder)) and not local.is_dir():
            raise ProvenanceError(f"--look-in: there is no folder {redacted(folder)}; name another")


def _manifest(rows: Sequence[Rebuilt]) -> str:
    used = {column for row in rows for column in row.cells}
    columns = [column for column in COLUMNS if column in used]
    return to_csv([columns, *([row.cells.get(column, "") for column in columns] for row in rows)])


def _show_facts(terminal: Terminal, picture: Place, found: Provenance) -> None:
    facts = [{"": name, "found": _shown(getattr(found, name))} for name in SHOWN]
    facts += [
        {"": name, "found": _shown(value)} for name, value in found.settings.model_dump().items()
    ]
    terminal.table(facts, title=redacted(picture))


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _result(described: tuple[Place, Provenance], row: Rebuilt) -> dict[str, Any]:
    picture, found = described
    return {
        "picture": str(picture),
        "provenance": found.model_dump(),
        "row": row.cells,
        "lost": row.lost,
    }
