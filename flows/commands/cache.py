"""`nst-batch cache`: which style targets are kept, and removing those that are not needed."""

import time
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from flows.exit_codes import SUCCESS
from flows.terminal import Terminal
from tasks.layout import style_files, style_records
from tasks.records import find_style, remove_failures


@dataclass(frozen=True)
class KeptStyle:
    """A style's targets in the cache."""

    key: str
    state: str
    megabytes: float
    last_computed: str


def list_styles(terminal: Terminal, cache: Path) -> int:
    """Show what is kept, and whether it is still whole."""
    kept = [
        KeptStyle(
            key=path.stem[:16],
            state="ok" if find_style(style_records(cache), path.stem) else "damaged",
            megabytes=round(path.stat().st_size / 1e6, 2),
            last_computed=f"{datetime.fromtimestamp(path.stat().st_mtime):%Y-%m-%d %H:%M}",
        )
        for path in sorted(style_files(cache).glob("*.safetensors"))
    ]
    terminal.table([asdict(style) for style in kept])
    total = sum(style.megabytes for style in kept)
    terminal.say(f"{cache}: {len(kept)} styles, {total:.1f} MB")
    terminal.result({"cache": str(cache), "styles": [asdict(style) for style in kept]})
    return SUCCESS


def prune(terminal: Terminal, cache: Path, older_than_days: float, *, dry_run: bool) -> int:
    """Remove damaged targets, those computed longer ago than that, and leftovers of killed runs.

    Whatever is removed is computed again when a row needs it; no picture depends on it.
    """
    limit = time.time() - older_than_days * 86_400
    doomed = [
        path
        for path in sorted(style_files(cache).glob("*"))
        if path.stat().st_mtime < limit or not _is_whole(path, cache)
    ]
    size = sum(path.stat().st_size for path in doomed)
    if not dry_run:
        for path in doomed:
            (style_records(cache) / path.stem).unlink(missing_ok=True)
            path.unlink(missing_ok=True)
        remove_failures(style_records(cache))
    told = "would remove" if dry_run else "removed"
    terminal.say(f"{cache}: {told} {len(doomed)} files, {size / 1e6:.1f} MB")
    terminal.result({"removed": [str(path) for path in doomed], "dry_run": dry_run})
    return SUCCESS


def _is_whole(path: Path, cache: Path) -> bool:
    is_targets = path.suffix == ".safetensors" and not path.name.startswith(".")
    return is_targets and find_style(style_records(cache), path.stem) is not None
