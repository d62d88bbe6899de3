"""`nst-batch show`: how pictures were made, and a manifest that reproduces them."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flows.cli.exit_codes import ROWS_FAILED, SUCCESS
from flows.cli.terminal import Terminal, refuse
from nst_core.errors import UserError
from nst_core.storage.local import on_disk
from nst_core.storage.near_names import unreadable
from nst_core.storage.places import Place, redacted
from nst_core.transfer.losses.terms import LOSS_TERMS, loss_name
from nst_core.transfer.presets import DEFAULT_PRESET, PRESETS
from tasks.intake.rows import COLUMNS
from tasks.report.frame_chains import Described, in_frame_order
from tasks.report.rebuild import Rebuilder, Rebuilt
from tasks.row import SEQUENCE
from tasks.store.csv_cells import to_csv
from tasks.store.provenance import Provenance, ProvenanceError

PICTURES = ("content", "style")
OF_OPTIMIZATION = (
    *("total_loss", *map(loss_name, LOSS_TERMS), "start_loss"),
    *("steps", "stop_reason", "seed", "encoder_fingerprint", "key"),
)

FRAME = ("sequence", "frame", "previous", "flow")


def show(
    terminal: Terminal,
    pictures: Sequence[Place],
    look_in: Sequence[Place],
    *,
    everything: bool = False,
) -> int:
    """Print a manifest with one row per picture, and on a terminal how each was made.

    Args:
        terminal: where to print it.
        pictures: results of runs.
        look_in: folders to search for contents and styles.
        everything: also print what is as usual, and the figures of the optimization.
    """
    try:
        _check_folders(look_in)
        rebuilder = Rebuilder(Path.cwd(), look_in)
        described = in_frame_order([(picture, Provenance.of(picture)) for picture in pictures])
        rows = [_rebuilt(rebuilder, one) for one in described]
    except UserError as error:
        return refuse(terminal, error)
    except OSError as error:
        return refuse(terminal, ProvenanceError(unreadable(error)))
    if terminal.is_rich:
        for one in described:
            scores = rebuilder.scores(one.picture, one.provenance)
            facts = _facts(one.provenance, scores, everything=everything)
            terminal.facts(facts, redacted(one.picture))
        terminal.say("\nA manifest that makes them again:" if rows[1:] else "\nTo make it again:")
        terminal.verbatim(_manifest(rows))
    elif not terminal.as_json:
        # A manifest is UTF-8, whatever the locale is.
        sys.stdout.flush()
        sys.stdout.buffer.write(_manifest(rows).encode())
    for one, row in zip(described, rows, strict=True):
        for what in row.lost:
            terminal.fail(f"{redacted(one.picture)}: {what}")
    if terminal.as_json:
        scores_of_each = [rebuilder.scores(one.picture, one.provenance) for one in described]
        results = zip(described, rows, scores_of_each, strict=True)
        terminal.result([_result(*each) for each in results])
    return ROWS_FAILED if any(row.lost for row in rows) else SUCCESS


def _check_folders(folders: Sequence[Place]) -> None:
    for folder in folders:
        if (local := on_disk(folder)) and not local.is_dir():
            raise ProvenanceError(f"--look-in: there is no folder {redacted(folder)}; name another")


def _manifest(rows: Sequence[Rebuilt]) -> str:
    used = {column for row in rows for column in row.cells}
    columns = [column for column in COLUMNS if column in used]
    return to_csv([columns, *([row.cells.get(column, "") for column in columns] for row in rows)])


def _facts(
    found: Provenance, scores: Mapping[str, float | None], *, everything: bool
) -> dict[str, str]:
    """Return what is said of a picture: what it was made of, and what is not as usual."""
    shown = (*PICTURES, *(OF_OPTIMIZATION if everything else ()))
    named = {name: getattr(found, name) for name in (*shown, *(FRAME if found.sequence else ()))}
    named |= scores
    usual = PRESETS[DEFAULT_PRESET].model_dump()
    # What was done takes the place of a setting of the same name.
    values = named | {
        name: value
        for name, value in found.settings.model_dump().items()
        if name not in named and (everything or name == "size" or value != usual[name])
    }
    facts = {name: _shown(value) for name, value in values.items()}
    # A loss that the picture does not have is not shown.
    return {name: fact for name, fact in facts.items() if fact}


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _rebuilt(rebuilder: Rebuilder, one: Described) -> Rebuilt:
    """Return the row of a picture, which may be a frame of a sequence."""
    row = rebuilder.rebuild(one.picture, one.provenance)
    cells = row.cells | ({SEQUENCE: one.sequence} if one.sequence else {})
    return Rebuilt(cells, (*row.lost, *one.lost))


def _result(
    described: Described, row: Rebuilt, scores: Mapping[str, float | None]
) -> dict[str, Any]:
    return {
        "picture": str(described.picture),
        "provenance": described.provenance.model_dump(),
        "scores": dict(scores),
        "row": row.cells,
        "lost": row.lost,
    }
