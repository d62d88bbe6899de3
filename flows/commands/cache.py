"""`nst-batch cache`: which style targets are kept, and removing those that are not needed."""

import time
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from flows.exit_codes import SUCCESS
from flows.terminal import Terminal, refuse
from nst_core.places import Place, told
from tasks.layout import style_files, style_records
from tasks.records import find_style, remove_failures

BEING_WRITTEN_SECONDS = 3600


@dataclass(frozen=True)
class KeptStyle:
    """A style's targets in the cache."""

    key: str
    state: str
    megabytes: float
    last_used: str


class RemoteCacheError(Exception):
    """A cache that these commands cannot look at; the message says what to do."""

    def __init__(self, cache: Place) -> None:
        super().__init__(
            f"{told(cache)}: only caches on this machine are listed and pruned; use the storage's "
            "own tools, such as a lifecycle rule: what is gone is computed again"
        )


def list_styles(terminal: Terminal, cache: Place) -> int:
    """Show what is kept, and whether it is still whole."""
    if not isinstance(cache, Path):
        return refuse(terminal, RemoteCacheError(cache))
    kept = [
        KeptStyle(
            key=path.stem[:16],
            state="ok" if find_style(style_records(cache), path.stem) else "damaged",
            megabytes=round(path.stat().st_size / 1e6, 2),
            last_used=f"{datetime.fromtimestamp(path.stat().st_mtime):%Y-%m-%d %H:%M}",
        )
        for path in _files_in(cache, "*.safetensors")
    ]
    terminal.table([asdict(style) for style in kept])
    total = sum(style.megabytes for style in kept)
    terminal.say(f"{cache}: {len(kept)} styles, {total:.1f} MB")
    terminal.result({"cache": str(cache), "styles": [asdict(style) for style in kept]})
    return SUCCESS


def prune(terminal: Terminal, cache: Place, older_than_days: float, *, dry_run: bool) -> int:
    """Remove damaged targets, those not used for that long, and leftovers of killed runs.

    Whatever is removed is computed again when a row needs it; no picture depends on it.
    """
    if not isinstance(cache, Path):
        return refuse(terminal, RemoteCacheError(cache))
    limit = time.time() - older_than_days * 86_400
    doomed = [path for path in _files_in(cache, "*") if _is_doomed(path, cache, limit)]
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


def _files_in(cache: Path, pattern: str) -> list[Path]:
    folder = style_files(cache)
    assert isinstance(folder, Path)
    return sorted(folder.glob(pattern))


def _is_doomed(path: Path, cache: Path, limit: float) -> bool:
    last_used = path.stat().st_mtime
    if not (style_records(cache) / path.stem).exists():
        # A run may be about to finish it; what a killed run left behind grows old.
        return last_used < time.time() - BEING_WRITTEN_SECONDS
    return last_used < limit or find_style(style_records(cache), path.stem) is None
