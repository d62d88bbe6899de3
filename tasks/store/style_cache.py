"""The cache of style targets, which belong to no batch: all rows, runs and workers share them."""

import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from nst_core.storage.files import StorageError, remove, write_atomic
from nst_core.storage.held_files import abandoned_parts, sweep_parts
from nst_core.storage.local import make_private, mark_used, on_disk
from nst_core.storage.locks import flock
from nst_core.storage.places import Place, redacted
from tasks.store.cached_files import CachedFile, CacheError, cached_files, remove_files
from tasks.store.file_reference import ForeignRecordError, RecordError
from tasks.store.output_folder import INTERNAL, own_cache
from tasks.store.records import (
    StyleRecord,
    forget_record,
    read_record,
    remove_failures,
    verified_style,
    write_record,
)
from tasks.store.styles_in_use import StylesInUse

logger = logging.getLogger("nst_batch.style_cache")

BEING_WRITTEN_SECONDS = 3600
"""How long targets without a record stay, since a run may be about to write the record."""


@dataclass(frozen=True)
class Pruned:
    """What a prune removed, or would remove.

    Attributes:
        paths: the removed files.
        size: of the removed targets, in bytes.
        in_use: how many targets were kept because runs are using them.
    """

    paths: tuple[Path, ...]
    size: int
    in_use: int


