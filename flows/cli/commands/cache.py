"""`nst-batch cache`: list the cached style targets, and remove those that are not needed."""

import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from flows.cli.exit_codes import SUCCESS
from flows.cli.terminal import Terminal, refuse
from nst_core.errors import UserError
from nst_core.storage.files import remove
from nst_core.storage.held_files import abandoned_parts, sweep_parts
from nst_core.storage.locks import LockError, flock
from nst_core.storage.places import Place, redacted
from tasks.store.layout import style_files, style_locks, style_records
from tasks.store.records import find_style, remove_failures
from tasks.store.styles_in_use import keys_in_use, remove_stale_lists

BEING_WRITTEN_SECONDS = 3600

TARGETS = re.compile(r"([0-9a-f]{64})\.safetensors")
"""The only names that are listed and removed; any other file in the folder is somebody's own."""


@dataclass(frozen=True)
class KeptStyle:
    """A style's targets in the cache."""

    key: str
    state: str
    megabytes: float
    last_used: str


@dataclass(frozen=True)
class _Targets:
    """A file of style targets, as it was when the folder was read."""

    path: Path
    key: str
    size: int
    last_used: float


class CacheError(UserError):
    """A cache that these commands cannot list or prune; the message says what to do."""


def list_styles(terminal: Terminal, cache: Place) -> int:
    """List the cached targets, and show whether each is still complete."""
    try:
        targets_kept = _targets_in(cache)
    except CacheError as error:
        return refuse(terminal, error)
    kept = [
        KeptStyle(
            key=targets.key[:16],
            state="ok" if find_style(style_records(cache), targets.key) else "damaged",
            megabytes=round(targets.size / 1e6, 2),
            last_used=f"{datetime.fromtimestamp(targets.last_used):%Y-%m-%d %H:%M}",
        )
        for targets in targets_kept
    ]
    terminal.table([asdict(style) for style in kept])
    total = sum(style.megabytes for style in kept)
    terminal.say(f"{cache}: {len(kept)} styles, {total:.1f} MB")
    terminal.result({"cache": str(cache), "styles": [asdict(style) for style in kept]})
    return SUCCESS


def prune(terminal: Terminal, cache: Place, older_than_days: float, *, dry_run: bool) -> int:
    """Remove damaged targets, those unused for that long, and leftovers of killed runs.

    Targets that were removed are computed again when a row needs them; no picture depends on them.
    Targets that runs need now stay, and so does every file that no run has written.
    """
    try:
        limit = time.time() - older_than_days * 86_400
        doomed = [targets for targets in _targets_in(cache) if _is_doomed(targets, cache, limit)]
        parts = abandoned_parts([_folder(style_files(cache)), _folder(style_records(cache))])
        in_use = keys_in_use(cache)
        removed = [
            targets
            for targets in doomed
            if targets.key not in in_use and (dry_run or _remove(targets, cache))
        ]
    except CacheError as error:
        return refuse(terminal, error)
    if not dry_run:
        sweep_parts(part.parent for part in parts)
        remove_stale_lists(cache)
        remove_failures(style_records(cache))
    paths = [*(targets.path for targets in removed), *parts]
    size = sum(targets.size for targets in removed) / 1e6
    terminal.say(
        f"{cache}: {'would remove' if dry_run else 'removed'} {len(paths)} files, {size:.1f} MB"
        + _kept(len(doomed) - len(removed))
    )
    terminal.result({"removed": list(map(str, paths)), "dry_run": dry_run})
    return SUCCESS


def _kept(count: int) -> str:
    return f"; {count} more were kept, because runs are using them" if count else ""


def _folder(place: Place) -> Path:
    assert isinstance(place, Path)
    return place


def _targets_in(cache: Place) -> list[_Targets]:
    """Return the targets in a cache, sorted by key.

    Raises:
        CacheError: the cache is not on this machine, or cannot be read.
    """
    if not isinstance(cache, Path):
        raise CacheError(
            f"{redacted(cache)}: only caches on this machine are listed and pruned; use the "
            "storage's own tools, such as a lifecycle rule: what is gone is computed again"
        )
    try:
        return sorted(_look(_folder(style_files(cache))), key=lambda targets: targets.key)
    except OSError as error:
        raise CacheError(f"{error.filename}: cannot be read: {error.strerror}") from error


def _look(folder: Path) -> Iterator[_Targets]:
    """Yield the targets in a folder; runs and other prunes may add and remove some meanwhile."""
    with suppress(FileNotFoundError):
        for path in list(folder.iterdir()):
            named = TARGETS.fullmatch(path.name)
            with suppress(FileNotFoundError):
                facts = path.lstat()
                if named and stat.S_ISREG(facts.st_mode):
                    yield _Targets(path, named[1], facts.st_size, facts.st_mtime)


def _is_doomed(targets: _Targets, cache: Place, limit: float) -> bool:
    if not (style_records(cache) / targets.key).exists():
        # A run may be about to write the record; what a killed run left becomes old in time.
        return targets.last_used < time.time() - BEING_WRITTEN_SECONDS
    return targets.last_used < limit or find_style(style_records(cache), targets.key) is None


def _remove(targets: _Targets, cache: Place) -> bool:
    """Remove targets and their record, unless a run is computing them at this moment.

    Raises:
        CacheError: they cannot be removed.
    """
    locks = style_locks(cache)
    try:
        locks.mkdir(parents=True, exist_ok=True)
        lock = flock(locks / f"{targets.key}.lock", timeout=0)
        if lock is None:
            return False
        try:
            remove(style_records(cache) / targets.key)
            remove(targets.path)
        finally:
            os.close(lock)
    except LockError as error:
        raise CacheError(str(error)) from error
    except OSError as error:
        raise CacheError(f"{error.filename}: cannot be removed: {error.strerror}") from error
    return True
