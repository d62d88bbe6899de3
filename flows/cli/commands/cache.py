"""`nst-batch cache`: list the cached style targets, and remove those that are not needed."""

from dataclasses import asdict, dataclass
from datetime import datetime

from flows.cli.exit_codes import SUCCESS
from flows.cli.terminal import Terminal, refuse
from nst_core.errors import UserError
from tasks.store.style_cache import StyleCache

SECONDS_A_DAY = 86_400


@dataclass(frozen=True)
class CachedStyle:
    """A style's targets in the cache, as they are shown."""

    key: str
    state: str
    megabytes: float
    last_used: str


def list_styles(terminal: Terminal, cache: StyleCache) -> int:
    """List the cached targets, and show whether each is still complete."""
    try:
        cached = cache.cached()
    except UserError as error:
        return refuse(terminal, error)
    styles = [
        CachedStyle(
            key=targets.key[:16],
            state="ok" if cache.find(targets.key) else "damaged",
            megabytes=round(targets.size / 1e6, 2),
            last_used=f"{datetime.fromtimestamp(targets.last_used):%Y-%m-%d %H:%M}",
        )
        for targets in cached
    ]
    terminal.table([asdict(style) for style in styles])
    total = sum(style.megabytes for style in styles)
    terminal.say(f"{cache.root}: {len(styles)} styles, {total:.1f} MB")
    terminal.result({"cache": str(cache.root), "styles": [asdict(style) for style in styles]})
    return SUCCESS


def prune(terminal: Terminal, cache: StyleCache, older_than_days: float, *, dry_run: bool) -> int:
    """Remove damaged targets, those unused for that long, and leftovers of killed runs.

    Targets that were removed are computed again when a row needs them; no picture depends on them.
    """
    try:
        pruned = cache.prune(older_than_days * SECONDS_A_DAY, dry_run=dry_run)
    except UserError as error:
        return refuse(terminal, error)
    in_use = f"; {pruned.in_use} more were kept, because runs are using them"
    terminal.say(
        f"{cache.root}: {'would remove' if dry_run else 'removed'} {len(pruned.paths)} files, "
        f"{pruned.size / 1e6:.1f} MB{in_use if pruned.in_use else ''}"
    )
    terminal.result({"removed": list(map(str, pruned.paths)), "dry_run": dry_run})
    return SUCCESS
