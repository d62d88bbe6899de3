"""Checkpoints of rows: what an unfinished row continues from, after any kind of end."""

import hashlib
import json
import logging
import re
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Self

from nst_core.storage.files import list_files, read_kept, remove, write_atomic_parts
from nst_core.storage.local import seconds_since_change
from nst_core.storage.places import Place, redacted
from nst_core.transfer.optimization.checkpoint import (
    Checkpoint,
    CheckpointError,
    NewerCheckpointError,
)
from tasks.store.curves import Point, curve_csv, points_of

logger = logging.getLogger("nst_batch.checkpoints")

SMALLEST_INTERVALS = 20
"""A checkpoint is due after this many times as long as it took to write the last one, at least."""

SHORTEST_ROW = 1.0
"""A row that ran for fewer seconds, over all runs, has no checkpoint: it is not worth one, and in
object storage nobody needs to ask whether there is one."""

OLDEST = 7 * 86_400
"""After so many seconds, a checkpoint of a row that no run has continued is removed."""


@dataclass(frozen=True)
class RowState:
    """The state of an unfinished row.

    Attributes:
        checkpoint: that of the optimization.
        curve: the loss curve so far.
        seconds: how long the row has run so far, over all runs.
    """

    checkpoint: Checkpoint
    curve: Sequence[Point]
    seconds: float


class Checkpoints:
    """The checkpoints of one row, each of which replaces the one before."""

    def __init__(self, path: Place, targets_sha256: str, every: float, left_out: int = 0) -> None:
        self._path, self._targets_sha256, self._every = path, targets_sha256, every
        self._left_out = left_out
        self._written_at, self._writing_took = time.monotonic(), 0.0
        self._has_failed = self._keeps_newer = False

    @classmethod
    def of_row(cls, path: Place, targets: bytes, every: float, *, left_out: int = 0) -> Self:
        """Return the checkpoints of a row.

        Args:
            path: where they are stored.
            targets: the style's targets, and the digest of the frame before, if there is one; a
                checkpoint that was made with others is not used.
            every: seconds between two of them; 0 if none are wanted.
            left_out: how many of the finest octaves are left out for lack of memory; a checkpoint
                with another number of octaves is not used.
        """
        return cls(path, hashlib.sha256(targets).hexdigest(), every, left_out)

    def is_worth_it(self, seconds: float) -> bool:
        """Return whether a row that has run for some seconds, over all runs, gets checkpoints."""
        return self._every > 0 and seconds >= SHORTEST_ROW and not self._keeps_newer

    def is_due(self, seconds: float) -> bool:
        """Return whether it is time for the next one of a row that has run for some seconds."""
        interval = max(self._every, SMALLEST_INTERVALS * self._writing_took)
        return self.is_worth_it(seconds) and time.monotonic() - self._written_at >= interval

    def write(self, state: RowState) -> bool:
        """Write a checkpoint; return False, with one warning a row, if that is not possible."""
        started = time.monotonic()
        notes = {
            "targets": self._targets_sha256,
            "seconds": state.seconds,
            "curve": curve_csv([*state.curve]).decode(),
            **({"left_out": self._left_out} if self._left_out else {}),
        }
        try:
            write_atomic_parts(self._path, state.checkpoint.parts(json.dumps(notes)))
        except OSError as error:
            if not self._has_failed:
                logger.warning(
                    "%s: no checkpoint can be written: %s", redacted(self._path), error.strerror
                )
            self._has_failed = True
            return False
        finally:
            self._written_at = time.monotonic()
            self._writing_took = self._written_at - started
        return True

    def read(self) -> RowState | None:
        """Return the state of an earlier run; None, with a warning, if it cannot be used."""
        try:
            checkpoint, notes = Checkpoint.from_bytes(read_kept(self._path))
            found = json.loads(notes)
            if found["targets"] != self._targets_sha256:
                raise CheckpointError("it was made with other targets")
            if found.get("left_out", 0) != self._left_out:
                raise CheckpointError("it was made for a result of another size")
            curve = points_of(found["curve"].encode())
            if not curve:
                raise CheckpointError("it has no loss curve")
            return RowState(checkpoint, curve, float(found["seconds"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            if isinstance(error, NewerCheckpointError):
                # That version may come back before the row is done, and continue from there.
                self._keeps_newer = True
                reason += "; it is kept, and the row gets no checkpoints of this version"
            logger.warning(
                "%s: the row starts from its beginning, because its checkpoint cannot be used: %s",
                *(redacted(self._path), reason),
            )
            return None


def forget_checkpoint_of(path: Place, seconds: float) -> None:
    """Remove the checkpoint of a row that is done after some seconds, if there is one."""
    if seconds >= SHORTEST_ROW:
        _forget(path)


def _forget(path: Place) -> None:
    try:
        remove(path)
    except OSError as error:
        logger.warning("%s: cannot be removed: %s", redacted(path), error.strerror)


def forget_old_checkpoints(folder: Place, done: Collection[str]) -> None:
    """Remove the checkpoints of rows that are done, and those that nobody has used for a week.

    Args:
        folder: where checkpoints are stored, named by the keys of their rows.
        done: keys of finished rows.
    """
    try:
        names = [name for name in list_files(folder) if re.fullmatch("[0-9a-f]{64}", name)]
    except OSError as error:
        # Some storages refuse to list files to users who may read and write them.
        logger.info("%s: cannot be listed: %s", redacted(folder), error.strerror)
        return
    for name in names:
        if name in done or seconds_since_change(folder / name) > OLDEST:
            _forget(folder / name)