@dataclass(frozen=True)
class StyleCache:
    """The user's cache, with the targets of styles in its folder `styles`.

    Attributes:
        root: where the cache is, on a disk or in object storage.
    """

    root: Place

    def __str__(self) -> str:
        return redacted(self.root)

    def absolute(self) -> Self:
        """Return the same cache with an absolute path."""
        return type(self)(self.root.absolute())

    @property
    def records(self) -> Place:
        """The folder of the records of style targets, which are named by keys."""
        return self.root / "styles" / "records"

    @property
    def files(self) -> Place:
        """The folder of the style targets themselves."""
        return self.root / "styles" / "targets"

    @property
    def scores(self) -> Place:
        """The folder of what the scores need of styles."""
        return self.root / "styles" / "scores"

    def targets(self, key: str) -> Place:
        """Return the place of a style's targets."""
        return self.files / f"{key}.safetensors"

    def statistics(self, key: str) -> Place:
        """Return the place of what scores need of a style; see `kept_statistics`."""
        return self.scores / f"{key}.safetensors"

    @property
    def locks(self) -> Path:
        """The folder of locks under which one run computes targets while others wait.

        For a cache in object storage, this folder is the user's own: another user of this machine,
        like another machine, may compute the same targets at the same time.
        """
        folder = on_disk(self.records)
        return folder / "locks" if folder else own_cache() / "locks"

    def lock(self, key: str, timeout: float) -> int | None:
        """Take the lock under which a style's targets are computed.

        Args:
            key: the style's key.
            timeout: in seconds.

        Returns:
            A descriptor that releases the lock when it is closed; None if the time ran out.

        Raises:
            LockError, OSError: the cache has no such lock, as it cannot be written.
        """
        self.locks.mkdir(parents=True, exist_ok=True)
        return flock(self.locks / f"{key}.lock", timeout)

    def make(self) -> None:
        """Create missing folders for their owner only, as their contents determine the pictures.

        Object storage has no folders to create; instead, this checks that it can be written to.

        Raises:
            OSError: a folder cannot be created, or the storage cannot be written to.
        """
        if root := on_disk(self.root):
            styles = root / "styles"
            make_private(root, styles, styles / "targets", styles / "records", styles / "scores")
        else:
            write_atomic(self.root / INTERNAL / "writable", b"")

    def is_served_read_only(self) -> bool:
        """Return whether it has styles but cannot be written to, like a cache of another user."""
        targets = on_disk(self.files)
        if targets is None or os.access(targets, os.W_OK):
            return False
        return os.access(targets, os.R_OK | os.X_OK) and any(targets.glob("*.safetensors"))

    def find(self, key: str) -> StyleRecord | None:
        """Return the record of a style's targets, its file verified; None if there is none.

        Anything that Prefect could take for something other than one of our records is removed.

        Raises:
            StorageError: a storage does not say whether there is one.
        """
        path = self.records / key
        try:
            return verified_style(read_record(path, key, StyleRecord), self.targets(key))
        except FileNotFoundError:
            return None
        except StorageError:
            # Otherwise a hiccup of the storage would make a run compute all its styles again.
            raise
        except RecordError as error:
            logger.warning(
                "a style is computed again: its cached targets cannot be used (%s)", error
            )
            if isinstance(error, ForeignRecordError):
                forget_record(path)
            return None

    def keep(self, record: StyleRecord) -> None:
        """Store a record as Prefect would, but atomically.

        Raises:
            OSError: it cannot be written.
        """
        write_record(self.records / record.key, record)

    def mark_used(self, key: str) -> None:
        """Note that targets are in use, because `prune` goes by when they were last used."""
        mark_used(self.targets(key))

    def sweep(self) -> None:
        """Remove what killed runs and failed tasks left."""
        sweep_parts(self._folders())
        remove_failures(self.records)

    def _folders(self) -> list[Path]:
        places = (self.files, self.records, self.scores)
        return [folder for place in places if (folder := on_disk(place))]

    @property
    def in_use(self) -> StylesInUse:
        """The lists of the styles that active runs need now."""
        root = on_disk(self.root)
        return StylesInUse(root / "styles" / "in-use" if root else None)

    def cached(self) -> list[CachedFile]:
        """Return the cached targets, sorted by key.

        Raises:
            CacheError: the cache is not on this machine, or cannot be read.
        """
        folder = on_disk(self.files)
        if folder is None:
            raise CacheError(
                f"{self}: only caches on this machine can be listed and pruned; use what the "
                "storage service offers, such as a lifecycle rule; runs compute missing targets "
                "again"
            )
        return cached_files(folder)

    def _cached_scores(self) -> list[CachedFile]:
        folder = on_disk(self.scores)
        return cached_files(folder) if folder else []

    def prune(self, older_than_seconds: float, *, dry_run: bool) -> Pruned:
        """Remove damaged targets, those unused for that long, and what killed runs left.

        Targets that runs need now stay, and so does every file that no run has written. What scores
        need of styles goes by its own use, and a run computes it again in half a second.

        Raises:
            CacheError: the cache is not on this machine, or cannot be read or changed.
            LockError: its locks cannot be used.
        """
        limit = time.time() - older_than_seconds
        doomed = [targets for targets in self.cached() if self._is_doomed(targets, limit)]
        scores = [kept for kept in self._cached_scores() if kept.last_used < limit]
        parts = abandoned_parts(self._folders())
        in_use = self.in_use.keys()
        removed = [
            targets
            for targets in doomed
            if targets.key not in in_use and (dry_run or self._remove(targets))
        ]
        if not dry_run:
            remove_files(scores)
            self.sweep()
            self.in_use.remove_stale()
        return Pruned(
            paths=(*(kept.path for kept in (*removed, *scores)), *parts),
            size=sum(kept.size for kept in (*removed, *scores)),
            in_use=len(doomed) - len(removed),
        )

    def _is_doomed(self, targets: CachedFile, limit: float) -> bool:
        if not (self.records / targets.key).exists():
            # Targets that a killed run left are removed once they are old enough.
            return targets.last_used < time.time() - BEING_WRITTEN_SECONDS
        return targets.last_used < limit or self.find(targets.key) is None

    def _remove(self, targets: CachedFile) -> bool:
        """Remove targets and their record, unless a run is computing them at this moment.

        Raises:
            CacheError: they cannot be removed.
            LockError: the cache's locks cannot be used.
        """
        try:
            lock = self.lock(targets.key, timeout=0)
            if lock is None:
                return False
            try:
                remove(self.records / targets.key)
                remove(targets.path)
            finally:
                os.close(lock)
        except OSError as error:
            raise CacheError(f"{error.filename}: cannot be removed: {error.strerror}") from error
        return True
